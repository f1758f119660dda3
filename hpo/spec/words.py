"""The words that answers are told in: sizes, measures and benchmarks by the names people know."""

from collections.abc import Sequence

NAMES_SHOWN = 3
METRICS = {"mase": "MASE", "rmse": "RMSE", "mae": "MAE", "smape": "sMAPE"}
BENCHMARKS = {
    "naive": "naive",
    "seasonal_naive": "seasonal naive",
    "drift": "drift",
    "auto_ets": "AutoETS",
    "theta": "Theta",
    "ridge": "ridge",
}


def benchmark_name(name: str) -> str:
    """A benchmark as it is told: `AutoETS` for auto_ets; a name that is not known as it is."""
    return BENCHMARKS.get(name, name)


def size_in_words(cells: Sequence[int]) -> str:
    """A network's size, its layers from the first to the last.

    >>> size_in_words([3]), size_in_words([4, 4]), size_in_words([8, 4, 1])
    ('1 layer of 3 cells', '2 layers of 4 cells each', '3 layers of 8, 4 and 1 cells')
    """
    if len(cells) == 1:
        return f"1 layer of {counted(cells[0], 'cell')}"
    if len(set(cells)) == 1:
        return f"{len(cells)} layers of {counted(cells[0], 'cell')} each"
    *first, last = map(str, cells)
    return f"{len(cells)} layers of {', '.join(first)} and {last} cells"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    >>> counted(1, "cell"), counted(1200, "series"), counted(3, "stretch")
    ('1 cell', '1,200 series', '3 stretches')
    """
    if number == 1 or noun.endswith("s"):
        return f"{number:,} {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('ch') else 's'}"


def listed(names: Sequence[str]) -> str:
    """The first names, quoted, and how many more there are.

    >>> listed(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = ", ".join(repr(n) for n in names[:NAMES_SHOWN])
    return f"{shown} and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else shown
