"""A bar in a notebook that shows how far a study is; elsewhere nothing."""

import sys
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from hpo.service.status import Progress
from hpo.service.studies import DELETED, ENDED
from hpo.spec.telling import number
from hpo.spec.words import counted

if TYPE_CHECKING:
    from collections.abc import Callable


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook: IPython is there, and has one."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookBar:
    """One output of a notebook's cell, drawn anew where there is news; needs no widgets."""

    def __init__(self, study: str) -> None:
        self._study = study
        self._drawn: _Drawn | None = None
        self._update: Callable[[_Drawn], Any] | None = None

    def show(self, now: Progress) -> None:
        """Draw the study's counts."""
        drawn = _draw(self._study, now)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if self._update is None:
            from IPython.display import display

            handle = display(drawn, display_id=True)  # type: ignore[no-untyped-call]
            self._update = handle.update if handle else lambda _: None
        else:
            self._update(drawn)


@dataclass(frozen=True)
class _Drawn:
    """What a notebook asks for: the same in HTML and in plain text."""

    words: str
    ended: int
    budget: int
    is_open: bool

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        bar = (
            f'<progress value="{self.ended}" max="{self.budget}" style="width: 12rem"></progress> '
        )
        return f"<div>{bar if self.is_open else ''}{escape(self.words)}</div>"


def _draw(study: str, now: Progress) -> _Drawn:
    ended = now.trials.ended + now.skipped
    return _Drawn(
        words=f"{study}: {_words(now)}",
        ended=ended,
        budget=max(ended + now.running + now.waiting, 1),
        is_open=now.state not in (*ENDED, DELETED),
    )


def _words(now: Progress) -> str:
    trials, networks = now.trials.ended, counted(now.networks, "network")
    if now.state in (*ENDED, DELETED):
        return f"{now.state}; {counted(trials, 'trial')}, {networks}"
    if not now.benchmarked:
        return "forecasting the benchmarks"
    if now.judging:
        return f"finalists with fresh seeds; {counted(trials, 'trial')}, {networks}"
    best = "" if now.best_score is None else f", best so far {number(now.best_score)}"
    most = trials + now.running + now.waiting + now.skipped
    return f"{now.state}; {trials:,} of at most {counted(most, 'trial')}, {networks}{best}"
