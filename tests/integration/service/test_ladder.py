"""A study with the ladder: it ends when nothing larger pays, however many workers share it."""

import threading
from typing import Any

import pytest

from hpo.errors import StudyFailed
from hpo.service import life, studies, trials
from hpo.service.answers import answer_of
from hpo.service.claims import release
from hpo.service.status import progress
from hpo.service.taking import take
from hpo.training.trainer import Diverged, Examples, Loss, Shape, Weights
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


class GappyTrainer(FakeTrainer):
    """Its networks' error on the few windows that score a fold is three times that in training."""

    def loss(self, shape: Shape, weights: Weights, samples: Examples, loss: Loss) -> float:  # noqa: ARG002
        """3 on fewer than 16 windows, else 1."""
        return 3.0 if len(samples.starts_N) < 16 else 1.0


def test_the_answer_tells_the_climb_and_why_it_ended(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study("tiny", **LADDER))
        worker(database, FakeTrainer()).run()
        found = answer_of(database, "tiny")
    assert [look.cells for look in found.ladder][:3] == [(3,), (4,), (6,)]
    assert not any(look.pays for look in found.ladder)
    assert all(look.over == (2,) for look in found.ladder)
    [reason] = [reason for reason in found.reasons if reason.startswith("The ladder")]
    assert reason.startswith("The ladder ended at 1 layer of 2 cells after")
    assert "second layer does not pay" in reason
    assert [phase.alpha for phase in found.alpha_path] == [found.alpha] == [2.0]
    assert found.gap is not None
    assert found.gap.ratio == pytest.approx(1.0)
    assert not any("ended the search" in warning for warning in found.warnings)


def test_a_wide_gap_raises_alpha_and_the_verdict_is_made_inside_its_bound(sqlite_url: str) -> None:
    sections: dict[str, dict[str, Any]] = {
        "search": {"sampler": "random"},
        "budget": {"trials": 30},
        "bound": {"rule": "freedom"},
        "space": {"cells": [1, 8], "layers": [1, 1]},
    }
    with opened(sqlite_url) as database:
        submit(database, tiny_study("tiny", **sections))
        worker(database, GappyTrainer()).run()
        found = answer_of(database, "tiny")
    alphas = [phase.alpha for phase in found.alpha_path]
    assert alphas == sorted(alphas)
    assert alphas[-1] == found.alpha > 2.0
    assert found.bound is not None
    assert found.weights is not None
    assert found.weights <= found.bound.samples * 2 / found.alpha
    assert found.gap is not None
    assert found.gap.ratio == pytest.approx(3.0)
    assert any("3.00 times its training error" in reason for reason in found.reasons)


def test_a_ladder_that_its_budget_cuts_short_says_so(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, tiny_study("tiny", search={"sampler": "ladder"}, budget={"trials": 3}))
        worker(database, FakeTrainer()).run()
        found = answer_of(database, "tiny")
    assert found.trials.complete == 3
    assert "The ladder stood at 1 layer of 2 cells when the search ended after 3 of 3 trials." in (
        found.reasons
    )


def test_a_ladder_on_which_nothing_can_be_trained_is_not_tried_again(sqlite_url: str) -> None:
    def diverge(shape: Shape) -> None:
        raise Diverged(f"{shape.cells} cells diverge")

    study = tiny_study("tiny", **LADDER)
    with opened(sqlite_url) as database:
        submit(database, study)
        worker(database, FakeTrainer(before=diverge)).run()
        assert studies.state(database, "tiny") == "failed"
        with pytest.raises(StudyFailed, match="failed with all that it would try"):
            submit(database, study)
