"""What mkdocs asks while it builds the site: pages that are written from the code.

Where a page says `<!-- from the code: NAME -->`, that is filled; the notebook becomes a page.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from answer_page import answer_fields
from command_page import commands
from exit_code_page import exit_codes
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from notebook_page import notebook_page
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


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page of the notebook."""
    page, pictures = notebook_page(Path(config.docs_dir) / "tutorial.ipynb")
    files.append(File.generated(config, "notebook.md", content=page))
    for name, content in pictures.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill what the page leaves to the code."""
    return MARK.sub(lambda found: WRITERS[found[1]](), markdown)
