"""A study file (TOML) or loose values become a Study, or one message with file, key and line."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hpo.errors import SpecError
from hpo.spec.study import Study
from hpo.spec.wording import key_of, sentence, spell

MAX_FILE_BYTES = 1_000_000
NOTHING = object()
REMEDIES = {
    "Cannot overwrite": "each key is set once",
    "Cannot declare": "each section is opened once",
    "Invalid value": "text stands in quotes",
}
MAX_LINES = 1_000  # of a file in which the line of a mistake is looked for


def read_study(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study in a TOML file; `overrides` are values by dotted key that win over the file's.

    `data.source` is relative to the file and comes back absolute.
    Raises SpecError, naming file, key and line.
    """
    text = _read_text(path)
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: a number of 5,000 digits
        raise _broken_toml(error, path, text) from None
    study = build_study(tree, overrides, file=path, text=text)
    source = str((path.parent / study.data.source).resolve())
    return study.model_copy(update={"data": study.data.model_copy(update={"source": source})})


def build_study(
    tree: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    text: str = "",
) -> Study:
    """The study of a nested mapping and overrides by dotted key. Raises SpecError.

    `file` and its `text` are named in the message.

    >>> build_study({"data": {"source": "a.csv", "target": "y"}, "budget": {"trials": 0}})
    Traceback (most recent call last):
    hpo.errors.SpecError: budget.trials=0 must be at least 1
    """
    given = overrides or {}
    merged = {k: dict(v) if isinstance(v, Mapping) else v for k, v in tree.items()}
    for key, value in given.items():
        section, _, leaf = key.rpartition(".")
        target = merged.setdefault(section, {}) if section else merged
        if isinstance(target, dict):
            target[leaf] = value
    try:
        return Study.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = key_of(first)
        value = _look_up(merged, path)
        said, dotted = sentence(first, value), ".".join(path)
        if dotted not in given:
            raise SpecError(said, where=_line_in(file, path, text)) from None
        if not _is_typed(value):
            raise SpecError(said, where=f"keyword {path[-1]}") from None
        option = f"--{path[-1].replace('_', '-')}"
        raise SpecError(said.replace("[low, high]", "LOW:HIGH"), where=option) from None


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SpecError("a study file must be under 1 MB", where=str(path))
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("a study file must be UTF-8 text", where=str(path)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SpecError(f"cannot read the study file: {reason}", where=str(path)) from error


def _broken_toml(error: Exception, path: Path, text: str) -> SpecError:
    if isinstance(error, RecursionError):
        return SpecError("not valid TOML: nested too deeply", where=str(path))
    said, _, place = str(error).partition(" (at ")
    at = re.match(r"line (\d+)", place)
    if at is None:
        return SpecError(f"not valid TOML: {error}", where=str(path))
    line = text.split("\n")[int(at.group(1)) - 1].strip()
    remedy = next((way for start, way in REMEDIES.items() if said.startswith(start)), "")
    return SpecError(
        f"not valid TOML: {said}: {spell(line)}",
        where=f"{path}, line {at.group(1)}",
        remedy=remedy,
    )


def _is_typed(value: Any) -> bool:
    """Whether it came as words, from the command line."""
    return all(isinstance(v, str) for v in (value if isinstance(value, list) else [value]))


def _line_in(file: Path | None, key: Sequence[str], text: str) -> str:
    if file is None:
        return ""
    line = line_of(key, text) or line_of(key[:1], text)
    return f"{file}, line {line}" if line else str(file)


def line_of(key: Sequence[str], text: str) -> int:
    """The line (from 1) on which TOML text begins to set a key; 0: nowhere, or the text is long.

    The text is read again line by line: the key stands where it first appears.

    >>> line_of(("budget", "trials"), "name = 'a'\\n[budget]\\ntrials = 0\\n")
    3
    """
    lines = text.split("\n")
    begins = 1
    for end in range(1, min(len(lines), MAX_LINES) + 1):
        try:
            tree = tomllib.loads("\n".join(lines[:end]))
        except (ValueError, RecursionError):
            continue  # a value that goes on in the next line
        if _look_up(tree, key) is not NOTHING:
            return begins
        begins = end + 1
    return 0


def _look_up(tree: Any, key: Sequence[str]) -> Any:
    for part in key:
        if not isinstance(tree, Mapping) or part not in tree:
            return NOTHING
        tree = tree[part]
    return tree
