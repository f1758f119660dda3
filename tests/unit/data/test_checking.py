"""A panel is sorted, regular, finite; what was changed is said, what cannot be used refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.checking import check
from hpo.data.panel import Panel
from hpo.errors import DataError
from hpo.spec.study import Data

DAYS = [f"2024-01-{d:02d}" for d in range(1, 32)]


def _check(columns: dict[str, Any], **data: Any) -> Panel:
    named = {"time": "t"} if "t" in columns else {}
    series = {"series": "s"} if "s" in columns else {}
    return check(pd.DataFrame(columns), Data(source="frame", target="y", **(named | series | data)))


def _refused(columns: dict[str, Any], **data: Any) -> str:
    with pytest.raises(DataError) as refusal:
        _check(columns, **data)
    return str(refusal.value)


def test_good_rows_pass_without_a_word() -> None:
    panel = _check({"t": DAYS[:6], "y": [1, 2, 3, 4, 5, 6]})
    assert panel.warnings == ()
    assert panel.values_RF[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert (panel.frequency, panel.season, panel.names) == ("D", 7, ("",))
    assert panel.starts_S.tolist() == [0, 6]


def test_a_given_season_wins_over_the_one_found() -> None:
    assert _check({"t": DAYS[:6], "y": range(6)}, season=3).season == 3


def test_unsorted_times_are_sorted_with_a_warning() -> None:
    panel = _check({"t": [DAYS[i] for i in (0, 2, 1, 3, 4)], "y": [1, 3, 2, 4, 5]})
    assert panel.values_RF[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert panel.warnings == ("the times were not in order: 2 rows moved",)


def test_a_missing_value_takes_the_last_known_one_never_a_later_one() -> None:
    panel = _check({"t": DAYS[:6], "y": [1, 2, None, None, 5, 6]})
    assert panel.values_RF[:, 0].tolist() == [1, 2, 2, 2, 5, 6]
    assert panel.known_R.tolist() == [True, True, False, False, True, True]
    assert panel.warnings == ("2 missing values in column 'y' filled with the last known value",)


def test_what_was_known_before_the_first_row_is_carried_into_it() -> None:
    panel = _check({"y": [None, 1, 2, 3, 4], "x": [7, None, 3, 1, 2]}, covariates=("x",))
    assert panel.values_RF[0].tolist() == [1, 7]
    assert panel.warnings == ("1 row before all columns are known dropped",)


def test_rows_before_all_is_known_and_after_the_last_target_are_dropped() -> None:
    panel = _check(
        {"y": [None, 1, 2, 3, 4, 5, None], "x": [None, None, 3, 1, 2, None, 4]}, covariates=("x",)
    )
    assert panel.values_RF.tolist() == [[2, 3], [3, 1], [4, 2], [5, 2]]
    assert panel.warnings == (
        "2 rows before all columns are known dropped",
        "1 row after the last known target dropped",
        "1 missing value in column 'x' filled with the last known value",
    )


def test_gaps_get_rows_with_the_last_known_values() -> None:
    kept = (0, 1, 2, 5, 6, 7)
    panel = _check({"t": [DAYS[i] for i in kept], "y": kept})
    assert panel.values_RF[:, 0].tolist() == [0, 1, 2, 2, 2, 5, 6, 7]
    assert np.flatnonzero(~panel.known_R).tolist() == [3, 4]
    assert str(panel.times_R[4]) == "2024-01-05T00:00:00"
    assert panel.warnings == (
        "2 rows missing between the times (the first after 2024-01-03) "
        "inserted with the last known values",
    )


def test_irregular_times_are_taken_as_equally_spaced_with_a_warning() -> None:
    panel = _check({"t": [DAYS[i] for i in (0, 3, 4, 9, 16, 18)], "y": range(6)})
    assert len(panel.values_RF) == 6
    assert "no dominant step" in panel.warnings[0]


def test_one_far_away_time_does_not_fill_the_memory() -> None:
    panel = _check({"t": [*DAYS[:8], "2262-01-01"], "y": range(9)})
    assert len(panel.values_RF) == 9
    assert "no dominant step" in panel.warnings[0]


def test_constant_covariates_are_dropped_and_named() -> None:
    columns = {"y": range(6), "a": [1] * 6, "b": [1, 2, 1, 2, 1, 2]}
    panel = _check(columns, covariates=("a", "b"))
    assert panel.columns == ("y", "b")
    assert panel.values_RF.shape == (6, 2)
    assert panel.warnings == ("covariates that never change (within a series) dropped: 'a'",)


def test_series_lie_one_after_another_in_the_order_of_their_names() -> None:
    panel = _check({"s": list("baab"), "y": [3, 1, 2, 4]})
    assert panel.names == ("a", "b")
    assert panel.values_RF[:, 0].tolist() == [1, 2, 3, 4]
    assert panel.starts_S.tolist() == [0, 2, 4]
    assert panel.warnings == ()


def test_constant_series_and_series_without_values_are_left_out_and_named() -> None:
    columns = {"s": list("aaabbbccc"), "y": [1, 2, 3, 5, 5, 5, None, None, None]}
    panel = _check(columns)
    assert panel.names == ("a",)
    assert panel.warnings == (
        "1 series without values left out: 'c'",
        "1 series with a constant target left out: 'b'",
    )


def test_values_are_never_filled_from_another_series() -> None:
    panel = _check({"s": list("aaaabbbb"), "y": [1, 2, 3, 9, None, 5, None, 7]})
    assert panel.values_RF[panel.starts_S[1] :, 0].tolist() == [5, 5, 7]


def test_duplicate_times_are_refused_with_row_and_value() -> None:
    said = _refused({"t": [DAYS[i] for i in (0, 1, 2, 1, 4)], "y": range(5)})
    assert "the time '2024-01-02' is there twice (frame, row 3 counted from 0, column 't')" in said
    assert "data.series" in said


def test_the_same_time_in_two_series_is_no_duplicate_but_within_one_it_is() -> None:
    assert len(_check({"t": DAYS[:3] * 2, "s": list("aaabbb"), "y": range(6)}).names) == 2
    days = [*DAYS[:3], DAYS[0], DAYS[0], DAYS[1]]
    said = _refused({"t": days, "s": list("aaabbb"), "y": range(6)})
    assert "of series 'b' is there twice (frame, row 4" in said


def test_a_constant_target_is_refused() -> None:
    assert "the target 'y' is always 3" in _refused({"y": [3] * 6})
    assert "constant in every series" in _refused({"s": list("aabb"), "y": [3, 3, 4, 4]})


def test_a_column_without_values_is_refused() -> None:
    assert "column 'y' has no values" in _refused({"y": [None] * 6})
    assert "column 'x' has no values" in _refused(
        {"y": range(6), "x": [None] * 6}, covariates=("x",)
    )
    said = _refused({"y": [1, 2, None, None], "x": [None, None, 1, 2]}, covariates=("x",))
    assert "no row has a value in every column" in said


def test_too_few_rows_are_refused() -> None:
    assert "too few rows: 2" in _refused({"y": [1, 2]})


def test_the_fingerprint_is_of_the_content_alone() -> None:
    one = _check({"t": DAYS[:5], "y": range(5)})
    shuffled = _check({"t": DAYS[4::-1], "y": range(4, -1, -1)})
    other = _check({"t": DAYS[:5], "y": [0, 1, 2, 3, 5]})
    assert one.fingerprint == shuffled.fingerprint
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 64


def test_a_value_that_is_filled_has_another_fingerprint_than_one_that_is_known() -> None:
    filled = _check({"y": [1, 2, None, 4, 5]})
    known = _check({"y": [1, 2, 2, 4, 5]})
    assert (filled.values_RF == known.values_RF).all()
    assert filled.fingerprint != known.fingerprint


def test_checking_leaves_the_frame_as_it_was() -> None:
    frame = pd.DataFrame({"t": DAYS[5::-1], "y": [1.0, None, 3.0, 4.0, None, 6.0]})
    before = frame.copy()
    check(frame, Data(source="frame", target="y", time="t"))
    pd.testing.assert_frame_equal(frame, before)


def test_values_are_finite_float64() -> None:
    panel = _check({"y": pd.array([1, 2, None, 4, 5], dtype="Int64")})
    assert panel.values_RF.dtype == np.float64
    assert np.isfinite(panel.values_RF).all()
