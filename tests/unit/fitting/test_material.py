"""What networks share is made once, and is what each would make for itself."""

import numpy as np
import pytest

from hpo.fitting import material as module
from hpo.fitting.material import Material, window_count
from tests.unit.search.fake_trainer import tiny_prepared

PREPARED = tiny_prepared()
FOLD = PREPARED.folds[0]
LOOKBACK = PREPARED.lookbacks[-1]


def test_a_part_is_made_once_for_each_fold_lookback_and_purpose() -> None:
    material = Material(PREPARED)
    part = material.part(FOLD, LOOKBACK, watched=True)
    assert material.part(FOLD, LOOKBACK, watched=True) is part
    assert material.part(FOLD, LOOKBACK - 1, watched=True).inner.lookback == LOOKBACK - 1
    whole = material.part(FOLD, LOOKBACK, watched=False)
    assert whole.tail is None
    assert len(whole.inner.starts_N) > len(part.inner.starts_N)


@pytest.mark.parametrize("watched", [True, False])
def test_windows_are_counted_as_they_are_trained_on(watched: bool) -> None:
    part = Material(PREPARED).part(FOLD, LOOKBACK, watched=watched)
    counted = window_count(PREPARED, FOLD, LOOKBACK, watched=watched)
    assert len(part.inner.starts_N) == counted


def test_many_windows_are_thinned_where_they_are_only_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_WATCHED", 3)
    part = Material(PREPARED).part(FOLD, LOOKBACK, watched=True)
    assert part.tail is not None
    assert len(part.seen.starts_N) == len(part.tail.starts_N) == 3
    assert len(part.inner.starts_N) > 3


def test_an_order_is_that_of_its_fold_and_seed_and_kept_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    material = Material(PREPARED)
    first_SB = material.order(FOLD, 0, windows=20, steps=9)
    assert first_SB.shape == (9, 20)
    assert material.order(FOLD, 0, windows=20, steps=9) is first_SB
    assert (material.order(FOLD, 1, windows=20, steps=9) != first_SB).any()
    assert (material.order(PREPARED.folds[1], 0, windows=20, steps=9) != first_SB).any()
    monkeypatch.setattr(module, "MOST_KEPT_BYTES", 0)
    full = Material(PREPARED)
    again_SB = full.order(FOLD, 0, windows=20, steps=9)
    np.testing.assert_array_equal(again_SB, first_SB)
    assert full.order(FOLD, 0, windows=20, steps=9) is not again_SB


@pytest.mark.parametrize(("windows", "size"), [(100, 32), (32, 32), (31, 31), (1, 1)])
def test_a_batch_holds_no_more_windows_than_there_are(windows: int, size: int) -> None:
    assert Material(PREPARED).order(FOLD, 0, windows=windows, steps=4).shape == (4, size)
