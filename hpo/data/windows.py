"""Windows of rows: where they lie, and the arrays that a network learns from.

Shapes: R rows, F features, S series, N windows, T lookback, K outputs, B windows in a batch.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from hpo.data.panel import Panel

Ints = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

TAIL_SHARE = 0.15  # of each series' windows watch the training (see hpo.fitting)


def count_windows(rows_S: Ints, *, lookback: int, horizon: int) -> Ints:
    """Windows of lookback + horizon steps in so many rows: rows - lookback - horizon + 1, or 0.

    >>> count_windows(np.array([10, 3]), lookback=3, horizon=1).tolist()
    [7, 0]
    """
    return np.maximum(rows_S - lookback - horizon + 1, 0)


def window_starts(panel: Panel, ends_S: Ints, *, lookback: int, horizon: int) -> Ints:
    """First rows (int64, N) of all windows that lie wholly before their series' row ends_S."""
    begins_S = panel.starts_S[:-1]
    counts_S = count_windows(ends_S - begins_S, lookback=lookback, horizon=horizon)
    return _ranges(begins_S, counts_S)


def split_tail(panel: Panel, ends_S: Ints, *, lookback: int, horizon: int) -> tuple[Ints, Ints]:
    """First rows of the windows to learn from, and of the last 15 % of each series' windows.

    Windows between the two, whose targets touch a target of the tail, are in neither (purged).
    Of 20 windows with horizon 2 the last 3 are the tail and the first 16 are learnt from.
    """
    begins_S = panel.starts_S[:-1]
    counts_S = count_windows(ends_S - begins_S, lookback=lookback, horizon=horizon)
    tails_S = np.ceil(counts_S * TAIL_SHARE).astype(np.int64)
    inner_S = np.maximum(counts_S - tails_S - (horizon - 1), 0)
    return _ranges(begins_S, inner_S), _ranges(begins_S + counts_S - tails_S, tails_S)


def view(values_RF: Array, *, length: int) -> Array:
    """Every window of `length` rows, as a read-only view (R-length+1, length, F)."""
    return sliding_window_view(values_RF, length, axis=0).swapaxes(1, 2)


def gather(values_RF: Array, starts_N: Ints, *, length: int) -> Array:
    """The windows of `length` rows that begin at starts_N: x_NTF, a copy of these alone."""
    return np.ascontiguousarray(view(values_RF, length=length)[starts_N])


def anchor(x_BTF: Array) -> tuple[Array, Array]:
    """Windows less the last target value in each, and these values (B,).

    >>> x_BTF, level_B = anchor(np.array([[[1.0, 9.0], [3.0, 9.0]]]))
    >>> x_BTF[0, :, 0].tolist(), x_BTF[0, :, 1].tolist(), level_B.tolist()
    ([-2.0, 0.0], [9.0, 9.0], [3.0])
    """
    level_B = x_BTF[:, -1, 0].copy()
    anchored_BTF = x_BTF.copy()
    anchored_BTF[:, :, 0] -= level_B[:, None]
    return anchored_BTF, level_B


def examples(
    scaled_RF: Array, starts_N: Ints, *, lookback: int, outputs: int, anchored: bool
) -> tuple[Array, Array]:
    """What a network learns from at the windows starts_N: inputs x_NTF and targets y_NK.

    With `anchored` the last target value of each window is taken from the window and its targets.
    """
    whole = gather(scaled_RF, starts_N, length=lookback + outputs)
    x_NTF, y_NK = whole[:, :lookback], whole[:, lookback:, 0]
    if not anchored:
        return np.ascontiguousarray(x_NTF), np.ascontiguousarray(y_NK)
    anchored_NTF, level_N = anchor(x_NTF)
    return np.ascontiguousarray(anchored_NTF), y_NK - level_N[:, None]


def _ranges(firsts_S: Ints, counts_S: Ints) -> Ints:
    """first, first + 1, ... for each series, one after another."""
    before_S = np.cumsum(counts_S) - counts_S
    within_N = np.arange(int(counts_S.sum()), dtype=np.int64)
    starts_N: Ints = within_N + np.repeat(firsts_S - before_S, counts_S)
    return starts_N
