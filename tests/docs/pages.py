"""The pages that people read, README among them, and the blocks of code on them.

A comment right before a block says how a test treats it; see `Block`.
"""

import re
import shlex
import textwrap
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCED = re.compile(
    r"(?:^ *<!-- (?P<mark>[^>]*) -->\n)?^(?P<indent> *)```(?P<kind>\w+)[^\n]*\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
JOINTS = ("|", "||", "&&", "&", ";")
FILE_NEXT = (">", ">>", "<", "2>")
HISTORY = ("evidence", "decisions")  # tell of what was, also of what is no more


@dataclass(frozen=True)
class Block:
    """One fenced block and its mark, the comment right before it.

    No mark: bash and python are run in the order of the page, in a folder that has the repository's
    studies/. Text after them is what they print, `...` in it stands for anything; JSON has the keys
    that they print. Other kinds are read.
    `in file: NAME`: what that file holds by then, numbers to a fifth.
    `not run: WHY`: read only. `exits 3`: it ends with this code. `file: NAME`: that file in the
    folder holds. `transcript: COMMAND`: what a command printed, once. `drawn: WHAT`: a picture in
    characters, drawn by its own test.
    """

    mark: str
    kind: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command of bash, without comments."""
        found: list[list[str]] = [[]]
        for line in self.text.replace("\\\n", " ").splitlines():
            found.append([])
            for before, word in pairwise(["", *shlex.split(line, comments=True)]):
                if word in JOINTS:
                    found.append([])
                elif word not in FILE_NEXT and before not in FILE_NEXT:
                    found[-1].append(word)
        return [words for words in found if words]

    @property
    def is_run(self) -> bool:
        return self.kind in ("bash", "python") and not self.mark.startswith(("not run: ", "file: "))

    @property
    def file(self) -> str:
        """The name of the file that holds this; empty for none."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else ""

    @property
    def found_in(self) -> str:
        """The name of the file in which this is found; empty for none."""
        return self.mark.removeprefix("in file: ") if self.mark.startswith("in file: ") else ""

    @property
    def exit_code(self) -> int:
        return int(self.mark.removeprefix("exits ")) if self.mark.startswith("exits ") else 0


@dataclass(frozen=True)
class Page:
    """A page in Markdown."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        return [
            Block(found["mark"] or "", found["kind"], textwrap.dedent(found["text"]))
            for found in FENCED.finditer(self.text)
        ]

    @property
    def inline(self) -> set[str]:
        """What stands between backticks in the text, also in tables."""
        return set(INLINE.findall(FENCED.sub("", self.text)))

    @property
    def is_history(self) -> bool:
        return self.path.parent.name in HISTORY


PAGES = [Page(path) for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))]
BLOCKS = [(page, block) for page in PAGES for block in page.blocks]
