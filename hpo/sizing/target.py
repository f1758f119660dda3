"""The smallest network whose score is good enough, for a score that is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass

from hpo.sizing.metric import score
from hpo.sizing.race import Entrant, finite
from hpo.spec.words import METRICS, size_in_words

STEP = 0.1  # the neighbouring marks are as much easier and harder


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A score, the smallest network that reaches it, and that one's own score.

    `cells` and `score` are None where none does; `is_fresh`: of seeds the search had not seen.
    """

    target: float
    cells: tuple[int, ...] | None
    score: float | None
    is_fresh: bool


def marks(
    target: float, entrants: Sequence[Entrant], raced: Sequence[Entrant], *, metric: str
) -> tuple[Mark, Mark, Mark]:
    """What reaches a score 10 % easier than the target, the target, and one 10 % harder.

    Of each trial among the entrants the score is that of its fresh seeds where it `raced`, else
    of the search's. Those with errors that are not finite reach nothing.
    """
    fresh = {entrant.trial: entrant for entrant in raced}
    known = [fresh.get(entrant.trial, entrant) for entrant in entrants]
    able = sorted((known[i] for i in finite(known)), key=lambda e: (e.weights, e.losses_SO.mean()))
    scored = [(e, float(score(e.losses_SO.mean(), metric))) for e in able]

    def mark(wanted: float) -> Mark:
        for entrant, reached in scored:
            if reached <= wanted:
                is_fresh = entrant.trial in fresh
                return Mark(target=wanted, cells=entrant.cells, score=reached, is_fresh=is_fresh)
        return Mark(target=wanted, cells=None, score=None, is_fresh=False)

    return mark(_round(target * (1 + STEP))), mark(target), mark(_round(target * (1 - STEP)))


def in_words(found: Sequence[Mark], *, metric: str) -> str:
    """One sentence for all marks.

    >>> easy = Mark(target=0.9, cells=(3,), score=0.88, is_fresh=True)
    >>> target = Mark(target=0.8, cells=(11,), score=0.79, is_fresh=False)
    >>> hard = Mark(target=0.72, cells=None, score=None, is_fresh=False)
    >>> in_words((easy, target, hard), metric="mase")
    'For MASE 0.9, 1 layer of 3 cells is enough; for 0.8, 1 layer of 11 cells (by the seeds of the search alone); no network of this study reaches 0.72.'
    """  # noqa: E501
    reached = [mark for mark in found if mark.cells is not None]
    missed = [f"{mark.target:g}" for mark in found if mark.cells is None]
    parts = [f"for {mark.target:g}, {_size(mark)}" for mark in reached]
    if missed:
        parts.append(f"no network of this study reaches {' or '.join(missed)}")
    if not reached:
        return f"No network of this study reaches {METRICS[metric]} {' or '.join(missed)}."
    parts[0] = f"For {METRICS[metric]} {reached[0].target:g}, {_size(reached[0])} is enough"
    return "; ".join(parts) + "."


def _size(mark: Mark) -> str:
    """Its size, and whether its score may be the luck of having been searched for."""
    words = size_in_words(mark.cells or ())
    return words if mark.is_fresh else f"{words} (by the seeds of the search alone)"


def _round(value: float) -> float:
    """To three significant digits.

    >>> _round(0.8 * 1.1), _round(1234.0)
    (0.88, 1230.0)
    """
    return float(f"{value:.3g}")
