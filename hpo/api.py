"""Launch, wait, answer: the only place that wires the rooms together."""

import importlib
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo import events
from hpo.data.question import Question, ask
from hpo.errors import (
    DatabaseError,
    HpoError,
    Interrupted,
    SpecError,
    StudyFailed,
    UnknownStudy,
    UsageError,
)
from hpo.spec.answer import Answer
from hpo.spec.options import from_keywords
from hpo.spec.storage import storage_in_force
from hpo.spec.study import Study

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
WATCH_ALL_S = 1.0

if "IPython" in sys.modules:  # tqdm, which Optuna imports, would ask notebooks for widgets
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("tqdm.auto")

OnProgress = Callable[["Progress"], None]
OnSnapshot = Callable[["Snapshot"], None]
OnEvent = Callable[[events.Event], None]


def _silent(_: Any) -> None:
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
        on_progress: OnProgress = _silent,
        on_event: OnEvent = _silent,
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
            self._follow(database, 0.0, self._seeing(database, _silent, on_snapshot), _silent)

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

        Raises StudyFailed before the verdict, UsageError where it cannot be written.
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


def check(source: Any, *, name: str = "", **values: Any) -> dict[str, Any]:
    """What the data are and how large a network they carry; trains nothing, needs no database.

    See `launch` for `source` and `values`. Among others `rows`, `samples` (training windows),
    `season` and `lookback` in steps, `bound` (the most cells by number of layers) and `warnings`:
    what `hpo check --json` prints. Raises SpecError, DataError.
    """
    from hpo.data.question import describe

    return describe(ask(source, from_keywords(values), name=name))


def launch(
    source: Any,
    *,
    storage: str = "",
    name: str = "",
    workers: int = 1,
    threads: int = 0,
    on_event: OnEvent = _silent,
    **values: Any,
) -> StudyHandle:
    """Start a study, or go on with it, and return at once.

    `source` is a study's TOML file, a CSV or Parquet file, a Study, or a frame (pandas or any
    other that narwhals knows). `values` are a study's values by the last part of their key:
    `target="sales", horizon=12, trials=30`. A file or frame with the columns `unique_id`, `ds` and
    `y` (Nixtla's long frame) needs no target, time or series. `workers` processes train on this
    machine, each `threads` networks at once (0: as many as leave the processor's cores to all
    workers alike).
    Raises SpecError, DataError, DatabaseError, StudyConflict.

    >>> study = launch("studies/airline.toml", workers=2)  # doctest: +SKIP
    >>> study.wait().layers  # doctest: +SKIP
    1
    """
    question = ask(source, from_keywords(values), name=name)
    return launch_question(
        question, storage=storage, workers=workers, threads=threads, on_event=on_event
    )


def launch_question(
    question: Question,
    *,
    storage: str = "",
    workers: int = 1,
    threads: int = 0,
    on_event: OnEvent = _silent,
) -> StudyHandle:
    """`launch` for a question that was asked before."""
    from hpo.service import studies
    from hpo.service.machine import cores_each, memory_gb_each
    from hpo.service.supervisor import Supervisor, WorkerOptions
    from hpo.training.engine import native_is_available, wants_native

    _refuse_counts(workers=workers, threads=threads)
    study = question.study
    _refuse_missing_device(study)
    handle = submit_question(question, storage=storage, on_event=on_event)
    with opened(handle.storage, create=False) as database:
        stored = studies.find(database, study.name)
    if stored.state == "done":
        return handle
    if wants_native(stored.engine) and not native_is_available():
        on_event(events.NativeEngineMissing(study.name))
    options = WorkerOptions(
        only=study.name,
        threads=threads or cores_each(workers),
        memory_gb=memory_gb_each(workers),
        quiet=True,
    )
    supervisor = Supervisor(handle.storage, options, count=workers, hear=on_event)
    return StudyHandle(study.name, handle.storage, supervisor)


def submit(
    source: Any, *, storage: str = "", name: str = "", on_event: OnEvent = _silent, **values: Any
) -> StudyHandle:
    """Write a study to the database for workers anywhere to carry out, and return at once.

    See `launch` for `source` and `values`. Raises SpecError, DataError, DatabaseError,
    StudyConflict.
    """
    question = ask(source, from_keywords(values), name=name)
    return submit_question(question, storage=storage, on_event=on_event)


def submit_question(
    question: Question, *, storage: str = "", on_event: OnEvent = _silent
) -> StudyHandle:
    """`submit` for a question that was asked before."""
    from hpo.service import studies, submission
    from hpo.service.study_data import to_be_stored
    from hpo.training.engine import resolve_engine

    study, url = question.study, storage or storage_in_force()
    with opened(url) as database:
        is_new = submission.submit(
            database,
            study,
            data=to_be_stored(question.frame, study.data),
            data_fingerprint=question.prepared.panel.fingerprint,
            engine=resolve_engine(study.training.engine, study.training.device),
        )
        is_done = studies.state(database, study.name) == "done"
        on_event(_opening(database, study, is_new=is_new, is_done=is_done))
    return StudyHandle(study.name, url, None)


def work(
    name: str = "",
    *,
    storage: str = "",
    workers: int = 1,
    threads: int = 0,
    idle_exit_s: float = 0.0,
    memory_gb: float = 0.0,
    metrics_port: int = 0,
    stop: threading.Event | None = None,
    on_event: OnEvent = _silent,
) -> int:
    """Work on the study `name` until it ends, or on every open study; the workers' exit code.

    It ends when `stop` is set, or, with `idle_exit_s`, after so many seconds with nothing to do.
    `memory_gb`: the most that the trainings of one worker may take; 0: its share of nine tenths of
    the machine's. The metrics of worker i are on 127.0.0.1, port `metrics_port` + i.
    Raises DatabaseError, UnknownStudy, SpecError.
    """
    from hpo.service import studies
    from hpo.service.machine import cores_each, memory_gb_each
    from hpo.service.supervisor import Supervisor, WorkerOptions

    _refuse_counts(workers=workers, threads=threads)
    url, ended = storage or storage_in_force(), stop or threading.Event()
    with opened(url, create=not name) as database:
        if name:
            studies.find(database, name)
    options = WorkerOptions(
        only=name,
        threads=threads or cores_each(workers),
        idle_exit_s=idle_exit_s,
        memory_gb=memory_gb or memory_gb_each(workers),
        metrics_port=metrics_port,
    )
    supervisor = Supervisor(url, options, count=workers, hear=on_event)
    try:
        while not ended.is_set() and supervisor.watch():
            ended.wait(POLL_S)
    finally:
        supervisor.stop()
    return supervisor.exit_code


def upgrade(*, storage: str = "") -> tuple[str, str]:
    """Bring the database's tables to this version; from which to which. Raises DatabaseError."""
    from hpo.service.database import upgrade as upgrade_tables

    return upgrade_tables(storage or storage_in_force())


def prune(older_s: float, *, storage: str = "") -> list[str]:
    """Remove the studies that ended more than `older_s` seconds ago; their names."""
    from hpo.service import deletion, studies

    with opened(storage or storage_in_force(), create=False) as database:
        names = studies.ended_before(database, older_s)
        for name in names:
            with suppress(UnknownStudy):  # somebody else was faster
                deletion.delete(database, name)
    return names


def _refuse_counts(*, workers: int, threads: int) -> None:
    for option, count, least in (("workers", workers, 1), ("threads", threads, 0)):
        if count < least:
            raise SpecError(f"{option}={count} must be at least {least}")


def _refuse_missing_device(study: Study) -> None:
    if study.training.device not in ("auto", "cpu"):
        from hpo.training.device import resolve_device

        resolve_device(study.training.device)


def _opening(database: "Database", study: Study, *, is_new: bool, is_done: bool) -> events.Event:
    from hpo.service.database import without_password
    from hpo.service.status import progress

    shown = without_password(database.url)
    if is_new:
        return events.StudyStarted(study.name, shown)
    if is_done:
        return events.StudyAnswered(study.name, shown)
    now = progress(database, study.name)
    if now.state == "paused":
        return events.StudyWaits(study.name, shown)
    ended = now.trials.ended
    return events.StudyResumed(study.name, shown, ended, study.budget.trials)


def run(source: Any, *, timeout_s: float = 0.0, progress: bool = True, **values: Any) -> Answer:
    """Launch, wait, answer: see `launch` and `StudyHandle.wait`.

    >>> answer = run(frame, target="sales", horizon=12)  # doctest: +SKIP
    """
    return launch(source, **values).wait(timeout_s=timeout_s, progress=progress)


def open_study(name: str, *, storage: str = "") -> StudyHandle:
    """The handle of a study in the database, without workers. Raises UnknownStudy."""
    from hpo.service import studies

    url = storage or storage_in_force()
    with opened(url, create=False) as database:
        studies.outline(database, name)
    return StudyHandle(name, url, None)


def statuses(*, storage: str = "") -> list[dict[str, Any]]:
    """The status of every study, the newest first."""
    from hpo.service import studies
    from hpo.service.status import status

    with opened(storage or storage_in_force(), create=False) as database:
        return [status(database, name) for name in studies.names(database)]


def watch_all(on_statuses: Callable[[list[dict[str, Any]]], None], *, storage: str = "") -> None:
    """Show the status of every study, the newest first, until all have ended."""
    from hpo.service import studies
    from hpo.service.patience import PATIENCE_S
    from hpo.service.status import status

    def of_all() -> list[dict[str, Any]]:
        found = []
        for name in studies.names(database):
            with suppress(UnknownStudy):  # it is being deleted
                found.append(status(database, name))
        return found

    with opened(storage or storage_in_force(), create=False, patience_s=PATIENCE_S) as database:
        while True:
            now = database.patience.call(of_all)
            on_statuses(now)
            if all(study["state"] in studies.ENDED for study in now):
                return
            time.sleep(WATCH_ALL_S)


def serve(
    *,
    storage: str = "",
    host: str = "127.0.0.1",
    port: int = 8080,
    behind_tls: bool = False,
    tell: Callable[[str], None] = _silent,
) -> int:
    """Serve the dashboard until SIGTERM or Ctrl-C: the exit code, 0 or 130.

    `tell` hears its address. Port 0: any that is free. Raises UsageError, DatabaseError.
    """
    from hpo.web.server import serve as serve_pages

    url = storage or storage_in_force()

    def submit_here(question: Question) -> None:
        submit_question(question, storage=url)

    return serve_pages(
        url, host=host, port=port, behind_tls=behind_tls, submit=submit_here, tell=tell
    )
