"""What a study's page shows, gathered from the database in one go, for the page and its poll."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from hpo.service import studies
from hpo.service.answers import benchmark_scores
from hpo.service.database import Database
from hpo.service.overview import WorkerRow, all_workers
from hpo.service.shown import TrialShown, best_of_sizes, shown_trials
from hpo.service.status import Progress, progress, trouble
from hpo.spec.answer import Answer
from hpo.spec.words import METRICS
from hpo.web.curve import size_curve

CHANGES = {  # what an admin may do, by the study's state
    "queued": ("pause", "stop", "cancel"),
    "running": ("pause", "stop", "cancel"),
    "paused": ("resume", "stop", "cancel"),
    "stopping": ("cancel",),
}


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """A study at one moment."""

    name: str
    optuna_id: int
    question: str
    state: str
    metric: str
    may_end_early: bool
    progress: Progress
    benchmarks: Mapping[str, float]
    trials: list[TrialShown]
    workers: list[WorkerRow]
    trouble: str
    answer: Answer | None

    @property
    def over(self) -> int:
        """Trials that are ended, or will not be made."""
        return self.progress.trials.ended + self.progress.skipped

    @property
    def has_ended(self) -> bool:
        return self.state in studies.ENDED

    @property
    def stage(self) -> str:
        """What is being done now, in words."""
        now = self.progress
        if self.state != "running" and self.state != "stopping":
            return ""
        if not now.benchmarked:
            return "forecasting the benchmarks"
        return "training the finalists with fresh seeds" if now.judging else "searching"

    @property
    def best(self) -> TrialShown | None:
        found = [trial for trial in self.trials if trial.ending == "complete"]
        return min(found, key=lambda trial: trial.score or 0.0) if found else None

    @property
    def mark(self) -> int:
        """The first trial that may still change: a reader that knows all below need not ask."""
        open_ones = [trial.number for trial in self.trials if trial.ending == "running"]
        return min(open_ones, default=self.trials[-1].number + 1 if self.trials else 0)

    @property
    def changes(self) -> tuple[str, ...]:
        """What may be done with the study, beside deleting it."""
        return CHANGES.get(self.state, ())

    def curve(self) -> Markup:
        return size_curve(
            best_of_sizes(self.trials),
            metric=METRICS[self.metric],
            benchmarks=self.benchmarks,
            recommended=(self.answer.cells or ()) if self.answer else (),
        )


def study_view(database: Database, name: str) -> StudyView:
    """The study now. Raises UnknownStudy."""
    # The counts first: when they say that the study has ended, what is read later is complete.
    now = progress(database, name)
    stored = studies.find(database, name)
    spec, workers = stored.spec, all_workers(database, name)
    if stored.answer is not None:
        benchmarks: Mapping[str, float] = stored.answer.benchmarks
    else:
        benchmarks = benchmark_scores(database, stored) if now.benchmarked else {}
    return StudyView(
        name=name,
        optuna_id=stored.optuna_id,
        question=spec.question,
        state=stored.state,
        metric=spec.task.metric,
        may_end_early=spec.search.sampler == "ladder",
        progress=now,
        benchmarks=benchmarks,
        trials=shown_trials(database, stored),
        workers=workers,
        trouble=stored.error or trouble(database, stored, is_served=bool(workers)),
        answer=stored.answer,
    )
