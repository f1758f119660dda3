"""Claims: who may work on what, one at a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hpo.data.benchmarks import BenchmarkErrors
from hpo.search.outcome import NetworkRecord
from hpo.service import deletion, life, results, studies
from hpo.service.claims import LEASE_S, Claim, LeaseLost, Settlement, beat, release, settle
from hpo.service.database import Database
from hpo.service.registry import enroll
from hpo.service.taking import take
from tests.integration.service.stage import (
    bind,
    change,
    claim_of,
    end,
    first_trial,
    in_threads,
    let_leases_expire,
    look,
    opened,
    submit,
)
from tests.integration.service.together import FORKS, in_processes, take_all
from tests.unit.search.fake_trainer import tiny_study

NETWORK = NetworkRecord(
    fold=0,
    seed=0,
    losses_O=np.array([0.5, 0.25]),
    steps=7,
    train_loss=1.0,
    watch_loss=float("nan"),
    wall_s=0.5,
    engine="fake",
    device="cpu",
)


def record(database: Database, claim: Claim) -> None:
    results.record_networks(database, [claim], [(0, NETWORK)])


def test_the_benchmarks_come_first_then_trials_in_order_and_the_verdict_last(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        benchmark = claim_of(database)
        assert benchmark.kind == "benchmark"
        assert take(database, "tiny", "bob") == []
        end(database, benchmark)
        trials = [claim_of(database) for _ in range(6)]
        assert [(claim.kind, claim.number) for claim in trials] == [
            ("trial", number) for number in range(1, 7)
        ]
        for claim in trials:
            assert take(database, "tiny", "bob") == []
            end(database, claim, "complete", score=1.0)
        verdict = claim_of(database)
        assert verdict.kind == "verdict"
        end(database, verdict)
        assert take(database, "tiny", "bob") == []


def test_forty_slots_fought_over_by_processes_are_each_taken_once(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 40}))
        end(database, claim_of(database))
    taken = FORKS.SimpleQueue()
    assert in_processes(4, take_all, database_url, "tiny", taken) == [0] * 4
    assert sorted(n for _ in range(4) for n in taken.get()) == list(range(1, 41))


def test_forty_slots_fought_over_by_threads_are_each_taken_once(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 40}))
        end(database, claim_of(database))

        def take_all_here(place: int) -> list[int]:
            batches = iter(
                lambda: take(database, "tiny", f"worker-{place}", most=1 + place % 3), []
            )
            return [claim.number for claims in batches for claim in claims]

        taken = in_threads(6, take_all_here)
    assert sorted(n for numbers in taken for n in numbers) == list(range(1, 41))


def test_an_expired_lease_is_taken_over_with_a_higher_token_and_the_same_trial(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        lost = first_trial(database)
        bind(database, [(lost, 3)])
        let_leases_expire(database_url)
        found = claim_of(database, "bob")
    assert (found.number, found.trial, found.expiries) == (lost.number, 3, 1)
    assert found.token > lost.token


def test_an_expired_lease_is_taken_over_by_one_only(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, tiny_study(budget={"trials": 1}))
        first_trial(database)
        let_leases_expire(database_url)
        found = in_threads(6, lambda place: take(database, "tiny", f"worker-{place}"))
    assert [claim.token for claims in found for claim in claims] == [2]


@pytest.mark.parametrize(
    "write",
    [
        record,
        lambda database, claim: settle(
            database, [Settlement(claim=claim, outcome="complete", score=1.0)], error="late"
        ),
        lambda database, claim: bind(database, [(claim, 99)]),
        lambda database, claim: results.record_benchmarks(
            database,
            claim,
            BenchmarkErrors(
                losses={"naive": (NETWORK.losses_O,)},
                test_forecasts={"naive": NETWORK.losses_O[:, None]},
                warnings=(),
            ),
        ),
    ],
    ids=["record_networks", "settle", "bind", "record_benchmarks"],
)
@pytest.mark.parametrize("how", ["taken over", "released", "study deleted"])
def test_whoever_lost_the_lease_writes_nothing(
    sqlite_url: str, write: Callable[[Database, Claim], None], how: str
) -> None:
    lose_and_write(sqlite_url, write, how)


@pytest.mark.parametrize("how", ["taken over", "released", "study deleted"])
def test_whoever_lost_the_lease_records_nothing_on_postgresql(postgres_url: str, how: str) -> None:
    lose_and_write(postgres_url, record, how)


def lose_and_write(url: str, write: Callable[[Database, Claim], None], how: str) -> None:
    with opened(url) as database:
        submit(database)
        lost = first_trial(database)
        if how == "taken over":
            let_leases_expire(url)
            claim_of(database, "bob")
        elif how == "released":
            release(database, [lost])
        else:
            deletion.delete(database, "tiny")
        before = everything(url)
        with pytest.raises(LeaseLost):
            write(database, lost)
        assert everything(url) == before


def everything(url: str) -> list[object]:
    tables = ("hpo_slot", "hpo_network", "hpo_benchmark")
    rows = [sorted(map(str, look(url, f"SELECT * FROM {table}"))) for table in tables]  # noqa: S608
    return [*rows, look(url, "SELECT state, error FROM hpo_study")]


def test_a_network_is_recorded_as_it_is_and_only_once(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        record(database, claim)
        again = replace(NETWORK, steps=8, losses_O=np.array([9.0, 9.0]))
        results.record_networks(database, [claim], [(0, again)])
        found = results.networks_of(database, "tiny")[0][0, 0]
        assert results.count_networks(database, "tiny") == 1
    np.testing.assert_array_equal(found.losses_O, NETWORK.losses_O)
    assert (found.steps, found.train_loss, found.wall_s) == (7, 1.0, 0.5)
    assert np.isnan(found.watch_loss)


def test_a_released_slot_goes_to_another_at_once(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        given_back = first_trial(database)
        assert release(database, [given_back])
        found = claim_of(database, "bob")
        assert (found.number, found.expiries, found.crashes) == (given_back.number, 0, 0)
        assert not release(database, [given_back])
        assert beat(database, "bob", "working", [found])[:2] == ("running", True)


def test_a_beat_extends_the_lease_and_tells_the_studys_state(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        let_leases_expire(database_url)
        assert beat(database, "ann", "working", [claim])[:2] == ("running", True)
        [(expires_at,)] = look(database_url, "SELECT expires_at FROM hpo_slot WHERE number = 1")
        assert expires_at > LEASE_S
        assert claim_of(database, "bob").number == 2
        life.pause(database, "tiny")
        assert beat(database, "ann", "working", [claim])[:2] == ("paused", True)
        life.resume(database, "tiny")
        let_leases_expire(database_url)
        claim_of(database, "bob")
        assert beat(database, "ann", "working", [claim])[:2] == ("running", False)
        assert beat(database, "ann", "idle")[:2] == (None, True)
        deletion.delete(database, "tiny")
        assert beat(database, "ann", "working", [claim])[:2] == (None, False)


def test_a_beat_says_what_the_worker_does(database_url: str) -> None:
    with opened(database_url) as database:
        enroll(database, "ann")
        change(database_url, "UPDATE hpo_worker SET last_beat = 1")
        beat(database, "ann", "draining")
    [(state, last_beat)] = look(database_url, "SELECT state, last_beat FROM hpo_worker")
    assert state == "draining"
    assert last_beat > LEASE_S


def test_a_study_runs_from_its_first_claim_on(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        assert studies.state(database, "tiny") == "queued"
        assert studies.seconds_since_start(database, "tiny") == 0
        claim_of(database)
        assert studies.state(database, "tiny") == "running"
        assert look(database_url, "SELECT started_at > 0 FROM hpo_study") == [(True,)]


def test_a_lease_lasts_ten_seconds_by_the_databases_clock(database_url: str) -> None:
    clock = {
        "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
        "postgresql": "extract(epoch from clock_timestamp())::double precision",
    }[database_url.split(":")[0]]
    with opened(database_url) as database:
        submit(database)
        claim_of(database)
        [(left_s,)] = look(
            database_url,
            f"SELECT expires_at - {clock} FROM hpo_slot WHERE number = 0",  # noqa: S608
        )
        assert 10 - 5 < left_s <= 10


def test_a_worker_whose_time_is_short_still_settles_while_no_other_has_taken_over(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        let_leases_expire(database_url)
        end(database, claim, "complete", score=0.5)
    assert look(database_url, "SELECT state, outcome, score FROM hpo_slot WHERE number = 1") == [
        ("ended", "complete", 0.5)
    ]


def test_slots_that_were_skipped_do_not_hold_up_the_verdict(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        running = first_trial(database)
        assert life.stop(database, "tiny") == 5
        assert take(database, "tiny", "bob") == []
        end(database, running, "complete", score=1.0)
        assert claim_of(database, "bob").kind == "verdict"
        assert studies.state(database, "tiny") == "stopping"


def test_what_is_done_again_after_a_commit_that_was_not_heard_changes_nothing(
    database_url: str,
) -> None:
    def bind_again(database: Database, claim: Claim) -> None:
        bind(database, [(claim, 0)])

    def settle_again(database: Database, claim: Claim) -> None:
        done = Settlement(claim=claim, outcome="complete", score=1.0)
        settle(database, [done], benchmark_warnings="[]")

    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        for write in (bind_again, record, settle_again):
            write(database, claim)
            before = everything(database_url)
            write(database, claim)
            assert everything(database_url) == before
    assert look(database_url, "SELECT trial, outcome FROM hpo_slot WHERE number = 1") == [
        (0, "complete")
    ]


def test_to_settle_again_with_another_outcome_does_not_change_the_first(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        end(database, claim, score=1.0)
        end(database, claim, "infeasible")
    assert look(database_url, "SELECT outcome, score FROM hpo_slot WHERE number = 1") == [
        ("complete", 1.0)
    ]


def test_claims_of_which_one_was_settled_before_are_lost(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        first, second = first_trial(database), claim_of(database)
        end(database, first, score=1.0)
        with pytest.raises(LeaseLost):
            bind(database, [(first, 0), (second, 1)])
