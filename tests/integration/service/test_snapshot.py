"""What those who watch a study are shown of it, from its submission to its end."""

import pytest

from hpo.errors import UnknownStudy
from hpo.service import deletion, studies
from hpo.service.database import Database
from hpo.service.registry import enroll, join, refuse
from hpo.service.snapshot import Snapshot, Watch
from hpo.service.status import progress
from tests.integration.service.stage import (
    claim_of,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import tiny_study


def shot(watch: Watch, database: Database) -> Snapshot:
    return watch.snapshot(progress(database, "tiny"))


def test_a_study_is_shown_from_its_submission_to_its_end(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 3}))
        watch = Watch(database, "tiny")
        before = shot(watch, database)
        assert (before.stage, before.budget, before.workers) == ("benchmarks", 3, 0)
        assert (before.benchmarks, before.sizes, before.trying) == ({}, [], [])
        worker(database).run()
        after = shot(watch, database)
        assert (after.stage, after.progress.trials.complete) == ("ended", 3)
        assert "ridge" in after.benchmarks
        assert [trial.ending for trial in after.sizes] == ["complete"] * len(after.sizes)
        assert len(after.sizes) >= 1


def test_networks_of_the_race_and_of_the_test_are_told_apart(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study(budget={"trials": 2}))
        worker(database).run()
        watch = Watch(database, "tiny")
        shot(watch, database)
        raced, tested = watch._of_the_race()
        assert raced > 0
        assert tested == 1, "one refit for each seed of the study"


def test_who_works_on_it_is_counted_and_who_refused_it_is_told(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        watch = Watch(database, "tiny")
        refuse(database, "ann", "tiny", "other data")
        assert shot(watch, database).trouble == "worker ann cannot work on it: other data"
        enroll(database, "bob")
        join(database, "bob", "tiny", "cpu")
        claim_of(database, "bob")
        assert (shot(watch, database).workers, shot(watch, database).trouble) == (1, "")


def test_a_study_that_is_deleted_is_not_shown(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        watch = Watch(database, "tiny")
        deletion.delete(database, "tiny")
        assert progress(database, "tiny").state == studies.DELETED
        with pytest.raises(UnknownStudy):
            shot(watch, database)
