"""Makes of a request what the operation's structs say it is, and tells all that is wrong with it at once."""

import re
from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from multidict import MultiMapping

from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import Meaning

Wanted = TypeVar("Wanted", bound=msgspec.Struct)
NAME_CHARS_MAX = 64
"""Of a name that is not known, as far as it is told."""
UNKNOWN_TOLD_MAX = 20
"""Names that are not known: so many are told, so that the answer is no larger than it is worth."""
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,15})?", re.ASCII)
_STEP = re.compile(r"\[(\d+|\.\.\.)\]|\.([^.\[]+)")


def converted(given: Mapping[str, Any], wanted: type[Wanted], *, from_text: bool = False) -> Wanted:
    """`from_text`: every value is a text, as in the query of a URL. Raises MistakesError with all that is wrong."""
    fields = {each.encode_name: each for each in inspect.type_info(wanted).fields}  # type: ignore[attr-defined]
    types = {each.encode_name: each.type for each in msgspec.structs.fields(wanted)}
    unknown = nsmallest(UNKNOWN_TOLD_MAX, map(str, given.keys() - fields.keys()))
    mistakes = [Mistake(name[:NAME_CHARS_MAX], _unknown(fields)) for name in unknown]
    values = {}
    for name, field in fields.items():
        if name not in given:
            if field.required:
                mistakes.append(Mistake(name, "is missing"))
            continue
        try:
            value = _from_text(given[name], field.type) if from_text else given[name]
            values[field.name] = msgspec.convert(value, types[name], dec_hook=_read)
        except msgspec.ValidationError as error:
            mistakes.append(_mistake(name, field.type, str(error)))
        except ValueError:
            mistakes.append(Mistake(name, wanted_text(field.type)))
    if mistakes:
        raise MistakesError(mistakes)
    return wanted(**values)


def converted_query(query: MultiMapping[str], wanted: type[Wanted]) -> Wanted:
    """Raises MistakesError."""
    given = dict(query)
    twice = [Mistake(name[:NAME_CHARS_MAX], "is given more than once") for name in given if len(query.getall(name)) > 1]
    if twice:
        raise MistakesError(twice[:UNKNOWN_TOLD_MAX])
    return converted(given, wanted, from_text=True)


def wanted_text(info: inspect.Type) -> str:
    """What a value must be, to be said after the name of its field."""
    match _plain(info):
        case inspect.BoolType():
            return "must be true or false"
        case inspect.IntType(ge=ge, le=le):
            return f"must be a whole number{_range(ge, le)}"
        case inspect.FloatType(ge=ge, le=le):
            return f"must be a number{_range(ge, le)}"
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            return f"must be a string{_length(least, most, 'characters')}{f' like {pattern}' if pattern else ''}"
        case inspect.LiteralType(values=values):
            return f"must be one of {', '.join(map(str, values))}"
        case (
            inspect.ListType(min_length=least, max_length=most)
            | inspect.VarTupleType(min_length=least, max_length=most)
        ):
            return f"must be a list{_length(least, most, 'of them')}"
        case inspect.DictType() | inspect.StructType():
            return "must be an object"
        case inspect.UnionType(types=types):
            return " or ".join([wanted_text(each) for each in types]).replace(" or must be ", " or ")
        case _:
            return "must be a string"


def _unknown(fields: Mapping[str, Any]) -> str:
    return f"is not known; known are {', '.join(fields)}" if fields else "is not known; nothing is asked for here"


def _from_text(text: str, info: inspect.Type) -> Any:
    """Raises ValueError."""
    match _plain(info):
        case inspect.BoolType():
            return {"true": True, "false": False}.get(text, text)
        case inspect.IntType():
            return int(text) if _WHOLE.fullmatch(text) else text
        case inspect.FloatType():
            return float(text) if _NUMBER.fullmatch(text) else text
        case _:
            return text


def _read(meaning: type[Meaning], value: object) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"must be a string{' like ' + _example(meaning) if _example(meaning) else ''}")  # noqa: TRY004
    return meaning.read(value)


def _example(meaning: type[Meaning]) -> str:
    return str(next(iter(meaning.SCHEMA.get("examples", ())), ""))


def _mistake(name: str, info: inspect.Type, error: str) -> Mistake:
    """From msgspec's own words: where, and for a text that means something, what."""
    said, _, path = error.partition(" - at `")
    place = path.partition("`")[0].removeprefix("$")
    steps = list(_STEP.finditer(place))
    for step in steps:
        inner = _plain(info)
        if isinstance(inner, inspect.ListType | inspect.VarTupleType):
            info = inner.item_type
        elif isinstance(inner, inspect.DictType):
            info = inner.value_type
        elif isinstance(inner, inspect.StructType):
            fields = {each.encode_name: each.type for each in inner.fields}
            info = fields.get(step[2], info)
    field = name + "".join(step[0] for step in steps).replace("[...]", "")
    if isinstance(_plain(info), inspect.CustomType):
        return Mistake(field, said)
    if "missing required field" in said or "contains unknown field" in said:
        return Mistake(field, said[0].lower() + said[1:])
    return Mistake(field, wanted_text(info))


def _plain(info: inspect.Type) -> inspect.Type:
    """Without what is only said about it, and without null where that stands for "not given"."""
    if isinstance(info, inspect.Metadata):
        return _plain(info.type)
    if isinstance(info, inspect.UnionType):
        rest = [each for each in info.types if not isinstance(each, inspect.NoneType)]
        return _plain(rest[0]) if len(rest) == 1 else inspect.UnionType(tuple(rest))
    return info


def _range(least: float | None, most: float | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" of at least {least}" if least is not None else f" of at most {most}" if most is not None else ""


def _length(least: int | None, most: int | None, what: str) -> str:
    if most is not None:
        return f" of {least or 0} to {most} {what}"
    return f" of at least {least} {what}" if least else ""


def names(wanted: type[msgspec.Struct]) -> Sequence[str]:
    """The fields of a struct as they are called in a request."""
    return [each.encode_name for each in msgspec.structs.fields(wanted)]
