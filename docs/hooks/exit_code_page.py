"""The exit codes of the command line, with the errors of Python that they stand for."""

from hpo import errors


def exit_codes() -> str:
    """A table in Markdown, in the order of the codes."""
    named = [k for k in vars(errors).values() if isinstance(k, type)]
    kinds = [kind for kind in named if issubclass(kind, errors.HpoError)]
    lines = ["| code | error in Python | meaning |", "|---|---|---|", "| 0 | | Done. |"]
    for kind in sorted(kinds, key=lambda kind: kind.exit_code):
        told = (kind.__doc__ or "").splitlines()[0]
        lines.append(f"| {kind.exit_code} | `{kind.__name__}` | {told} |")
    return "\n".join(lines)
