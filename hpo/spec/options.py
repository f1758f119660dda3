"""Every value of a study by the name of its key alone: as options of the command line and keywords.

Words become values as a person writes them: `1:3` is a range, `a,b` a list.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from hpo.errors import SpecError
from hpo.spec.study import Study
from hpo.spec.wording import either, nearest

SIZES = ("layers", "cells")
RATES = ("learning_rate", "weight_decay", "dropout")


@dataclass(frozen=True)
class Option:
    """One value of a study: its dotted key, what it means, its default as written (or empty)."""

    key: str
    help: str
    default: str


def options() -> dict[str, Option]:
    """Every value of a study but its source, by the key's last part, in the file's order.

    >>> options()["trials"].key, options()["layers"].default
    ('budget.trials', '1:3')
    """
    found = {}
    for section, part in Study.model_fields.items():
        kind = part.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for leaf, field in kind.model_fields.items():
                found[leaf] = _option(f"{section}.{leaf}", field)
        else:
            found[section] = _option(section, part)
    del found["source"]
    return found


def _option(key: str, field: FieldInfo) -> Option:
    default = "" if field.is_required() else _written(field.default)
    said = field.description or key.replace(".", " ")
    if get_origin(field.annotation) is Literal:
        said += f": {either(get_args(field.annotation))}"
    return Option(key, said, default)


def _written(value: Any) -> str:
    return ":".join(str(v) for v in value) if isinstance(value, tuple) else str(value)


def from_words(words: Mapping[str, str]) -> dict[str, Any]:
    """Values by dotted key from options as they were typed.

    >>> from_words({"layers": "1:3", "covariates": "a,b", "lookback": "12,24", "trials": "9"})
    {'space.layers': ['1', '3'], 'data.covariates': ['a', 'b'], 'task.lookback': ['12', '24'], 'budget.trials': '9'}
    """  # noqa: E501
    return {options()[leaf].key: _value(leaf, word) for leaf, word in words.items()}


def _value(leaf: str, word: str) -> str | list[str]:
    if leaf == "covariates" or (leaf == "lookback" and "," in word):
        return [part.strip() for part in word.split(",") if part.strip()]
    if leaf in SIZES and word.strip().isdecimal():
        return [word, word]
    if leaf in (*SIZES, *RATES) and ":" in word:
        return word.split(":")
    return word


def from_keywords(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted key from Python keywords. Raises SpecError for an unknown one."""
    known = options()
    for leaf in keywords:
        if leaf not in known:
            near = nearest(("", leaf)).rpartition(".")[2]
            remedy = (
                f"the nearest is {near!r}" if near in known else f"there are {', '.join(known)}"
            )
            raise SpecError(f"unknown keyword {leaf!r}", remedy=remedy)
    return {known[leaf].key: _as_range(leaf, value) for leaf, value in keywords.items()}


def _as_range(leaf: str, value: Any) -> Any:
    """One number of layers or cells is the range from it to itself."""
    return [value, value] if leaf in SIZES and isinstance(value, int) else value


def as_words(study: Study) -> list[str]:
    """The options that ask for this study, without those of default values.

    `from_words` is the inverse.

    >>> as_words(Study.model_validate({"data": {"source": "a.csv", "target": "y"}, "space": {"layers": [1, 2]}}))
    ['--target', 'y', '--layers', '1:2']
    """  # noqa: E501
    plain = Study.model_validate({"data": {"source": "-", "target": "-"}}).flat()
    asked, words = study.flat(), list[str]()
    for leaf, option in options().items():
        value = asked[option.key]
        if leaf == "target" or value != plain[option.key]:
            joint = ":" if leaf in (*SIZES, *RATES) else ","
            written = joint.join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{leaf.replace('_', '-')}", written]
    return words
