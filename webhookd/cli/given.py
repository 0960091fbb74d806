"""Options that several verbs take, said once: a verb asks for what they make, not for the options themselves."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any


def given(**makers: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a verb the results of these makers by keyword; the makers' own parameters become options of the verb.

    `@given(client=find_daemon) def status(client: Client, as_json: Json = False)` has every option of `find_daemon`.
    """

    def around(verb: Callable[..., Any]) -> Callable[..., Any]:
        options = {name: _parameters(maker) for name, maker in makers.items()}

        @functools.wraps(verb)
        def call(**values: Any) -> Any:
            for name, maker in makers.items():
                values[name] = maker(**{each.name: values.pop(each.name) for each in options[name]})
            return verb(**values)

        own = [each for each in _parameters(verb) if each.name not in makers]
        parameters = [*own, *(each for shared in options.values() for each in shared)]
        arguments = [each for each in parameters if each.default is inspect.Parameter.empty]
        rest = [each for each in parameters if each.default is not inspect.Parameter.empty]
        call.__signature__ = inspect.Signature(arguments + rest)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        return call

    return around


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    return [
        each.replace(annotation=hints[each.name], kind=inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for each in inspect.signature(function).parameters.values()
    ]
