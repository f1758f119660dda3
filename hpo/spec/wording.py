"""Why a study's value is refused, in one sentence: the key, the value, what would be right."""

import datetime
import difflib
import math
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from hpo.spec.study import Study

LONGEST_VALUE = 60
LIKENESS = 0.62  # from which on a name is near, as difflib counts it
TECHNICAL_LIMIT = 1_000_000  # from which on a limit is worth no word until it is broken
WORDS = {int: "a whole number", float: "a number", str: "text"}
LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "above {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "below {lt}",
}
MISSING = {
    "data": "section [data] is missing; it names the file (source) and the column (target)",
    "data.source": "data.source is missing; it names the CSV or Parquet file",
    "data.target": "data.target is missing; it names the column to forecast",
}


def key_of(error: ErrorDetails) -> tuple[str, ...]:
    """The key an error is about: a section, or a section and a key in it."""
    key = [str(part) for part in error["loc"][:2]]
    return tuple(key[:1] if key[0] not in _sections() else key)


def sentence(error: ErrorDetails, value: Any) -> str:
    """What is wrong with a key and its value; `error` is pydantic's."""
    key = key_of(error)
    dotted, kind = ".".join(key), error["type"]
    if kind == "extra_forbidden":
        return f"unknown key {dotted!r}; {_instead(key)}"
    if kind == "missing" and dotted in MISSING:
        return MISSING[dotted]
    if kind == "value_error":
        said = error["msg"].removeprefix("Value error, ")
        return f"{dotted}: {said}" if dotted in _sections() else f"{dotted}={spell(value)} {said}"
    if kind in LIMITS and not isinstance(value, list | tuple):
        limit = {name: _plain(number) for name, number in error["ctx"].items()}
        return f"{dotted}={spell(value)} must be {LIMITS[kind].format(**limit)}"
    return f"{dotted}={spell(value)} must be {_asked(key, value)}"


def spell(value: Any) -> str:
    """A value as a study file spells it, on one line and cut where it is long.

    >>> spell(True), spell([1, "a"]), spell({"x": 0.5})
    ('true', "[1, 'a']", '{x = 0.5}')
    """
    text = " ".join(_whole(value).split())
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _whole(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**LONGEST_VALUE:
        return hex(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_whole(v) for v in value)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {_whole(v)}" for k, v in value.items()) + "}"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return repr(value)


def takes(kind: Any, limits: Sequence[Any] = ()) -> str:
    """What a type takes, in words.

    >>> takes(Annotated[int, Ge(1), Le(8)]), takes(tuple[float, float])
    ('a whole number of at least 1 and at most 8', 'a pair [low, high], each a number')
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        marks = [m.metadata if isinstance(m, FieldInfo) else [m] for m in arguments[1:]]
        return takes(arguments[0], [limit for group in marks for limit in group])
    if origin in (Union, UnionType):
        return ", or ".join(takes(each) for each in arguments)
    if origin is Literal:
        return either([repr(each) for each in arguments])
    if origin is tuple:
        whole = "a list" if arguments[1] is Ellipsis else "a pair [low, high]"
        return f"{whole}, each {takes(arguments[0])}"
    return f"{WORDS[kind]}{_within(limits)}"


def either(words: Sequence[str]) -> str:
    """`a, b or c`.

    >>> either(["a", "b", "c"])
    'a, b or c'
    """
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _within(limits: Sequence[Any]) -> str:
    said = []
    for limit in limits:
        match limit:
            case Ge(least):
                said.append(f"of at least {_plain(least)}")
            case Gt(below):
                said.append(f"above {_plain(below)}")
            case Le(most) if most < TECHNICAL_LIMIT:  # type: ignore[operator]
                said.append(f"at most {_plain(most)}")
            case Lt(above):
                said.append(f"below {_plain(above)}")
            case MinLen():
                said.append("that is not empty")
    return f" {' and '.join(said)}" if said else ""


def _plain(limit: Any) -> Any:
    return int(limit) if limit == int(limit) else limit


def _asked(key: tuple[str, ...], value: Any) -> str:
    keys = _sections().get(key[0], {})
    if len(key) == 1 and keys:
        return f"a section, [{key[0]}], with the keys {', '.join(keys)}"
    field = keys[key[1]] if keys else Study.model_fields[key[0]]
    said = takes(field.annotation, field.metadata)
    given = value if isinstance(value, list | tuple) else [value]
    endless = any(isinstance(v, float) and not math.isfinite(v) for v in given)
    return said.replace("a number", "a finite number") if endless else said


def _sections() -> dict[str, dict[str, FieldInfo]]:
    """The keys of every section of a study file."""
    kinds = {name: field.annotation for name, field in Study.model_fields.items()}
    return {
        name: kind.model_fields
        for name, kind in kinds.items()
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    }


def _instead(key: tuple[str, ...]) -> str:
    if near := nearest(key):
        return f"the nearest right name is {near!r}"
    if key[0] in _sections():
        return f"the keys of [{key[0]}] are {', '.join(_sections()[key[0]])}"
    return f"the keys and sections of a study are {', '.join(Study.model_fields)}"


def known_keys() -> list[str]:
    """Every dotted key of a study file, sections included."""
    sections = _sections()
    leaves = [f"{name}.{leaf}" for name, keys in sections.items() for leaf in keys]
    return [*Study.model_fields, *leaves]


def nearest(key: tuple[str, ...]) -> str:
    """The right dotted name that a wrong one was most likely meant to be; empty: none is near.

    The same key in another section comes first, then a like one in the same section, then a like
    one anywhere.

    >>> nearest(("budget", "trails")), nearest(("task", "trials")), nearest(("budgets",))
    ('budget.trials', 'budget.trials', 'budget')
    """
    leaf = key[-1].lower().replace("-", "_").replace(" ", "_")
    homes = {key.rpartition(".")[2]: key for key in known_keys()}
    here = _sections().get(key[0], {}) if len(key) > 1 else Study.model_fields
    for likeness in (1.0, LIKENESS):
        for known in (here, homes):
            for name in difflib.get_close_matches(leaf, known, n=1, cutoff=likeness):
                return homes[name]
    return ""
