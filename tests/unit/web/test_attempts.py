"""Guessing is slowed down, for each client alone."""

from hpo.web import attempts
from hpo.web.attempts import MOST_CLIENTS, MOST_OF_A_CLIENT, WINDOW_S, Attempts


class Clock:
    """Shows the time that a test sets."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_client_waits_after_its_last_allowed_failure_until_the_first_is_old() -> None:
    clock = Clock()
    counted = Attempts(clock=clock)
    for _ in range(MOST_OF_A_CLIENT):
        assert counted.wait_s("192.0.2.1") == 0
        counted.failed("192.0.2.1")
        clock.now_s += 1
    assert counted.wait_s("192.0.2.1") == WINDOW_S - MOST_OF_A_CLIENT
    assert counted.wait_s("192.0.2.2") == 0
    clock.now_s += WINDOW_S - MOST_OF_A_CLIENT
    assert counted.wait_s("192.0.2.1") == 0


def test_addresses_of_one_network_are_one_client() -> None:
    counted = Attempts(clock=Clock())
    for host in range(MOST_OF_A_CLIENT):
        counted.failed(f"2001:db8::{host + 1:x}")
    assert counted.wait_s("2001:db8::99") > 0
    assert counted.wait_s("2001:db8:1::99") == 0


def test_strangers_make_nobody_else_wait() -> None:
    counted = Attempts(clock=Clock())
    for host in range(256):
        counted.failed(f"192.0.2.{host}")
    assert counted.wait_s("198.51.100.1") == 0


def test_what_is_remembered_is_bounded() -> None:
    counted = Attempts(clock=Clock())
    for host in range(MOST_CLIENTS + 50):
        counted.failed(str(host))
    assert len(counted._of_client) == attempts.MOST_CLIENTS
