"""How often one may guess a token: each client's failed attempts are counted.

There is no limit for all together: strangers would use it to lock out everybody else, and a token
of 16 characters is not found by guessing.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from threading import Lock

WINDOW_S = 300.0
MOST_OF_A_CLIENT = 5  # failures within the window
MOST_CLIENTS = 1_000  # remembered


class Attempts:
    """Failed attempts of the last minutes, in memory; to be asked before each new attempt."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._of_client: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Seconds for which this client may not try again; 0: it may now."""
        with self._lock:
            failures = self._of_client.get(_place(client))
            if failures is None or len(failures) < MOST_OF_A_CLIENT:
                return 0.0
            return max(0.0, failures[0] + WINDOW_S - self._clock())

    def failed(self, client: str) -> None:
        """An attempt of this client has failed."""
        with self._lock:
            failures = self._of_client.setdefault(_place(client), deque(maxlen=MOST_OF_A_CLIENT))
            failures.append(self._clock())
            self._of_client.move_to_end(_place(client))
            if len(self._of_client) > MOST_CLIENTS:
                self._of_client.popitem(last=False)


def _place(client: str) -> str:
    """The address, of IPv6 the network: one client has many of those addresses.

    >>> _place("192.0.2.7"), _place("2001:db8::7")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return str(address)
