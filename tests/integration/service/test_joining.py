"""A worker refuses a study that is not for it: the study stays open, others go on with both."""

from pathlib import Path

import pytest

from hpo import events
from hpo.data.checking import check
from hpo.data.load import read_file
from hpo.errors import DataError, UnknownStudy, UsageError
from hpo.service import joining, life, studies, submission, work
from hpo.service.database import Database
from hpo.service.executor import InProcess
from hpo.service.joining import join
from hpo.service.registry import enroll, last_refusal
from hpo.service.registry import join as register
from hpo.service.status import status
from hpo.service.study_data import DATA_DIR, to_be_stored
from hpo.service.work import Refused
from tests.commands import Cli
from tests.integration.service.stage import change, claim_of, look, opened, submit, worker
from tests.unit.search.fake_trainer import tiny_frame, tiny_study

HERE = "0.3.7"


@pytest.fixture
def of_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "version", lambda _: HERE)


def written_by(url: str, version: str) -> None:
    """As if another version of hpo had submitted the studies."""
    change(url, "UPDATE hpo_study SET versions = :v", v=f'{{"hpo": "{version}"}}')


def other_data(url: str) -> None:
    """As if this worker read other data than were submitted."""
    change(url, "UPDATE hpo_study SET data_fingerprint = 'of other data' WHERE name = 'tiny'")


def take_up(database: Database) -> None:
    executor = InProcess(threads=1)
    try:
        join(database, "tiny", executor)
    finally:
        executor.close()


@pytest.mark.usefixtures("of_version")
@pytest.mark.parametrize("there", ["0.3.0", "0.3.7", "0.3.12"])
def test_a_study_goes_on_within_a_minor_version(sqlite_url: str, there: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        written_by(sqlite_url, there)
        take_up(database)


@pytest.mark.usefixtures("of_version")
@pytest.mark.parametrize("there", ["0.2.9", "0.4.0", "1.3.7", "0.30.1"])
def test_a_study_of_another_minor_version_is_refused(sqlite_url: str, there: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        written_by(sqlite_url, there)
        with pytest.raises(UsageError) as refused:
            take_up(database)
    assert refused.value.problem == f"tiny is a study of hpo {there}, this worker is hpo {HERE}"
    assert refused.value.remedy.startswith("let workers of hpo ")


def test_a_study_whose_values_mean_something_else_here_is_refused(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        change(sqlite_url, "UPDATE hpo_study SET fingerprint = 'of other values'")
        with pytest.raises(UsageError, match="mean something else"):
            take_up(database)
        change(sqlite_url, "UPDATE hpo_study SET spec = '{\"name\": 1}'")
        with pytest.raises(UsageError, match="does not understand the study 'tiny'"):
            take_up(database)


def test_other_data_are_refused(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database)
        other_data(sqlite_url)
        with pytest.raises(DataError, match="not those that were submitted"):
            take_up(database)


def test_an_unknown_study_is_not_refused_but_unknown(sqlite_url: str) -> None:
    with opened(sqlite_url) as database, pytest.raises(UnknownStudy):
        take_up(database)


@pytest.mark.parametrize("what", ["data", "device"])
def test_a_refused_study_stays_open_and_is_seen_and_others_go_on(
    database_url: str, what: str
) -> None:
    heard: list[events.Event] = []
    device = {"device": "mps" if what == "device" else "cpu"}
    with opened(database_url) as database:
        submit(database, tiny_study(training=device))
        submit(database, tiny_study("other", budget={"trials": 2}))
        if what == "data":
            other_data(database_url)
        one = worker(database, only="", hear=heard.append)
        one.idle_exit_s = 0.01
        one.run()
        assert studies.state(database, "other") == "done"
        found = status(database, "tiny")
        assert (found["state"], found["trials"]["waiting"]) == ("running", 6)
        reason = {"data": "not those that were submitted", "device": "'mps' is not on this"}[what]
        assert reason in found["error"]
        assert one.id in found["error"]
        assert look(database_url, "SELECT count(*) FROM hpo_failure") == [(0,)]
        assert claim_of(database, "bob").number == 0, "another may take it at once"
    [refused] = [event for event in heard if isinstance(event, events.StudyRefused)]
    assert (refused.study, refused.worker) == ("tiny", one.id)


def test_a_worker_that_refused_comes_back_after_a_while_and_its_refusal_is_forgotten(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "REFUSES_FOR_S", 0.0)
    heard: list[events.Event] = []

    def mend(event: events.Event) -> None:
        heard.append(event)
        if isinstance(event, events.StudyRefused) and refusals(heard) == 2:
            change(database_url, "UPDATE hpo_study SET data_fingerprint = :f", f=right)

    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        right = studies.find(database, "tiny").data_fingerprint
        other_data(database_url)
        one = worker(database, only="", hear=mend)
        one.idle_exit_s = 0.01
        one.run()
        assert studies.state(database, "tiny") == "done"
        assert last_refusal(database, "tiny") == ""
    assert refusals(heard) == 2
    assert look(database_url, "SELECT count(*) FROM hpo_refusal") == [(0,)]


def refusals(heard: list[events.Event]) -> int:
    return sum(isinstance(event, events.StudyRefused) for event in heard)


def test_the_worker_of_one_study_ends_with_the_error_that_made_it_refuse(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        other_data(database_url)
        with pytest.raises(Refused) as refused:
            worker(database).run()
        assert isinstance(refused.value.error, DataError)
        assert studies.state(database, "tiny") == "running"
        assert look(database_url, "SELECT count(*) FROM hpo_worker") == [(0,)]


def test_a_refusal_of_a_study_that_others_work_on_is_not_its_error(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        change(database_url, "UPDATE hpo_study SET data_fingerprint = 'other'")
        with pytest.raises(Refused):
            worker(database, identity="far").run()
        assert "worker far cannot work on it" in status(database, "tiny")["error"]
        enroll(database, "near")
        register(database, "near", "tiny", "cpu")
        assert status(database, "tiny")["error"] is None
        life.cancel(database, "tiny")
        assert status(database, "tiny")["error"] is None


def moved(database: Database, folder: Path) -> Path:
    """The study `tiny` on a large file, which has been moved into another folder since."""
    file = folder / "large.csv"
    tiny_frame().to_csv(file, index=False)
    asked = tiny_study(data={"source": str(file)}, budget={"trials": 1})
    frame = read_file(asked.data)
    submission.submit(
        database,
        asked,
        data=to_be_stored(frame, asked.data, most_bytes=10),
        data_fingerprint=check(frame, asked.data).fingerprint,
        engine="torch",
    )
    (folder / "mounted").mkdir()
    return file.rename(folder / "mounted" / file.name)


def test_a_large_file_that_is_not_here_is_refused_and_found_where_the_worker_is_told(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(database_url) as database:
        file = moved(database, tmp_path)
        with pytest.raises(Refused, match="not on this machine"):
            worker(database).run()
        monkeypatch.setenv(DATA_DIR, str(file.parent))
        worker(database).run()
        assert studies.state(database, "tiny") == "done"


def test_hpo_work_ends_with_the_code_of_what_it_refused(cli: Cli, tmp_path: Path) -> None:
    with opened(cli.storage) as database:
        file = moved(database, tmp_path)
    refused = cli("work", "tiny")
    assert refused.returncode == 3
    assert "the data file is not on this machine" in refused.stderr
    assert DATA_DIR in refused.stderr
    found = cli("work", "tiny", env={DATA_DIR: str(file.parent)})
    assert found.returncode == 0, found.stderr
    told = cli("status", "tiny", "--json")
    assert '"state": "done"' in told.stdout
