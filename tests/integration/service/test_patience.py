"""While the database is away its users wait; when it is back their calls succeed."""

import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa
from optuna.study import StudyDirection

from hpo.api import open_study
from hpo.errors import DatabaseAway, DatabaseError, Interrupted, StudyFailed
from hpo.service import life, sqlite
from hpo.service.database import Database
from hpo.service.patience import Patience, patient
from hpo.service.registry import enroll, leave
from hpo.service.status import Progress
from tests.integration.service.conftest import Postgres
from tests.integration.service.databases import in_threads, look, opened, plain_engine
from tests.integration.service.stage import submit, worker
from tests.waiting import eventually


@dataclass
class Flaky:
    """A database that is away for the first calls, by a patience that is listened to."""

    failures: int
    longest_s: float = 60.0
    is_over: threading.Event = field(default_factory=threading.Event)
    calls: int = 0
    away: list[DatabaseAway] = field(default_factory=list)
    back: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.patience = Patience(
            longest_s=self.longest_s,
            is_over=self.is_over.is_set,
            on_away=self.away.append,
            on_back=self.back.append,
        )


@patient
def ask(database: Flaky, *, twice: int = 1) -> int:
    """A number, once the database is there."""
    database.calls += 1
    if database.calls <= database.failures:
        raise DatabaseAway(f"failure {database.calls}")
    return 2 * twice


@patient
def ask_inside(database: Flaky) -> int:
    """The same, asked by another patient function."""
    return ask(database) + 1


def test_a_call_is_repeated_until_the_database_is_back() -> None:
    database = Flaky(failures=2)
    assert ask(database, twice=3) == 6
    assert database.calls == 3
    assert [str(error) for error in database.away] == ["failure 1"]
    [after_s] = database.back
    assert 0.2 <= after_s < 5


def test_a_call_that_succeeds_at_once_is_no_event() -> None:
    database = Flaky(failures=0)
    assert ask(database) == 2
    assert (database.calls, database.away, database.back) == (1, [], [])


def test_without_patience_there_is_one_attempt() -> None:
    database = Flaky(failures=1, longest_s=0)
    with pytest.raises(DatabaseAway, match="failure 1"):
        ask(database)
    assert (database.calls, database.away) == (1, [])


def test_patience_ends_after_its_longest_time_with_the_last_failure() -> None:
    database = Flaky(failures=1_000, longest_s=0.5)
    with pytest.raises(DatabaseAway, match=r"failure [2-9]"):
        ask(database)
    assert len(database.away) == 1
    assert database.back == []


def test_who_is_told_to_end_does_not_wait() -> None:
    database = Flaky(failures=1_000)
    database.is_over.set()
    with pytest.raises(DatabaseAway, match="failure 1"):
        ask(database)
    assert (database.calls, database.away) == (1, [])


def test_who_is_told_to_end_while_waiting_makes_no_new_attempt() -> None:
    database = Flaky(failures=1_000)
    database.patience = replace(database.patience, on_away=lambda _: database.is_over.set())
    with pytest.raises(DatabaseAway, match="failure 1"):
        ask(database)
    assert database.calls == 1


def test_only_the_outermost_call_repeats() -> None:
    database = Flaky(failures=2)
    assert ask_inside(database) == 3
    assert (database.calls, len(database.away), len(database.back)) == (3, 1, 1)
    assert ask(database) == 2


def test_after_a_wait_in_vain_the_next_call_waits_again() -> None:
    database = Flaky(failures=1_000, longest_s=0.3)
    for _ in range(2):
        with pytest.raises(DatabaseAway):
            ask_inside(database)
    assert len(database.away) == 2


def test_threads_wait_each_for_itself() -> None:
    database = Flaky(failures=3)
    assert in_threads(2, lambda _: ask_inside(database)) == [3, 3]
    assert len(database.away) == len(database.back) == 2


def test_what_will_not_pass_is_not_waited_for() -> None:
    database = Flaky(failures=0)
    attempts = []

    @patient
    def fail(_database: Flaky) -> None:
        attempts.append(1)
        raise DatabaseError("the disk is full")

    with pytest.raises(DatabaseError, match="full"):
        fail(database)
    assert attempts == [1]
    assert database.away == []


def test_a_patient_function_keeps_its_name() -> None:
    assert ask.__name__ == "ask"


@patient
def add_trial(database: Database, study: int) -> int:
    """How many trials there are after one of Optuna's own calls and one of ours."""
    with database.translated():
        database.storage.create_new_trial(study)
    with database.transaction() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM trials")).scalar_one())


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_is_waited_for(postgres15: Postgres, mode: str) -> None:
    away: list[DatabaseAway] = []
    back: list[float] = []
    waiting = threading.Event()

    def on_away(error: DatabaseAway) -> None:
        away.append(error)
        waiting.set()

    with opened(postgres15.url) as known:
        patience = Patience(longest_s=60, on_away=on_away, on_back=back.append)
        database = replace(known, patience=patience)
        study = database.storage.create_new_study([StudyDirection.MINIMIZE], "tiny")
        assert add_trial(database, study) == 1
        postgres15.stop(mode)
        found: list[int] = []
        worker = threading.Thread(target=lambda: found.append(add_trial(database, study)))
        worker.start()
        assert waiting.wait(20)
        postgres15.start()
        worker.join(20)
        assert found == [2]
        assert len(away) == len(back) == 1
        assert add_trial(database, study) == 3


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_after_a_quick_restart_the_next_call_succeeds(postgres15: Postgres, mode: str) -> None:
    with opened(postgres15.url) as database:
        study = database.storage.create_new_study([StudyDirection.MINIMIZE], "tiny")
        assert add_trial(database, study) == 1
        postgres15.stop(mode)
        postgres15.start()
        assert add_trial(database, study) == 2


def test_a_statement_that_runs_when_the_server_stops_is_repeated(postgres15: Postgres) -> None:
    attempts = []

    @patient
    def work(database: Database) -> int:
        attempts.append(time.monotonic())
        with database.transaction() as connection:
            if len(attempts) == 1:
                connection.execute(sa.text("SELECT pg_sleep(60)"))
            return int(connection.execute(sa.text("SELECT 7")).scalar_one())

    def is_asleep() -> bool:
        with observer.transaction() as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
            return bool(connection.execute(sa.text(query)).scalar_one())

    with opened(postgres15.url) as known, opened(postgres15.url) as observer:
        database, found = replace(known, patience=Patience(longest_s=60)), []
        worker = threading.Thread(target=lambda: found.append(work(database)))
        worker.start()
        eventually(is_asleep, within_s=10)
        postgres15.stop("immediate")
        postgres15.start()
        worker.join(20)
    assert found == [7]
    assert len(attempts) > 1


def with_patience(database: Database) -> tuple[Database, list[DatabaseAway]]:
    """The database with patience, and the first failure of each wait."""
    away: list[DatabaseAway] = []
    return replace(database, patience=Patience(longest_s=60, on_away=away.append)), away


def test_leaving_a_server_that_is_away_is_no_error_and_is_not_tried_again(
    postgres15: Postgres,
) -> None:
    with opened(postgres15.url) as known:
        database, waits = with_patience(known)
        enroll(database, "ann")
        postgres15.stop()
        leave(database, "ann")
        postgres15.start()
    assert waits == []
    assert look(postgres15.url, "SELECT id FROM hpo_worker") == [("ann",)]


def test_leaving_a_file_that_others_keep_locked_is_no_error_and_is_not_tried_again(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with opened(sqlite_url) as known, plain_engine(sqlite_url).connect() as other:
        database, waits = with_patience(known)
        enroll(database, "ann")
        other.exec_driver_sql("BEGIN IMMEDIATE")
        leave(database, "ann")
    assert waits == []
    assert look(sqlite_url, "SELECT id FROM hpo_worker") == [("ann",)]


@dataclass
class Outage:
    """A database that is away for so many attempts to use it."""

    attempts: int = 0
    met: int = 0

    def begin(self) -> None:
        """Fail the next two."""
        self.attempts += 2

    def befall_all(self, patch: pytest.MonkeyPatch) -> None:
        """Let the databases of this process be away when the outage has begun."""
        translated = Database.translated

        def is_away_or_there(database: Database) -> AbstractContextManager[None]:
            if self.met < self.attempts:
                self.met += 1
                raise DatabaseAway("the server cannot be reached")
            return translated(database)

        patch.setattr(Database, "translated", is_away_or_there)


@pytest.mark.parametrize(
    ("timeout_s", "state"),
    [(0.0, "queued"), (1e-9, "queued"), (0.0, "done")],
    ids=["it is followed", "its time is over", "it has ended"],
)
def test_who_waits_for_a_study_gets_the_answer_though_the_database_is_away_for_a_moment_while(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, timeout_s: float, state: str
) -> None:
    outage = Outage()

    def begin_or_work(now: Progress) -> None:
        if not outage.met:
            assert now.state == state
            outage.begin()
        elif now.state != "done":
            worker(database).run()

    with opened(sqlite_url) as database:
        submit(database)
        if state == "done":
            worker(database).run()
        outage.befall_all(monkeypatch)
        handle = open_study("tiny", storage=sqlite_url)
        answer = handle.wait(on_progress=begin_or_work, timeout_s=timeout_s)
    assert (answer.state, outage.met) == ("done", 2)


def test_who_interrupts_a_wait_is_not_kept_waiting_by_a_database_that_is_away(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_away_and_interrupt(_: Progress) -> None:
        outage.attempts = 1_000_000
        raise KeyboardInterrupt

    outage = Outage()
    with opened(sqlite_url) as database:
        submit(database)
    outage.befall_all(monkeypatch)
    with pytest.raises(Interrupted, match="the same command goes on"):
        open_study("tiny", storage=sqlite_url).wait(on_progress=go_away_and_interrupt)
    assert outage.met == 1


def test_who_waits_for_a_study_that_fails_is_told_why_though_the_database_is_away_for_a_moment(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage = Outage()
    with opened(sqlite_url) as database:
        submit(database)
        life.fail(database, "tiny", "no luck")
        outage.befall_all(monkeypatch)
        with pytest.raises(StudyFailed, match="no luck"):
            open_study("tiny", storage=sqlite_url).wait(on_progress=lambda _: outage.begin())
    assert outage.met == 2
