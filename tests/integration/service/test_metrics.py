"""A worker's metrics, fetched over HTTP as Prometheus fetches them."""

import socket
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hpo import __version__, events
from hpo.errors import HpoError
from hpo.service.metrics import COUNTERS, GAUGES, Metrics

STARTED_S = 1_790_000_000.0
WORKER = "node-3-4711"

LIFE: list[events.Event] = [
    events.WorkerStarted(WORKER, 4711, "sqlite:///hpo.db"),
    events.StudyRefused("gdp", WORKER, "other data"),
    events.StudyTaken("airline", WORKER, "cpu"),
    events.TrialsTaken("airline", WORKER, (1, 2, 3), 0.004),
    events.TrialsTaken("airline", WORKER, (4,), 0.3),
    events.TrialTakenOver("airline", 4, WORKER, 3, 1, 0),
    events.NetworksTrained("airline", WORKER, 12, 3.5),
    events.NetworksTrained("airline", WORKER, 1, 1.25),
    events.TrialEnded("airline", 0, WORKER, "complete", 0.9),
    events.TrialEnded("airline", 1, WORKER, "complete", 0.8),
    events.TrialEnded("airline", 2, WORKER, "pruned", 1.7),
    events.TrainingCheckpointed("airline", WORKER, 3, 0, 0, 48_213),
    events.ChildDied(WORKER, "killed"),
    events.ChildDied(WORKER, "killed"),
    events.UnexpectedError("airline", WORKER, 4, "ValueError: no such fold"),
    events.LeaseLost("airline", WORKER, (5, 6)),
    events.DatabaseWentAway(WORKER, "connection refused"),
    events.DatabaseCameBack(WORKER, 21.5),
]

COUNTED = {
    "hpo_worker_networks_total": 13,
    "hpo_worker_training_seconds_total": 4.75,
    "hpo_worker_claims_total": 4,
    "hpo_worker_claim_seconds_count": 2,
    "hpo_worker_claim_seconds_sum": 0.304,
    "hpo_worker_takeovers_total": 1,
    "hpo_worker_leases_lost_total": 2,
    "hpo_worker_refusals_total": 1,
    "hpo_worker_checkpoints_total": 1,
    "hpo_worker_child_deaths_total": 2,
    "hpo_worker_errors_total": 1,
    "hpo_worker_database_away": 0,
    "hpo_worker_database_away_seconds_total": 21.5,
    "hpo_worker_up_since_seconds": STARTED_S,
    "hpo_worker_last_beat_seconds": STARTED_S + 60,
    'hpo_worker_trials_total{outcome="complete"}': 2,
    'hpo_worker_trials_total{outcome="pruned"}': 1,
    'hpo_worker_trials_total{outcome="infeasible"}': 0,
    'hpo_worker_claim_seconds_bucket{le="0.002"}': 0,
    'hpo_worker_claim_seconds_bucket{le="0.005"}': 1,
    'hpo_worker_claim_seconds_bucket{le="0.2"}': 1,
    'hpo_worker_claim_seconds_bucket{le="0.5"}': 2,
    'hpo_worker_claim_seconds_bucket{le="10.0"}': 2,
    f'hpo_worker_info{{version="{__version__}",worker="{WORKER}"}}': 1,
}


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    metrics = Metrics(clock=lambda: STARTED_S)
    yield metrics
    metrics.close()


def scrape(port: int) -> dict[str, float]:
    """What 127.0.0.1 answers on this port: a value for each name{labels}."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    told = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            told[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return told


def is_heard(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=5):
            return True
    except OSError:
        return False


def test_a_scrape_tells_what_the_events_told(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    for event in LIFE:
        metrics.hear(event)
    metrics.beat(STARTED_S + 60)
    told = scrape(port)
    assert {name: told.get(name) for name in COUNTED} == COUNTED


def test_every_metric_is_there_from_the_start_at_zero(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    told = scrape(port)
    values = {name: told.get(name) for name in [*COUNTERS, *GAUGES]}
    assert set(values.values()) == {0}, values


def test_every_count_and_gauge_there_is_moves_in_the_life_of_a_worker() -> None:
    assert COUNTERS.keys() | GAUGES.keys() <= COUNTED.keys()


def test_while_the_database_is_away_the_gauge_says_so(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    metrics.hear(events.DatabaseWentAway(WORKER, "connection refused"))
    assert scrape(port)["hpo_worker_database_away"] == 1
    metrics.hear(events.DatabaseCameBack(WORKER, 2.0))
    assert scrape(port)["hpo_worker_database_away"] == 0


def test_two_workers_in_one_process_count_apart(port: int) -> None:
    one, other = Metrics(), Metrics()
    other.hear(events.ChildDied(WORKER, "killed"))
    one.serve(port)
    try:
        assert scrape(port)["hpo_worker_child_deaths_total"] == 0
    finally:
        one.close()


def test_only_this_machine_can_fetch_them(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    assert is_heard("127.0.0.1", port)
    own = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), port)}
    others = {"127.0.0.2", "::1", *own} - {"127.0.0.1"}
    assert not [address for address in others if is_heard(address, port)]


def test_port_0_serves_nothing(metrics: Metrics) -> None:
    before = set(threading.enumerate())
    metrics.serve(0)
    assert set(threading.enumerate()) <= before


def test_a_closed_port_is_free_for_the_next_worker(metrics: Metrics, port: int) -> None:
    metrics.serve(port)
    metrics.close()
    assert not is_heard("127.0.0.1", port)
    following = Metrics()
    following.serve(port)
    try:
        assert is_heard("127.0.0.1", port)
    finally:
        following.close()


def test_a_taken_port_is_told_with_what_would_be_right(metrics: Metrics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
        with pytest.raises(HpoError, match=f"port {port}: .*in use.*HPO_METRICS_PORT") as refused:
            metrics.serve(port)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_number_that_is_no_port_is_refused(metrics: Metrics, port: int) -> None:
    with pytest.raises(HpoError, match=f"port {port}: "):
        metrics.serve(port)
