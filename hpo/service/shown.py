"""A study's trials as people are shown them: in reports, on pages, in frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState

from hpo.search.space import fixed_or_first
from hpo.service import studies
from hpo.service.database import Database
from hpo.service.patience import patient
from hpo.service.tables import slots
from hpo.service.trials import FACTS, all_trials
from hpo.spec.study import Space

Ending = Literal["running", "complete", "pruned", "infeasible", "failed"]


@dataclass(frozen=True, kw_only=True)
class TrialShown:
    """One trial: its network, the alpha it was made under, how it ended and why.

    `score` is the mean over folds and seeds on the metric's scale, of a pruned trial over its first
    seed, None where there is none. `reason`: of pruned and infeasible trials, else empty.
    `most_cells`: equal cells that each of as many layers could have had, None where nothing is
    bounded. `lookback`: None where all trials of the study share one. `worker`: who ended it, or
    has it now.
    """

    number: int
    ending: Ending
    cells: tuple[int, ...]
    weights: int
    learning_rate: float
    weight_decay: float
    dropout: float
    lookback: int | None
    alpha: float
    most_cells: int | None
    score: float | None
    reason: str
    worker: str

    @property
    def layers(self) -> int:
        return len(self.cells)

    @property
    def cells_in_all(self) -> int:
        """Cells of all layers together."""
        return sum(self.cells)


@patient
def shown_trials(database: Database, study: studies.Stored) -> list[TrialShown]:
    """Every trial of the study, by its number. Raises UnknownStudy where it is being deleted."""
    columns = ("trial", "state", "outcome", "score", "reason", "worker")
    query = (
        sa.select(*(slots.c[name] for name in columns))
        .where(slots.c.study == study.name, slots.c.kind == "trial", slots.c.trial.is_not(None))
        .order_by(slots.c.trial)
    )
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    by_number = {trial.number: trial for trial in all_trials(database, study.optuna_id)}
    return [
        _shown(by_number[row["trial"]], row, study.spec.space)
        for row in rows
        if row["trial"] in by_number  # else it came after they were read
    ]


class Sized(Protocol):
    """What has a size and a score."""

    @property
    def cells(self) -> tuple[int, ...]: ...

    @property
    def cells_in_all(self) -> int: ...

    @property
    def score(self) -> float | None: ...


AnySize = TypeVar("AnySize", bound=Sized)


def lines_by_layers(sizes: Sequence[AnySize]) -> dict[int, list[AnySize]]:
    """By the number of layers, the best of each number of cells in all, from the fewest up."""
    scored = [(size.score, size) for size in sizes if size.score is not None]
    best: dict[int, dict[int, AnySize]] = {}
    for _, size in sorted(scored, key=lambda pair: pair[0]):
        best.setdefault(len(size.cells), {}).setdefault(size.cells_in_all, size)
    return {n: [of[cells] for cells in sorted(of)] for n, of in sorted(best.items())}


def best_of_sizes(trials: Sequence[TrialShown]) -> list[TrialShown]:
    """Of each size (cells per layer) the best complete trial, by layers, then by total cells."""
    best: dict[tuple[int, ...], TrialShown] = {}
    for trial in trials:
        if trial.ending == "complete" and trial.score is not None:
            rival = best.get(trial.cells)
            if rival is None or rival.score is None or trial.score < rival.score:
                best[trial.cells] = trial
    return sorted(best.values(), key=lambda one: (one.layers, one.cells_in_all, one.cells))


def _shown(trial: FrozenTrial, slot: Any, space: Space) -> TrialShown:
    facts, params = trial.user_attrs[FACTS], trial.params
    return TrialShown(
        number=trial.number,
        ending=_ending(trial, slot),
        cells=tuple(facts["cells"]),
        weights=facts["weights"],
        learning_rate=params["learning_rate"],
        weight_decay=params.get("weight_decay", fixed_or_first(space.weight_decay)),
        dropout=params.get("dropout", fixed_or_first(space.dropout)),
        lookback=params.get("lookback"),
        alpha=facts["alpha"],
        most_cells=facts["max_equal_cells"],
        score=slot["score"],
        reason=slot["reason"] or "",
        worker=slot["worker"] or "",
    )


def _ending(trial: FrozenTrial, slot: Any) -> Ending:
    """The slots of a study that was cancelled stay as they are; its trials failed."""
    if slot["state"] == "ended":
        return _ENDINGS.get(slot["outcome"], "failed")
    return "failed" if trial.state == TrialState.FAIL else "running"


_ENDINGS: dict[str, Ending] = {
    "complete": "complete",
    "pruned": "pruned",
    "infeasible": "infeasible",
}
