"""The dashboard's words for values: times ago, sizes, numbers, what a worker is at."""

from collections.abc import Callable, Sequence
from typing import Any

from hpo.spec.telling import duration, headline, number
from hpo.spec.words import METRICS, counted, size_in_words

DAY_S = 86_400
OTHER_WORK = {"choosing": "choosing the next trials"}


def ago(seconds: float) -> str:
    """How long ago.

    >>> ago(0.4), ago(130), ago(200_000)
    ('now', '2.17 min ago', '2 days ago')
    """
    if seconds < 2:
        return "now"
    if seconds >= 2 * DAY_S:
        return f"{counted(int(seconds // DAY_S), 'day')} ago"
    return f"{duration(seconds)} ago"


def size(cells: Sequence[int]) -> str:
    """A network's size, short enough for a table.

    >>> size([3]), size([4, 4]), size([8, 4])
    ('3', '4 + 4', '8 + 4')
    """
    return " + ".join(map(str, cells))


def at_work(on: Sequence[str]) -> str:
    """What a worker is at.

    >>> at_work(["3", "4"]), at_work(["5"]), at_work(["verdict"]), at_work([])
    ('trials 3, 4', 'trial 5', 'verdict', 'nothing')
    >>> at_work(["choosing"])
    'choosing the next trials'
    """
    if not on:
        return "nothing"
    trials = [name for name in on if name.isdigit()]
    other = [OTHER_WORK.get(name, name) for name in on if not name.isdigit()]
    said = [f"trial{'s' * (len(trials) > 1)} {', '.join(trials)}"] if trials else []
    return ", ".join([*said, *other])


FILTERS: dict[str, Callable[..., Any]] = {
    "ago": ago,
    "size": size,
    "at_work": at_work,
    "number": number,
    "counted": counted,
    "headline": headline,
    "size_in_words": size_in_words,
    "metric": lambda name: METRICS[name],
    "rate": lambda value: f"{value:.2g}",
}
