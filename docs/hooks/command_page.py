"""Every command with its options, as cyclopts tells them."""

import re

from hpo.cli import app

STUDY_VALUES = re.compile(r"\*\*Values of the study\*\*:\n\n(?:\* .*\n)+")
CONTENTS = re.compile(r"## Table of Contents\n.*?(?=\*\*Commands\*\*)", re.DOTALL)
SEE_STUDY = """**Values of the study**:

* all of them, each as an option: see [Values of a study](study.md)
"""


def commands() -> str:
    """The commands in Markdown; the page has its own title and contents."""
    told = app.generate_docs(usage_name="hpo")
    told = told.partition("\n")[2]  # without the title
    told = CONTENTS.sub("", STUDY_VALUES.sub(lambda _: SEE_STUDY, told))
    return told.replace("```console", "```text")
