"""The course of a search as its answer tells it: the climb of the ladder, the path of alpha."""

from collections.abc import Sequence
from itertools import groupby
from math import isfinite

from hpo.search.phases import Standing, gap_of_trial, standing
from hpo.search.rungs import tuned_values
from hpo.service.final_race import FinalRace
from hpo.service.trials import parted
from hpo.sizing.gap import Gap, Phase
from hpo.sizing.ladder import Climb, Look
from hpo.spec.answer import AlphaPhase, GapMeasured, LadderLook
from hpo.spec.words import counted, size_in_words


class Course:
    """Where the search of a race's study stands at its end: its bound is that of the verdict."""

    def __init__(self, race: FinalRace) -> None:
        self.race = race
        ended, _ = parted(race.trials)
        self.end: Standing = standing(race.prepared, ended, race.known, is_over=True)

    def alpha_path(self) -> tuple[AlphaPhase, ...]:
        """The phases of the search."""
        return tuple(
            AlphaPhase(
                alpha=phase.alpha,
                bound=phase.bound,
                cells=phase.cells,
                score=phase.score,
                gap=_measured(phase.gap),
                reason=phase.reason,
            )
            for phase in self.end.path
        )

    def gap(self, number: int) -> GapMeasured | None:
        """The gap of a complete trial's networks."""
        trial = self.race.trials[number]
        return _measured(gap_of_trial(self.end.prepared, trial, self.race.known[number]))

    def ladder(self) -> tuple[LadderLook, ...]:
        """Every step of the ladder; none where the study has no ladder."""
        if self.end.climb is None:
            return ()
        rates = tuned_values(self.end.prepared)["learning_rate"]
        return tuple(_told(look, rates[look.rung.setting[0]]) for look in self.end.climb.looks)

    def reasons(self, trials: int, budget: int) -> tuple[str, ...]:
        """How the ladder ended, of so many `trials` of the budget, and what became of alpha."""
        climb = self.end.climb
        on_ladder = (about_climb(climb, trials, budget),) if climb else ()
        return (*on_ladder, *about_path(self.end.path))


def about_climb(climb: Climb, trials: int, budget: int) -> str:
    """Where the ladder ended, and why.

    >>> from hpo.sizing.ladder import Rung
    >>> story = ("none of 4, 6, 8 cells pays", "a second layer does not pay")
    >>> climb = Climb(wanted=(), ahead=(), top=Rung((3,), (1,)), looks=(), story=story)
    >>> about_climb(climb, 12, 60)
    'The ladder ended at 1 layer of 3 cells after 12 of 60 trials: none of 4, 6, 8 cells pays; a second layer does not pay.'
    """  # noqa: E501
    at, of = size_in_words(climb.top.cells), f"{trials} of {counted(budget, 'trial')}"
    if not climb.has_ended:
        return f"The ladder stood at {at} when the search ended after {of}."
    return f"The ladder ended at {at} after {of}: {'; '.join(climb.story)}."


def about_path(path: Sequence[Phase]) -> tuple[str, ...]:
    """The best network inside the bound of each alpha, and what its gap made of that.

    Phases in a row with the same best network are told as one, with what came of the last.

    >>> from dataclasses import replace
    >>> same = dict(bound=28, cells=(3,), score=0.4, gap=None)
    >>> at_2 = Phase(alpha=2.0, reason="alpha rises to 3", **same)
    >>> at_3 = replace(at_2, alpha=3.0, reason="its gap is as usual")
    >>> about_path([at_2, at_3])
    ('At alpha 2 and 3 the best network tried is 1 layer of 3 cells: its gap is as usual.',)
    >>> about_path([at_2, replace(at_3, cells=(2,))])[0]
    'At alpha 2 the best network tried is 1 layer of 3 cells: alpha rises to 3.'
    """
    told = []
    for cells, alike in groupby(path, key=lambda phase: phase.cells):
        phases = list(alike)
        *first, last = dict.fromkeys(f"{phase.alpha:g}" for phase in phases)
        at = f"{', '.join(first)} and {last}" if first else last
        size, reason = size_in_words(cells), phases[-1].reason
        told.append(f"At alpha {at} the best network tried is {size}: {reason}.")
    return tuple(told)


def _measured(gap: Gap | None) -> GapMeasured | None:
    return GapMeasured(ratio=gap.ratio, low=gap.low, expected=gap.expected) if gap else None


def _told(look: Look, rate: float) -> LadderLook:
    could_train = isfinite(look.gain)
    return LadderLook(
        over=look.over.cells,
        cells=look.rung.cells,
        learning_rate=rate,
        gain=look.gain if could_train else None,
        se=look.se if could_train else None,
        pays=look.pays,
    )
