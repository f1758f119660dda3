"""Claims: who may work on what, one at a time."""

from collections.abc import Callable

import numpy as np
import pytest

from hpo.search.outcome import NetworkRecord
from hpo.service import results, studies
from hpo.service.claims import (
    LEASE_S,
    Claim,
    LeaseLost,
    Settlement,
    beat,
    bind,
    release,
    settle,
    take,
)
from hpo.service.database import Database
from tests.integration.service.stage import (
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
    assert (found.number, found.trial, found.deaths) == (lost.number, 3, 1)
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
            database, claim, {"naive": [NETWORK.losses_O]}
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
            studies.delete(database, "tiny")
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
        with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
            record(database, claim)
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
        assert (found.number, found.deaths) == (given_back.number, 0)
        assert not release(database, [given_back])
        assert beat(database, "bob", "tiny", [found]) == ("queued", True)


def test_a_beat_extends_the_lease_and_tells_the_studys_state(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database)
        claim = first_trial(database)
        let_leases_expire(database_url)
        assert beat(database, "ann", "tiny", [claim]) == ("queued", True)
        [(expires_at,)] = look(database_url, "SELECT expires_at FROM hpo_slot WHERE number = 1")
        assert expires_at > LEASE_S
        studies.start(database, "tiny")
        assert claim_of(database, "bob").number == 2
        assert beat(database, "ann", "tiny", [claim]) == ("running", True)
        let_leases_expire(database_url)
        claim_of(database, "bob")
        assert beat(database, "ann", "tiny", [claim]) == ("running", False)
        assert beat(database, "ann", "tiny") == ("running", True)
        studies.delete(database, "tiny")
        assert beat(database, "ann", "tiny", [claim]) == (None, False)


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
        assert studies.close_budget(database, "tiny") == 5
        assert take(database, "tiny", "bob") == []
        end(database, running, "complete", score=1.0)
        assert claim_of(database, "bob").kind == "verdict"
        assert studies.state(database, "tiny") == "stopping"
