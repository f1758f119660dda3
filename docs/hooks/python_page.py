"""The public names of hpo, with their signatures and docstrings."""

import inspect
import re
from typing import Any

import hpo

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>>).+\n?)*)+", re.MULTILINE)
HIDDEN = re.compile(r" *# doctest: .*$", re.MULTILINE)
MODULE = re.compile(r"\b(?:hpo|pandas|pathlib|collections|typing|threading)(?:\.\w+)*\.(?=\w)")
LONGEST = 90  # characters of a signature on one line
VALUES = {"Answer": "json.md", "Study": "study.md"}  # pages that tell their fields


def python_names() -> str:
    """A section for each public name, functions first, in Markdown."""
    names = sorted(hpo.__all__, key=lambda name: (name[0].isupper(), name))
    return "\n\n".join(_section(name, getattr(hpo, name)) for name in names)


def _section(name: str, found: Any) -> str:
    title = f"## hpo.{name} {{#{name.lower()}}}"
    if name in VALUES:
        fields = f"Its fields are told in [{name}]({VALUES[name]})."
        return "\n\n".join([title, _told(found), fields])
    if inspect.isclass(found):
        return "\n\n".join([title, _made(name, found), _told(found), *_methods(found)])
    return "\n\n".join([title, _signature(f"hpo.{name}", found), _told(found)])


def _made(name: str, kind: type) -> str:
    """How one is made, where that is for users: what another call returns has no public way."""
    parameters = inspect.signature(kind).parameters.values()
    is_returned = any("Supervisor" in str(p.annotation) or p.name == "contents" for p in parameters)
    return "" if is_returned else _signature(f"hpo.{name}", kind)


def _methods(kind: type) -> list[str]:
    """The public methods and properties of a class, in the order of their definition."""
    own = [(n, m) for n, m in vars(kind).items() if not n.startswith("_")]
    parts = []
    for name, member in own:
        if isinstance(member, property):
            parts.append(f"### {name}\n\n{_told(member)}")
        elif inspect.isfunction(member):
            parts.append(f"### {name}()\n\n{_signature(f'.{name}', member)}\n\n{_told(member)}")
    return parts


def _signature(name: str, call: Any) -> str:
    """As one would write it; one parameter a line where it is long."""
    found = inspect.signature(call)
    parameters, star = list[str](), False
    for parameter in found.parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parameters.append("*")
            star = True
        parameters.append(_parameter(parameter))
    returned = "" if inspect.isclass(call) else f" -> {_kind(found.return_annotation)}"
    text = f"{name}({', '.join(parameters)}){returned}"
    if len(text) > LONGEST:
        text = "\n".join([f"{name}(", *(f"    {one}," for one in parameters), f"){returned}"])
    return f"```text\n{text}\n```"


def _parameter(found: inspect.Parameter) -> str:
    stars = "*" * (found.kind is found.VAR_POSITIONAL) + "**" * (found.kind is found.VAR_KEYWORD)
    kind = "" if found.annotation is found.empty else f": {_kind(found.annotation)}"
    if found.default is found.empty:
        return f"{stars}{found.name}{kind}"
    default = "..." if callable(found.default) else repr(found.default).replace("'", '"')
    return f"{found.name}{kind} = {default}"


def _kind(annotation: Any) -> str:
    """A type as a reader needs it: without modules and quotes."""
    return MODULE.sub("", inspect.formatannotation(annotation)).replace("'", "")


def _told(thing: Any) -> str:
    """The docstring: its examples become blocks."""
    told = HIDDEN.sub("", inspect.getdoc(thing) or "")
    return EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", told)
