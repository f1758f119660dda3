"""Fills the reference pages from the code: where a page says `<!-- from the code: NAME -->`."""

import re
from collections.abc import Callable
from typing import Any

from answer_page import answer_fields
from command_page import commands
from exit_code_page import exit_codes
from python_page import python_names
from study_page import study_values

MARK = re.compile(r"<!-- from the code: ([\w-]+) -->")
WRITERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "study": study_values,
    "answer": answer_fields,
    "python": python_names,
    "exit-codes": exit_codes,
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return MARK.sub(lambda found: WRITERS[found[1]](), markdown)
