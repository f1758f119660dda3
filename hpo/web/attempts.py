"""How often one may guess a token: failed attempts are counted, per client and all together."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from threading import Lock

WINDOW_S = 300.0
MOST_OF_A_CLIENT = 5  # failures within the window
MOST_OF_ALL = 100
MOST_CLIENTS = 1_000  # remembered; more than MOST_OF_ALL, so that forgetting one opens no door


class Attempts:
    """Failed attempts of the last minutes, in memory; to be asked before each new attempt."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._all: deque[float] = deque(maxlen=MOST_OF_ALL)
        self._of_client: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Seconds for which this client may not try again; 0: it may now."""
        with self._lock:
            own = self._of_client.get(_place(client), deque())
            return max(self._left(own, MOST_OF_A_CLIENT), self._left(self._all, MOST_OF_ALL))

    def failed(self, client: str) -> None:
        """An attempt of this client has failed."""
        with self._lock:
            own = self._of_client.setdefault(_place(client), deque(maxlen=MOST_OF_A_CLIENT))
            self._of_client.move_to_end(_place(client))
            for counted in (own, self._all):
                counted.append(self._clock())
            if len(self._of_client) > MOST_CLIENTS:
                self._of_client.popitem(last=False)

    def _left(self, counted: deque[float], most: int) -> float:
        """Until the oldest of `most` failures is out of the window."""
        return max(0.0, counted[0] + WINDOW_S - self._clock()) if len(counted) >= most else 0.0


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
