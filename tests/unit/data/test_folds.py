"""Folds are rolling origins: what trains is never scored, what is held out is never touched."""

import numpy as np
import pandas as pd
import pytest

from hpo.data.checking import check
from hpo.data.folds import MAX_ORIGINS, Fold, make_folds, naive_scale
from hpo.data.panel import Panel
from hpo.errors import DataError
from hpo.spec.study import Data
from tests.unit.data.panels import panel_of, wave


def _folds(panel: Panel, **given: object) -> tuple[list[Fold], tuple[str, ...]]:
    asked = {"horizon": 3, "test": 0, "folds": 4, "metric": "mase", "lookback": 8} | given
    folds, test, warnings = make_folds(panel, **asked)  # type: ignore[arg-type]
    return [*folds, test], warnings


def test_the_geometry_of_144_months_is_as_worked_out_by_hand() -> None:
    *folds, test = _folds(panel_of(wave(144)), horizon=12)[0]
    assert [int(f.train_ends_S[0]) for f in folds] == [72, 82, 91, 100]
    assert [len(f.origins_O) for f in folds] == [10, 9, 9, 9]
    assert folds[0].origins_O[0] == 71
    assert folds[-1].origins_O[-1] + 12 == 119  # the last row before the test span of 24
    assert (test.number, int(test.train_ends_S[0])) == (4, 120)
    assert (test.origins_O[0], test.origins_O[-1]) == (119, 131)


def test_the_default_test_span_is_the_larger_of_two_horizons_and_a_tenth() -> None:
    assert _folds(panel_of(wave(400)), horizon=3)[0][-1].train_ends_S[0] == 360
    assert _folds(panel_of(wave(400)), horizon=30)[0][-1].train_ends_S[0] == 340
    assert _folds(panel_of(wave(400)), test=50)[0][-1].train_ends_S[0] == 350


def test_origins_of_the_folds_follow_each_other_without_a_gap() -> None:
    *folds, _ = _folds(panel_of(wave(200)))[0]
    origins = np.concatenate([f.origins_O for f in folds])
    assert (np.diff(origins) == 1).all()


def test_series_that_end_together_share_one_calendar_cutoff() -> None:
    days = pd.date_range("2024", periods=200).astype(str)
    frame = pd.concat(
        [
            pd.DataFrame({"t": days, "y": wave(200), "s": "long"}),
            pd.DataFrame({"t": days[50:], "y": wave(150), "s": "late"}),
        ]
    )
    panel = check(frame, Data(source="frame", target="y", time="t", series="s"))
    for fold in _folds(panel)[0]:
        assert len(np.unique(panel.times_R[fold.train_ends_S - 1])) == 1


def test_series_that_end_apart_are_each_cut_at_their_own_end() -> None:
    panel = panel_of(wave(200), wave(160), wave(180))
    test = _folds(panel)[0][-1]
    assert (panel.starts_S[1:] - test.train_ends_S).tolist() == [18, 18, 18]


def test_a_series_too_short_for_a_fold_is_left_out_of_it_and_named() -> None:
    panel = panel_of(wave(200), wave(70), wave(200), wave(12))
    made, warnings = _folds(panel)
    assert made[0].train_ends_S[1] == panel.starts_S[1]
    assert 1 not in made[0].series_O
    assert 1 in made[-1].series_O
    assert all(3 not in fold.series_O for fold in made)
    assert warnings == (
        "1 series too short for any fold left out: 'd'",
        "1 series too short for the first folds left out of these: 'b'",
    )


def test_many_origins_are_thinned_evenly_and_it_is_said() -> None:
    made, warnings = _folds(panel_of(wave(60_000)))
    assert [len(f.origins_O) for f in made] == [MAX_ORIGINS] * 5
    assert "4,096 origins a fold" in warnings[0]
    assert np.ptp(np.diff(made[0].origins_O)) <= 1


def test_too_few_rows_are_refused_with_what_could_be_smaller() -> None:
    with pytest.raises(DataError) as refusal:
        _folds(panel_of(wave(30)), horizon=6)
    said = str(refusal.value)
    assert "too few rows: 30, where" in said
    for way_out in ("task.horizon (6)", "task.lookback (8)", "validation.folds (4)", "data.test"):
        assert way_out in said


def test_the_rows_said_to_be_needed_are_enough_and_one_less_is_not() -> None:
    with pytest.raises(DataError) as refusal:
        _folds(panel_of(wave(30)), horizon=6)
    needed = int(str(refusal.value).split("where ")[1].split()[0])
    assert len(_folds(panel_of(wave(needed)), horizon=6)[0]) == 5
    with pytest.raises(DataError):
        _folds(panel_of(wave(needed - 1)), horizon=6)


def test_a_test_span_shorter_than_the_horizon_is_refused() -> None:
    with pytest.raises(DataError, match=r"data\.test=2 rows holds no forecast of 3 steps"):
        _folds(panel_of(wave(200)), test=2)


def test_scales_are_the_seasonal_naive_error_of_each_folds_training_part() -> None:
    panel = panel_of(wave(200, trend=0.5), season=12)
    for fold in _folds(panel)[0]:
        part = panel.values_RF[: fold.train_ends_S[0], 0]
        assert fold.scale_O == pytest.approx(np.abs(part[12:] - part[:-12]).mean())


def test_scales_are_one_for_metrics_without_a_scale() -> None:
    assert all((f.scale_O == 1).all() for f in _folds(panel_of(wave(200)), metric="mae")[0])


def test_a_scale_is_never_zero() -> None:
    assert naive_scale(np.array([1.0, 2.0, 1.0, 2.0]), 2) == 1.0
    assert naive_scale(np.full(9, 5.0), 2) == 5.0
    assert naive_scale(np.zeros(9), 2) == 1.0
    assert naive_scale(np.array([3.0]), 12) == 3.0


def _with_missing(*rows: int) -> Panel:
    values = wave(144, trend=0.1)
    values[list(rows)] = np.nan
    return panel_of(values)


def test_no_target_that_was_missing_is_scored_and_the_rest_is_as_without_it() -> None:
    complete, _ = _folds(panel_of(wave(144, trend=0.1)))
    made, warnings = _folds(_with_missing(90, 135))
    for fold, whole in zip(made, complete, strict=True):
        assert (fold.train_ends_S == whole.train_ends_S).all()
        reaches = np.array([{90, 135} & {o + 1, o + 2, o + 3} != set() for o in whole.origins_O])
        assert fold.origins_O.tolist() == whole.origins_O[~reaches].tolist()
        assert len(fold.series_O) == len(fold.scale_O) == len(fold.origins_O)
    total = sum(len(f.origins_O) for f in complete)
    assert warnings == (
        f"6 of {total} forecasts are left unscored: a value to be forecast was missing",
    )


def test_rows_that_were_inserted_are_not_scored_either() -> None:
    days = pd.date_range("2024", periods=144).astype(str)
    frame = pd.DataFrame({"t": days, "y": wave(144)}).drop(index=[100])
    panel = check(frame, Data(source="frame", target="y", time="t"))
    scored = {int(o) + h for f in _folds(panel)[0] for o in f.origins_O for h in (1, 2, 3)}
    assert {99, 101} < scored
    assert 100 not in scored


def test_a_target_that_was_missing_in_training_leaves_all_origins() -> None:
    made, warnings = _folds(_with_missing(20))
    assert sum(len(f.origins_O) for f in made) == sum(
        len(f.origins_O) for f in _folds(panel_of(wave(144, trend=0.1)))[0]
    )
    assert warnings == ()


def test_a_missing_target_of_one_series_leaves_the_origins_of_the_others() -> None:
    values = wave(144)
    values[140] = np.nan
    test = _folds(panel_of(wave(144), values, wave(144)))[0][-1]
    _, counts = np.unique(test.series_O, return_counts=True)
    assert counts.tolist() == [counts[0], counts[0] - 3, counts[0]]


def test_origins_are_thinned_among_those_that_are_scored() -> None:
    values = wave(60_000)
    values[-30:-10] = np.nan
    made, _ = _folds(panel_of(values))
    assert [len(f.origins_O) for f in made] == [MAX_ORIGINS] * 5


@pytest.mark.parametrize(
    ("missing", "part"), [(range(124, 144, 3), "the test span"), (range(78, 93), "fold 1 of 4")]
)
def test_a_part_without_a_known_target_is_refused_with_a_way_out(missing: range, part: str) -> None:
    values = wave(145)
    values[list(missing)] = np.nan
    with pytest.raises(DataError) as refusal:
        _folds(panel_of(values))
    for words in (f"no forecast of {part} can be scored", "'y'", "task.horizon (3)", "data.test"):
        assert words in str(refusal.value)


def test_a_scale_of_mere_rounding_falls_back() -> None:
    sine = np.sin(2 * np.pi * np.arange(240) / 24)
    assert 0 < np.abs(sine[24:] - sine[:-24]).mean() < 1e-14
    assert naive_scale(sine, 24) == pytest.approx(np.abs(np.diff(sine)).mean())
    assert naive_scale(1e-20 * sine, 24) == pytest.approx(1e-20 * np.abs(np.diff(sine)).mean())
