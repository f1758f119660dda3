"""A study with the ladder: it ends when nothing larger pays, however many workers share it."""

import threading
from typing import Any

import pytest

from hpo.service import life, studies, trials
from hpo.service.answers import answer_of
from hpo.service.claims import release
from hpo.service.status import progress
from hpo.service.taking import take
from tests.integration.service.stage import (
    claim_of,
    end,
    first_trial,
    look,
    opened,
    submit,
    worker,
)
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study

LADDER: dict[str, dict[str, Any]] = {"search": {"sampler": "ladder"}, "budget": {"trials": 40}}
SLOTS = "SELECT outcome, count(*) FROM hpo_slot WHERE kind = 'trial' GROUP BY outcome ORDER BY 1"


def test_a_ladder_on_which_nothing_pays_ends_long_before_its_budget(database_url: str) -> None:
    """Every network of the fake trainer forecasts the same."""
    with opened(database_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        worker(database, FakeTrainer()).run()
        found, now = answer_of(database, "tiny"), progress(database, "tiny")
    assert (found.state, found.cells) == ("done", (2,))
    complete = now.trials.complete
    assert 4 < complete < 20
    assert look(database_url, SLOTS) == [("complete", complete), ("skipped", 40 - complete)]
    assert (now.waiting, now.running) == (0, 0)


def test_a_ladder_takes_no_more_trials_at_once_than_it_wants_to_know(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study("tiny", **LADDER), engine="native-to-96")
        worker(database, FakeTrainer()).run()
        stored = studies.find(database, "tiny")
        facts = [t.user_attrs["facts"] for t in trials.all_trials(database, stored.optuna_id)]
    assert [len(of.get("beside", ())) for of in facts[:4]] == [0, 1, 2, 3]
    cells = [sum(of["cells"]) for of in facts]
    assert cells[:4] == [2, 3, 3, 3]
    assert max(cells) <= 8  # nothing pays: three widths and one scout are all that is looked at


def test_workers_that_share_a_ladder_end_it_together(database_url: str) -> None:
    """What one is about to try the other may try at the same moment, but not for ever."""
    with opened(database_url) as database, opened(database_url) as second:
        submit(database, tiny_study("tiny", **LADDER))
        others = threading.Thread(target=worker(second, FakeTrainer(), identity="bob").run)
        others.start()
        worker(database, FakeTrainer(), identity="ann").run()
        others.join()
        found, now = answer_of(database, "tiny"), progress(database, "tiny")
    assert (found.state, found.cells) == ("done", (2,))
    assert 4 < now.trials.complete < 30


def test_the_trials_of_other_workers_are_finished_when_the_ladder_has_ended(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        mine = first_trial(database)
        theirs = claim_of(database, "bob")
        assert life.end_search(database, [mine]) == 39
        assert look(database_url, "SELECT number FROM hpo_slot WHERE state = 'taken'") == [
            (theirs.number,)
        ]
        assert take(database, "tiny", "carol") == []
        end(database, theirs)
        assert claim_of(database).kind == "verdict"


def test_a_ladder_that_has_ended_leaves_a_paused_study_paused(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        claim = first_trial(database)
        life.pause(database, "tiny")
        life.end_search(database, [claim])
        assert studies.state(database, "tiny") == "paused"


def test_the_end_of_a_search_that_was_taken_over_ends_the_rest_alone(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        claim = first_trial(database)
        release(database, [claim])
        again = claim_of(database, "bob")
        life.end_search(database, [claim])
        taken = look(database_url, "SELECT number, worker FROM hpo_slot WHERE state = 'taken'")
    assert taken == [(again.number, "bob")]


@pytest.mark.parametrize("stopped_after", [1, 5])
def test_a_ladder_goes_on_after_its_worker_was_stopped(sqlite_url: str, stopped_after: int) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        stop, began = threading.Event(), iter(range(1_000))
        stopped = FakeTrainer(before=lambda _: stop.set() if next(began) == stopped_after else None)
        worker(database, stopped, stop=stop).run()
        assert studies.state(database, "tiny") == "running"
        worker(database, FakeTrainer(), identity="bob").run()
        found = answer_of(database, "tiny")
    assert (found.state, found.cells) == ("done", (2,))
