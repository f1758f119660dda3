"""A study in the database, as Python holds it: wait for it, look at it, steer it, take it away."""

import importlib
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo import events
from hpo.errors import (
    DatabaseError,
    HpoError,
    Interrupted,
    StudyFailed,
    UnknownStudy,
    UsageError,
)
from hpo.spec.answer import Answer
from hpo.spec.storage import storage_in_force

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from matplotlib.figure import Figure

    from hpo.service.database import Database
    from hpo.service.snapshot import Snapshot
    from hpo.service.status import Progress
    from hpo.service.supervisor import Supervisor

POLL_S = 0.25

if "IPython" in sys.modules:  # tqdm, which Optuna imports, would ask notebooks for widgets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("tqdm.auto")

OnProgress = Callable[["Progress"], None]
OnSnapshot = Callable[["Snapshot"], None]
OnEvent = Callable[[events.Event], None]


def silent(_: Any) -> None:
    """Tell no one."""


@contextmanager
def opened(storage: str, *, create: bool = True, patience_s: float = 0.0) -> "Iterator[Database]":
    """A database, open for the length of a `with`. Raises DatabaseError.

    Once it has answered, it is waited for when it is away, `patience_s` seconds.
    """
    from hpo.service.database import open_database
    from hpo.service.patience import Patience
    from hpo.service.trials import quiet

    quiet()
    database = open_database(storage or storage_in_force(), create=create)
    try:
        yield replace(database, patience=Patience(longest_s=patience_s))
    finally:
        database.close()


class StudyHandle:
    """A launched study: wait for it, follow it, ask for its answer."""

    def __init__(self, name: str, storage: str, supervisor: "Supervisor | None") -> None:
        self.name = name
        self.storage = storage
        self._supervisor = supervisor

    def __repr__(self) -> str:
        from hpo.service.database import without_password

        return f"StudyHandle({self.name!r}, storage={without_password(self.storage)!r})"

    def _repr_html_(self) -> str:
        """As a notebook shows it: state, progress, the answer; why, where it cannot be read."""
        from hpo.web.card import card, card_without_study

        try:
            with opened(self.storage, create=False) as database:
                return card(database, self.name)
        except HpoError as error:
            return card_without_study(self.name, error)

    def status(self) -> dict[str, Any]:
        """State, counts of trials, the best network so far, the workers."""
        from hpo.service.status import status

        with opened(self.storage, create=False) as database:
            return status(database, self.name)

    def answer(self) -> Answer:
        """The verdict, or what is known before it (`state` says which)."""
        from hpo.service.answers import answer_of

        with opened(self.storage, create=False) as database:
            return answer_of(database, self.name)

    def wait(
        self,
        *,
        timeout_s: float = 0.0,
        progress: bool = True,
        on_progress: OnProgress = silent,
        on_event: OnEvent = silent,
        on_snapshot: OnSnapshot | None = None,
    ) -> Answer:
        """Wait for the verdict and return the answer.

        `on_progress` gets the study's counts again and again, `on_snapshot` what a live view shows.
        In a notebook a bar tells how far it is, unless `progress` is False; elsewhere nothing is
        printed.
        After `timeout_s` (0: never) no new trial begins and the verdict is made on what there is.
        An interrupt stops the workers, keeps all that was trained and raises Interrupted.
        Raises StudyFailed when the study ends without an answer.
        """
        from hpo.service.answers import answer_of
        from hpo.service.patience import PATIENCE_S

        hear = self._with_bar(on_progress) if progress else on_progress
        with opened(self.storage, create=False, patience_s=PATIENCE_S) as database:
            try:
                see = self._seeing(database, hear, on_snapshot)
                self._follow(database, timeout_s, see, on_event)
            except KeyboardInterrupt:
                self.close()
                raise self._interrupted(on_event) from None
            finally:
                self.close()
            self._refuse_no_answer(database)
            return database.patience.call(lambda: answer_of(database, self.name))

    def watch(self, on_snapshot: OnSnapshot) -> None:
        """Show the study until it ends, whoever works on it. Raises UnknownStudy."""
        from hpo.service.patience import PATIENCE_S

        with opened(self.storage, create=False, patience_s=PATIENCE_S) as database:
            self._follow(database, 0.0, self._seeing(database, silent, on_snapshot), silent)

    def _seeing(
        self, database: "Database", on_progress: OnProgress, on_snapshot: OnSnapshot | None
    ) -> OnProgress:
        """What hears the counts, and has a snapshot taken where one is wanted."""
        from hpo.service.snapshot import Watch

        if on_snapshot is None:
            return on_progress
        watch = Watch(database, self.name)

        def see(now: "Progress") -> None:
            on_progress(now)
            with suppress(UnknownStudy):  # it is being deleted: the next counts say so
                on_snapshot(watch.snapshot(now))

        return see

    def _with_bar(self, on_progress: OnProgress) -> OnProgress:
        """What hears the counts, with a bar in a notebook."""
        from hpo.web.notebook import NotebookBar, is_notebook

        if not is_notebook():
            return on_progress
        bar = NotebookBar(self.name)

        def hear(now: "Progress") -> None:
            bar.show(now)
            on_progress(now)

        return hear

    def refuse_no_answer(self) -> None:
        """Raise StudyFailed, with the reason, when the study has ended without an answer."""
        with opened(self.storage, create=False) as database:
            self._refuse_no_answer(database)

    def _refuse_no_answer(self, database: "Database") -> None:
        from hpo.service import studies
        from hpo.service.status import status

        state = studies.state(database, self.name)
        if state is None:
            raise StudyFailed(f"the study {self.name!r} was deleted while it ran")
        if state == "cancelled":
            raise StudyFailed(f"the study {self.name!r} was cancelled")
        if state == "failed":
            told = database.patience.call(lambda: status(database, self.name))
            error = str(told["error"] or "no reason is known").strip()
            raise StudyFailed(
                f"the study {self.name!r} is {state}: {error.splitlines()[-1]}",
                remedy=f"all of it: hpo status {self.name}" if "\n" in error else "",
            )

    def report(self, folder: str | Path = ".") -> Path:
        """Write the report, NAME-report.html, into the folder; its absolute path.

        Raises UsageError before the verdict and where it cannot be written, StudyFailed for a study
        that ended without an answer.
        """
        from hpo.web.report import write_report

        with opened(self.storage, create=False) as database:
            return write_report(database, self.name, Path(folder))

    def figures(self, folder: str | Path) -> list[Path]:
        """Write each figure of the report as PNG and SVG; their absolute paths. Raises as above."""
        from hpo.web.report import write_figures

        with opened(self.storage, create=False) as database:
            return write_figures(database, self.name, Path(folder))

    def plot(self, name: str = "size-curve") -> "Figure":
        """A figure of the report, as matplotlib's: a notebook shows it, `savefig` writes it.

        With the verdict there are `size-curve`, `alpha-path` (where alpha moved),
        `fit-and-forecast`, `test-span`, `residuals` and `importance`; before it the size curve of
        what is known so far. Raises UsageError for a name that this study has no figure of, and
        StudyFailed before the first trial is complete.
        """
        from hpo.web.plotting import plot

        with opened(self.storage, create=False) as database:
            return plot(database, self.name, name)

    def answer_frame(self) -> "pd.DataFrame":
        """The recommended network and every benchmark, one row each, the best on the folds first.

        `competitor`: "lstm" or a benchmark's name; `cells` per layer (tuple) and `weights` of the
        network. `score`: the mean error over the folds' origins, of the network with fresh seeds;
        `test_score`: that over the test span; `score_se`, `test_se`: their standard errors (block
        bootstrap over origins). All are in the metric, which `attrs["metric"]` names: mase and
        smape have no unit, rmse and mae that of the target; lower is better. `ratio`,
        `test_ratio`: the score divided by that of the benchmark that is best on the folds: above 1
        is worse. NaN: not known (yet). Before the verdict there are the benchmarks alone.
        """
        from hpo.web.frames import answer_frame

        with opened(self.storage, create=False) as database:
            return answer_frame(database, self.name)

    def trials_frame(self) -> "pd.DataFrame":
        """Every trial so far, one row each, by its number.

        `number`; `state`: running, complete, pruned, infeasible or failed; `layers`; `cells` per
        layer (tuple) and `cells_total` of all layers; `weights`: how many the network has;
        `learning_rate`, `weight_decay`, `dropout`; `lookback` in steps (<NA>: one for all trials,
        told with the verdict); `alpha` in force; `score` in the metric that `attrs["metric"]`
        names, mean over folds and seeds, of a pruned trial over its first seed, NaN where there is
        none; `reason`: of pruned and infeasible trials; `worker`: who ended it, or has it now.
        """
        from hpo.web.frames import trials_frame

        with opened(self.storage, create=False) as database:
            return trials_frame(database, self.name)

    def pause(self) -> None:
        """Begin nothing new until `resume`; what runs goes on. Raises UsageError after its end."""
        self._change("pause")

    def resume(self) -> None:
        """Let a paused study go on. Raises UsageError when it is not paused."""
        self._change("resume")

    def stop(self) -> None:
        """Finish what runs, then make the verdict. Raises UsageError after its end."""
        self._change("stop")

    def cancel(self) -> None:
        """End the study now, without a verdict. Raises UsageError after its end."""
        self._change("cancel")

    def _change(self, verb: str) -> None:
        from hpo.service import life

        with opened(self.storage, create=False) as database:
            getattr(life, verb)(database, self.name)

    def close(self) -> None:
        """End the workers this handle started; the study stays as it is and can go on."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None

    def delete(self) -> None:
        """Remove the study with all its trials; the workers this handle started end first."""
        from hpo.service import deletion

        self.close()
        with opened(self.storage, create=False) as database:
            deletion.delete(database, self.name)

    def export(self, folder: "str | Path", *, onnx: bool = False) -> "Path":
        """Write the recommended network, refitted on all rows, to a new folder; its path.

        What is there can be taken anywhere: `hpo.load(folder).predict(frame)`. `onnx`: the networks
        as ONNX too, checked against torch. Raises StudyFailed for a study that ended without an
        answer; UsageError for one that has none yet, or of an earlier hpo, for a folder that is not
        empty and where the packages of `onnx` are missing; DataError for data that are not here.
        """
        from pathlib import Path

        from hpo.export.making import make
        from hpo.service.answers import note_place
        from hpo.service.machine import cores_each
        from hpo.service.recommended import recommended
        from hpo.training.engine import Engines

        path = Path(folder)
        with opened(self.storage, create=False) as database:
            self._refuse_no_answer(database)
            found = recommended(database, self.name)
            engines = Engines(found.engine, found.prepared.study.training.device)
            threads = engines.threads(cores_each(1))
            make(found, path, trainer_for=engines.trainer_for, threads=threads, with_onnx=onnx)
            note_place(database, self.name, "model", path)
        return path.resolve()

    def _follow(
        self, database: "Database", timeout_s: float, on_progress: OnProgress, on_event: OnEvent
    ) -> None:
        from hpo.service import life, studies
        from hpo.service.status import progress

        started, closed = time.monotonic(), timeout_s <= 0
        while True:
            at_work = self._supervisor is None or self._supervisor.watch()
            now = progress(database, self.name)
            on_progress(now)
            if now.state in (*studies.ENDED, "deleted"):
                break
            if not at_work:
                raise self._no_workers()
            if not closed and time.monotonic() - started > timeout_s:
                closed = True
                with suppress(UsageError):  # it has just ended
                    stop = partial(life.stop, database, self.name, by=life.BY_TIME)
                    database.patience.call(stop)
                on_event(events.TimeLimitReached(self.name, timeout_s))
            time.sleep(POLL_S)

    def _no_workers(self) -> HpoError:
        """All workers ended before the study did: why, by the exit code of the worst."""
        code = self._supervisor.exit_code if self._supervisor else 0
        kind = DatabaseError if code == DatabaseError.exit_code else StudyFailed
        return kind(
            f"all workers of {self.name!r} ended before the study did (exit code {code})",
            remedy="their messages are above; the same command goes on",
        )

    def _interrupted(self, on_event: OnEvent) -> Interrupted:
        """What is said of it; a database that is away is not waited for."""
        from hpo.service import studies
        from hpo.service.database import without_password
        from hpo.service.status import progress

        try:
            with opened(self.storage, create=False) as database:
                now, stored = progress(database, self.name), studies.find(database, self.name)
        except HpoError:
            return Interrupted("interrupted; the same command goes on")
        event = events.StudyInterrupted(
            self.name,
            without_password(self.storage),
            now.trials.ended,
            stored.spec.budget.trials,
            now.networks,
        )
        on_event(event)
        return Interrupted(events.sentence(event))
