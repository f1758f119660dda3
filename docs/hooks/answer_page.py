"""The keys of the answer's JSON, and of the objects inside it."""

import inspect
import re
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from hpo.spec import answer
from hpo.spec.wording import either

WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false"}


def answer_fields() -> str:
    """What each key holds: a table for the answer, one for each kind of object inside."""
    kinds = [k for k in vars(answer).values() if _is_model(k) and k.__module__ == answer.__name__]
    kinds.sort(key=lambda kind: kind is not answer.Answer)  # the answer first
    return "\n\n".join(_table(kind) for kind in kinds)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _table(kind: type[BaseModel]) -> str:
    name = kind.__name__
    rows = [f"| `{key}` | {_word(f.annotation)} |" for key, f in kind.model_fields.items()]
    title = [f"## {_title(name)} {{#{name.lower()}}}", "", inspect.getdoc(kind) or ""]
    return "\n".join([*title, "", "| key | holds |", "|---|---|", *rows])


def _title(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _word(kind: Any) -> str:
    """The kind of a value, in words: `list (whole number), or null`."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin is UnionType or NoneType in inside:
        [known] = [one for one in inside if one is not NoneType]
        return f"{_word(known)}, or null"
    if origin is Literal:
        return either([f"`{one}`" for one in inside])
    if origin is tuple:
        return f"list ({_word(inside[0])})"
    if origin is dict:
        return "object" if inside[1] is Any else f"object ({_word(inside[1])})"
    if _is_model(kind):
        return f"[{_title(kind.__name__).lower()}](#{kind.__name__.lower()})"
    return WORDS[kind]
