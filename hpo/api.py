"""Launch, wait, answer: the only place that wires the rooms together."""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hpo import events
from hpo.data.question import Question, ask
from hpo.errors import (
    SpecError,
    UnknownStudy,
)
from hpo.handle import POLL_S, OnEvent, StudyHandle, opened, silent
from hpo.spec.answer import Answer
from hpo.spec.options import from_keywords
from hpo.spec.storage import storage_in_force
from hpo.spec.study import Study

if TYPE_CHECKING:
    from hpo.service.database import Database

WATCH_ALL_S = 1.0


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
    on_event: OnEvent = silent,
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
    on_event: OnEvent = silent,
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
    source: Any, *, storage: str = "", name: str = "", on_event: OnEvent = silent, **values: Any
) -> StudyHandle:
    """Write a study to the database for workers anywhere to carry out, and return at once.

    See `launch` for `source` and `values`. Raises SpecError, DataError, DatabaseError,
    StudyConflict.
    """
    question = ask(source, from_keywords(values), name=name)
    return submit_question(question, storage=storage, on_event=on_event)


def submit_question(
    question: Question, *, storage: str = "", on_event: OnEvent = silent
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
    on_event: OnEvent = silent,
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
    with opened(storage or storage_in_force(), create=False) as database:
        return _statuses(database)


def watch_all(on_statuses: Callable[[list[dict[str, Any]]], None], *, storage: str = "") -> None:
    """Show the status of every study, the newest first, until all have ended."""
    from hpo.service import studies
    from hpo.service.patience import PATIENCE_S

    with opened(storage or storage_in_force(), create=False, patience_s=PATIENCE_S) as database:
        while True:
            now = database.patience.call(lambda: _statuses(database))
            on_statuses(now)
            if all(study["state"] in studies.ENDED for study in now):
                return
            time.sleep(WATCH_ALL_S)


def _statuses(database: "Database") -> list[dict[str, Any]]:
    from hpo.service import studies
    from hpo.service.status import status

    found = []
    for name in studies.names(database):
        with suppress(UnknownStudy):  # it is being deleted
            found.append(status(database, name))
    return found


def serve(
    *,
    storage: str = "",
    host: str = "127.0.0.1",
    port: int = 8080,
    behind_tls: bool = False,
    tell: Callable[[str], None] = silent,
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
