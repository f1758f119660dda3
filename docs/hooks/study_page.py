"""Every value of a study: its key, its option, its default and what it means."""

from itertools import groupby

from hpo.spec.options import Option, options
from hpo.spec.study import Data, Study

HEAD = ["| key | option | default | meaning |", "|---|---|---|---|"]


def study_values() -> str:
    """A table for each section of the study file, in Markdown."""
    source = Option("data.source", Data.model_fields["source"].description or "", "")
    found = options()
    every = sorted([source, *found.values()], key=lambda option: _section_number(option.key))
    leaves = {option.key: f"`--{leaf.replace('_', '-')}`" for leaf, option in found.items()}
    parts = []
    for section, of_section in groupby(every, key=lambda option: _section(option.key)):
        rows = [_row(option, leaves.get(option.key, "the first word")) for option in of_section]
        parts.append("\n".join([*_title(section), "", *HEAD, *rows]))
    return "\n\n".join(parts)


def _section(key: str) -> str:
    return key.rpartition(".")[0]


def _section_number(key: str) -> int:
    section = _section(key)
    return list(Study.model_fields).index(section) if section else 0


def _title(section: str) -> list[str]:
    if not section:
        return ["## The study itself"]
    told = Study.model_fields[section].annotation.__doc__ or ""
    return [f"## `[{section}]` {{#{section}}}", "", told.partition(" (see ")[0].rstrip(".") + "."]


def _row(option: Option, word: str) -> str:
    required = option.key in ("data.source", "data.target")
    default = "required" if required else f"`{option.default}`" if option.default else "empty"
    return f"| `{option.key.rpartition('.')[2]}` | {word} | {default} | {option.help} |"
