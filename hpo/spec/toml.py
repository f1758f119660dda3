"""A study file (TOML) or loose values become a Study, or one clear message with file, key and line."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from hpo.errors import SpecError
from hpo.spec.study import Study

MAX_FILE_BYTES = 1_000_000


def read_study(path: Path, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study in a TOML file; `overrides` are values by dotted key that win over the file's.

    `data.source` is relative to the file and comes back absolute.
    Raises SpecError, naming file, key and line.
    """
    text = _read_text(path)
    try:
        tree = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"not valid TOML: {error}", where=str(path)) from error
    source = tree.get("data", {}).get("source") if isinstance(tree.get("data"), dict) else None
    if isinstance(source, str) and source:
        tree["data"]["source"] = str((path.parent / source).resolve())
    return build_study(tree, overrides, file=path, text=text)


def build_study(
    tree: Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    file: Path | None = None,
    text: str = "",
) -> Study:
    """The study of a nested mapping and overrides by dotted key. Raises SpecError."""
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
        raise _as_spec_error(error, given, file, text) from None


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


def _as_spec_error(
    error: ValidationError, given: Mapping[str, Any], file: Path | None, text: str
) -> SpecError:
    first = error.errors(include_url=False)[0]
    loc = [str(part) for part in first["loc"] if isinstance(part, str) and not _is_union_tag(part)]
    key = ".".join(loc[:2])
    return SpecError(_sentence(first, key), where=_place(key, given, file, text))


def _is_union_tag(part: str) -> bool:
    return "[" in part or part in ("int", "float", "tuple", "constrained-int", "constrained-float")


def _sentence(error: Any, key: str) -> str:
    value = error.get("input")
    if error["type"] == "extra_forbidden":
        return f"unknown key {key!r}{_nearest(key)}"
    if error["type"] == "missing":
        return f"{key} is missing; every study needs name-able data: data.source and data.target"
    said = error["msg"].removeprefix("Value error, ")
    said = said.replace("Input should be", "must be").replace("String should", "must")
    shown = repr(value) if not isinstance(value, dict | BaseModel) else ""
    return f"{key}={shown} {said}" if shown and len(shown) < 200 else f"{key}: {said}"


def _nearest(key: str) -> str:
    known = known_keys()
    section, _, leaf = key.rpartition(".")
    same_leaf = [k for k in known if k.rpartition(".")[2] == leaf]
    near = same_leaf or difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if not near:
        near = [f"{section}.{m}" if section else m for m in _close_leaves(section, leaf)]
    return f"; the nearest right name is {near[0]!r}" if near else ""


def _close_leaves(section: str, leaf: str) -> list[str]:
    leaves = [k.rpartition(".")[2] for k in known_keys() if k.rpartition(".")[0] == section]
    return difflib.get_close_matches(leaf, leaves, n=1, cutoff=0.3)


def known_keys() -> list[str]:
    """Every dotted key of a study file, sections included."""
    keys: list[str] = []
    for name, field in Study.model_fields.items():
        keys.append(name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += [f"{name}.{leaf}" for leaf in kind.model_fields]
    return keys


def _place(key: str, given: Mapping[str, Any], file: Path | None, text: str) -> str:
    if key in given:
        return f"--{key.rpartition('.')[2].replace('_', '-')}"
    if file is None:
        return ""
    line = line_of(key, text)
    return f"{file}, line {line}" if line else str(file)


def line_of(key: str, text: str) -> int:
    """The line (from 1) of a dotted key in TOML text; its section's where it stands inline; 0: none.

    >>> line_of("budget.trials", "name = 'a'\\n[budget]\\ntrials = 0\\n")
    3
    """
    section, _, leaf = key.rpartition(".")
    current, found = "", 0
    for number, raw in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", raw)
        if header:
            current = header.group(1).strip("\"' ")
            found = number if current == key or (current == section and not found) else found
            continue
        word = re.match(r"\s*[\"']?([A-Za-z0-9_.-]+)[\"']?\s*=", raw)
        if word and (f"{current}.{word.group(1)}".strip(".") in (key, section)):
            found = number
            if f"{current}.{word.group(1)}".strip(".") == key:
                return number
    return found
