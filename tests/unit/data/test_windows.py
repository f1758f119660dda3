"""Windows lie where they should, and are views until they are asked for."""

import numpy as np

from hpo.data.windows import examples, gather, split_tail, view, window_starts
from tests.unit.data.panels import panel_of, wave


def test_windows_lie_wholly_before_the_end_of_their_series_part() -> None:
    panel = panel_of(wave(10), wave(7), wave(4))
    ends = np.array([9, 17, 17])
    found = window_starts(panel, ends, lookback=3, horizon=2)
    assert found.tolist() == [0, 1, 2, 3, 4, 10, 11, 12]


def test_the_last_windows_are_the_tail_and_none_before_it_shares_a_target_with_it() -> None:
    panel = panel_of(wave(40))
    inner, tail = split_tail(panel, np.array([31]), lookback=8, horizon=4)
    assert tail.tolist() == [17, 18, 19]  # 15 % of 20 windows
    assert inner.tolist() == list(range(14))
    targets = {t for s in inner for t in range(s + 8, s + 12)}
    assert targets.isdisjoint(range(17 + 8, 19 + 12))
    assert max(targets) == 17 + 8 - 1  # not one window more than needed is purged


def test_every_series_with_a_window_has_a_tail() -> None:
    panel = panel_of(wave(40), wave(12))
    _, tail = split_tail(panel, np.array([40, 50]), lookback=8, horizon=1)
    assert (tail >= 40).sum() == 1


def test_views_share_memory_and_gathered_windows_are_the_rows_themselves() -> None:
    values = np.arange(20.0).reshape(10, 2)
    windows = view(values, length=4)
    assert np.shares_memory(windows, values)
    assert windows.shape == (7, 4, 2)
    taken = gather(values, np.array([5, 0]), length=4)
    assert taken[0].tolist() == values[5:9].tolist()
    assert taken.flags.c_contiguous


def test_examples_are_windows_with_the_targets_that_follow() -> None:
    values = np.stack([np.arange(10), 10 * np.arange(10)], axis=1).astype(np.float32)
    x, y = examples(values, np.array([2]), lookback=3, outputs=2, anchored=False)
    assert x.tolist() == [[[2, 20], [3, 30], [4, 40]]]
    assert y.tolist() == [[5, 6]]


def test_anchored_examples_are_relative_to_the_last_target_of_the_window() -> None:
    values = np.stack([np.arange(10), 10 * np.arange(10)], axis=1).astype(np.float32)
    x, y = examples(values, np.array([2]), lookback=3, outputs=2, anchored=True)
    assert x.tolist() == [[[-2, 20], [-1, 30], [0, 40]]]
    assert y.tolist() == [[1, 2]]
    assert values[:, 0].tolist() == list(range(10))
