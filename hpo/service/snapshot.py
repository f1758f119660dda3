"""A study at one moment, as those who watch it see it: read again and again, at little cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from hpo.errors import UnknownStudy
from hpo.service import studies
from hpo.service.answers import benchmark_scores
from hpo.service.database import Database
from hpo.service.patience import patient
from hpo.service.registry import last_refusal, workers_of
from hpo.service.shown import TrialShown, best_of_sizes, shown_trials
from hpo.service.status import Progress
from hpo.service.tables import networks
from hpo.sizing.rounds import MOST_ROUNDS
from hpo.sizing.verdict import MOST_FINALISTS

Stage = Literal["benchmarks", "search", "finalists", "test", "ended"]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What a live view draws of a study.

    `budget`: the most trials; a search that `may_end_early` may need fewer. `sizes`: the best trial
    of each size, by size. `trying`: cells per layer of the trials that are worked on. `raced` and
    `tested`: networks of the final race and of the test span so far; `most_raced`: the most that
    the race may train. `trouble`: why no one works on it, or empty.
    """

    study: str
    metric: str
    budget: int
    may_end_early: bool
    progress: Progress
    benchmarks: Mapping[str, float]
    sizes: list[TrialShown]
    trying: list[tuple[int, ...]]
    raced: int
    tested: int
    most_raced: int
    workers: int
    trouble: str

    @property
    def stage(self) -> Stage:
        if self.progress.state in (*studies.ENDED, studies.DELETED):
            return "ended"
        if not self.progress.benchmarked:
            return "benchmarks"
        if not self.progress.judging:
            return "search"
        return "test" if self.tested else "finalists"


class Watch:
    """Takes snapshots of a study; what does not change is read once. Raises UnknownStudy."""

    def __init__(self, database: Database, name: str) -> None:
        self._database, self._stored = database, studies.find(database, name)
        self._benchmarks: dict[str, float] = {}

    def snapshot(self, now: Progress) -> Snapshot:
        """The study with these counts of it. Raises UnknownStudy when it is being deleted."""
        if now.state == studies.DELETED:
            raise UnknownStudy("the study was deleted")
        if now.benchmarked and not self._benchmarks:
            self._benchmarks = benchmark_scores(self._database, self._stored)
        stored, database = self._stored, self._database
        spec, shown = stored.spec, shown_trials(database, stored)
        raced, tested = self._of_the_race() if now.judging else (0, 0)
        at_work = _workers(database, stored.name)
        each = spec.validation.folds * spec.validation.seeds
        return Snapshot(
            study=stored.name,
            metric=spec.task.metric,
            budget=now.budget,
            may_end_early=spec.search.sampler == "ladder",
            progress=now,
            benchmarks=self._benchmarks,
            sizes=best_of_sizes(shown),
            trying=[trial.cells for trial in shown if trial.ending == "running"],
            raced=raced,
            tested=tested,
            most_raced=MOST_FINALISTS * (1 + MOST_ROUNDS) * each,
            workers=at_work,
            trouble="" if at_work else _refusal(database, stored.name),
        )

    def _of_the_race(self) -> tuple[int, int]:
        validation = self._stored.spec.validation
        return _networks_of_race(
            self._database,
            self._stored.name,
            test_fold=validation.folds,  # its number: it comes after them
            first_seed=validation.fresh_seeds.start,
        )


@patient
def _networks_of_race(
    database: Database, study: str, *, test_fold: int, first_seed: int
) -> tuple[int, int]:
    """How many networks have fresh seeds: on the folds, and on the test span."""
    is_test = networks.c.fold == test_fold
    query = (
        sa.select(is_test, sa.func.count())
        .where(networks.c.study == study, networks.c.seed >= first_seed)
        .group_by(is_test)
    )
    with database.reading() as connection:
        counts = {bool(row[0]): int(row[1]) for row in connection.execute(query)}
    return counts.get(False, 0), counts.get(True, 0)


@patient
def _workers(database: Database, study: str) -> int:
    return len(workers_of(database, study))


@patient
def _refusal(database: Database, study: str) -> str:
    return last_refusal(database, study)
