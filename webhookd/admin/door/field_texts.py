"""What the source says below the fields of a struct: so that the API is described in the words of its code."""

import ast
import inspect
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, get_origin

import msgspec


@cache
def field_texts(struct: type[msgspec.Struct]) -> Mapping[str, str]:
    """By field, those of the structs it is made of too; none where the source is not there."""
    found: dict[str, str] = {}
    for each in reversed(struct.__mro__):
        if each is msgspec.Struct or not issubclass(each, msgspec.Struct):
            continue
        try:
            [tree] = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        except (OSError, TypeError):
            continue  # made by a call, or run from an archive
        for field, text in pairwise(getattr(tree, "body", [])):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                found[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return found


def structs_of(types: Sequence[Any]) -> list[type[msgspec.Struct]]:
    """Every struct that these types speak of."""
    found: dict[type[msgspec.Struct], None] = {}

    def look(info: Any) -> None:
        if isinstance(info, msgspec.inspect.StructType):
            struct = get_origin(info.cls) or info.cls
            if struct in found and struct is info.cls:
                return
            found[struct] = None
            for each in info.fields:
                look(each.type)
        for name in ("type", "item_type", "value_type"):
            if (inner := getattr(info, name, None)) is not None:
                look(inner)
        for each in getattr(info, "types", ()):
            look(each)

    for each in types:
        look(msgspec.inspect.type_info(each))
    return list(found)
