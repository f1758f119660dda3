"""A model that was taken away forecasts what the study's own networks forecast."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from hpo.data.prepare import prepare, with_all_rows
from hpo.errors import DataError, UsageError
from hpo.export.model import Model, load
from tests.unit.export.models import SEEDS, STEPS, Case, case, model_of, months, shops

ONE = {"task": {"horizon": 1}}
CASES: dict[str, Case] = {
    "all steps of the transform": case(
        months(), task={"transform": "log+deseasonalise+difference", "strategy": "direct"}
    ),
    "recursive": case(months(), task={"strategy": "recursive", "transform": "deseasonalise"}),
    "two unequal layers, a covariate": case(
        months(),
        (4, 2),
        data={"covariates": ["lead"]},
        task={"strategy": "direct", "transform": "log+difference"},
    ),
    "many series": case(
        shops(),
        data={"series": "shop"},
        task={"transform": "log+deseasonalise", "strategy": "direct"},
    ),
    "nothing but standardised, recursive with a covariate": case(
        months(), data={"covariates": ["lead"]}, task={"transform": "none", "strategy": "recursive"}
    ),
}


@pytest.fixture(scope="module")
def seasonal(tmp_path_factory: pytest.TempPathFactory) -> Model:
    contents = CASES["all steps of the transform"].before_the_test(with_intervals=True)
    return model_of(contents, tmp_path_factory.mktemp("seasonal") / "model")


@pytest.fixture(scope="module")
def of_shops(tmp_path_factory: pytest.TempPathFactory) -> Model:
    contents = CASES["many series"].before_the_test(with_intervals=True)
    return model_of(contents, tmp_path_factory.mktemp("shops") / "model")


@pytest.mark.parametrize("name", CASES)
def test_it_forecasts_the_test_span_as_the_final_race_did(name: str, tmp_path: Path) -> None:
    one = CASES[name]
    model = model_of(one.before_the_test(), tmp_path / "model")
    test, panel = one.prepared.test, one.prepared.panel
    expected_OH = one.mean_forecast(test, STEPS)
    for origin in {0, len(test.origins_O) // 2, len(test.origins_O) - 1}:
        row, series = int(test.origins_O[origin]), int(test.series_O[origin])
        start, name_of = panel.starts_S[series], panel.names[series]
        frame = one.frame if not name_of else one.frame[one.frame["shop"] == name_of]
        known = frame.iloc[: row - start + 1]
        found = model.predict(known, level=())
        np.testing.assert_allclose(found["y"], expected_OH[origin], rtol=1e-6, atol=0)
        recent = model.predict(known.tail(model.signature.lookback), level=())
        pd.testing.assert_frame_equal(recent, found, rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_what_was_loaded_is_what_was_written(name: str, tmp_path: Path) -> None:
    contents = CASES[name].before_the_test()
    in_memory, loaded = Model(contents), model_of(contents, tmp_path / "model")
    frame = CASES[name].frame
    pd.testing.assert_frame_equal(loaded.predict(frame), in_memory.predict(frame), rtol=0, atol=0)
    assert loaded.signature == in_memory.signature


def test_rows_after_those_it_learnt_from_change_nothing_in_it(tmp_path: Path) -> None:
    one = CASES["all steps of the transform"]
    first_of_test = int(one.prepared.test.train_ends_S[0])
    shuffled = one.frame.copy()
    shuffled.loc[first_of_test:, "y"] = shuffled.loc[first_of_test:, "y"].to_numpy()[::-1]
    other = case(shuffled, task=one.prepared.study.task.model_dump())
    known = one.frame.iloc[:first_of_test]
    here = model_of(one.before_the_test(), tmp_path / "here").predict(known)
    there = model_of(other.before_the_test(), tmp_path / "there").predict(known)
    pd.testing.assert_frame_equal(there, here, rtol=0, atol=0)


@pytest.mark.parametrize("dropped", range(1, 13))
def test_rows_may_begin_anywhere_in_a_season(seasonal: Model, dropped: int) -> None:
    whole = months()
    expected = seasonal.predict(whole)
    pd.testing.assert_frame_equal(seasonal.predict(whole.iloc[dropped:]), expected, rtol=1e-12)


def test_rows_may_begin_before_the_training_rows(seasonal: Model) -> None:
    whole = months()
    earlier = whole.assign(month=whole["month"] - pd.DateOffset(months=24))
    later = seasonal.predict(whole)
    found = seasonal.predict(earlier)
    np.testing.assert_allclose(found["y"], later["y"], rtol=1e-12)
    shifted = whole.assign(month=whole["month"] + pd.DateOffset(months=5))
    assert not np.allclose(seasonal.predict(shifted)["y"], later["y"], rtol=0.01)


def test_the_phase_of_a_season_is_that_of_the_first_row_where_no_time_tells_it(
    tmp_path: Path,
) -> None:
    frame = months()[["y"]]
    data = {"time": "", "season": 12}
    one = case(frame, data=data, task={"transform": "deseasonalise", "strategy": "direct"})
    model = model_of(one.before_the_test(), tmp_path / "model")
    whole, whole_seasons_later = model.predict(frame), model.predict(frame.iloc[24:])
    assert whole["step"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(whole_seasons_later["y"], whole["y"], rtol=1e-12)
    assert not np.allclose(model.predict(frame.iloc[30:])["y"], whole["y"], rtol=0.01)
    [said] = [w for w in whole.attrs["warnings"] if "phase of the season" in w]
    assert "give all rows from that one on" in said


def test_forecasts_go_on_from_the_last_known_target_of_each_series(of_shops: Model) -> None:
    found = of_shops.predict(shops())
    assert list(found.columns) == ["month", "shop", "y", "y-lo-80", "y-hi-80"]
    assert found["shop"].tolist() == [name for name in ("north", "south", "west") for _ in "123"]
    last = shops().groupby("shop")["month"].max()
    for name, rows in found.groupby("shop"):
        ahead = pd.date_range(last[name], periods=4, freq="MS")[1:]
        assert rows["month"].tolist() == ahead.tolist()
    levels = found.groupby("shop")["y"].mean()
    assert levels["west"] > 5 * levels["south"] > 25 * levels["north"]
    without = shops()
    without.loc[without.index[-2:], "y"] = np.nan
    shorter = of_shops.predict(without)
    first = shorter.loc[shorter["shop"] == "west", "month"].iloc[0]
    assert first == last["west"] - pd.DateOffset(months=1)
    assert shorter.attrs["warnings"] == ["2 rows after the last known target dropped"]


def test_some_of_its_series_in_any_order_are_enough(of_shops: Model) -> None:
    whole = of_shops.predict(shops())
    mixed = shops().query("shop != 'north'").sample(frac=1, random_state=0)
    found = of_shops.predict(mixed)
    expected = whole[whole["shop"] != "north"].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-12)
    assert any("not in order" in warning for warning in found.attrs["warnings"])


def test_frames_of_other_kinds_are_read(seasonal: Model) -> None:
    expected, frame = seasonal.predict(months()), pa.Table.from_pandas(months())
    pd.testing.assert_frame_equal(seasonal.predict(frame), expected)


def test_missing_rows_and_values_take_the_last_known_value(seasonal: Model) -> None:
    gappy = months().drop(index=90)
    gappy.loc[93, "y"] = np.nan
    found = seasonal.predict(gappy)
    y_R = months()["y"].to_numpy().copy()
    y_R[[90, 93]] = y_R[[89, 92]]
    filled = months().assign(y=y_R)
    pd.testing.assert_frame_equal(found, seasonal.predict(filled), rtol=1e-12)
    assert len(found.attrs["warnings"]) == 2


def test_a_constant_covariate_or_target_of_recent_rows_is_no_reason_to_refuse(
    tmp_path: Path,
) -> None:
    one = CASES["two unequal layers, a covariate"]
    model = model_of(one.before_the_test(), tmp_path / "model")
    still = months().tail(12).assign(lead=1.0, y=150.0)
    assert np.isfinite(model.predict(still)["y"]).all()


def refusals() -> dict[str, tuple[pd.DataFrame, str]]:
    frame = months()
    weeks = pd.date_range("2019-01-01", periods=96, freq="W")
    quarters = pd.date_range("2000-01-01", periods=96, freq="QS")
    return {
        "too few": (frame.tail(11), "too few rows: 11, where the model looks back 12"),
        "none": (frame.head(0), "too few rows: 0"),
        "weeks": (frame.assign(month=weeks), "come every week, the training data's every month"),
        "quarters": (frame.assign(month=quarters), "come every quarter, the training data's"),
        "numbers": (frame.assign(month=np.arange(96)), "are numbers, the training data's dates"),
        "no target": (frame.drop(columns="y"), "there is no column 'y'"),
        "no time": (frame.drop(columns="month"), "there is no column 'month'"),
        "text": (frame.astype({"y": object}).replace({"y": {frame.y[3]: "x"}}), "'x' is not a"),
        "twice": (pd.concat([frame, frame.tail(1)]), "is there twice"),
        "no values": (frame.assign(y=np.nan), "column 'y' has no values"),
    }


@pytest.mark.parametrize("why", refusals())
def test_rows_that_cannot_be_used_are_refused_with_the_reason(seasonal: Model, why: str) -> None:
    frame, said = refusals()[why]
    with pytest.raises(DataError) as refused:
        seasonal.predict(frame)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_series_that_it_does_not_know_are_refused_by_name(of_shops: Model) -> None:
    frame = shops().replace({"shop": {"south": "east"}})
    with pytest.raises(DataError, match="1 series that the model does not know: 'east'"):
        of_shops.predict(frame)
    short = pd.concat([shops().query("shop == 'north'"), shops().query("shop == 'west'").tail(3)])
    with pytest.raises(DataError, match="too few rows: 3 of series 'west', where the model looks"):
        of_shops.predict(short)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (pd.date_range("2024-01-31", periods=96, freq="ME"), "2032-01-31 2032-02-29 2032-03-31"),
        (pd.date_range("2024-01-01", periods=96, freq="B"), "2024-05-14 2024-05-15 2024-05-16"),
        (pd.date_range("2024-01-01", periods=96, freq="15min"), "2024-01-02"),
        (np.arange(1900, 1996), "1996 1997 1998"),
        ([f"{1980 + i // 4}Q{i % 4 + 1}" for i in range(96)], "2004-01-01 2004-04-01 2004-07-01"),
        (1980 + np.arange(96) / 4, "2004.0 2004.25 2004.5"),
    ],
    ids=["ends of months", "business days", "quarters of an hour", "years", "texts", "quarters"],
)
def test_times_go_on_as_they_came(times: Any, expected: str, tmp_path: Path) -> None:
    one = case(months().assign(month=times), task={"transform": "none"})
    found = model_of(one.before_the_test(), tmp_path / "model").predict(one.frame.tail(12))
    shown = found["month"].astype(str).str[:10].tolist()
    assert shown == expected.split() or shown == 3 * [expected]


def test_an_index_of_dates_tells_the_times(tmp_path: Path) -> None:
    frame = months().set_index("month")[["y"]]
    one = case(frame, data={"time": ""}, task={"transform": "deseasonalise"})
    model = model_of(one.before_the_test(), tmp_path / "model")
    found = model.predict(frame.iloc[7:])
    assert found["time"].iloc[0] == pd.Timestamp("2018-01-01")
    pd.testing.assert_frame_equal(found, model.predict(frame), rtol=1e-12)
    with pytest.raises(DataError, match="rows with dates in the frame's index"):
        model.predict(frame.reset_index(drop=True))


def test_times_without_a_step_are_left_empty(tmp_path: Path) -> None:
    times = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(np.arange(96) % 7 + 1), "D")
    one = case(months().assign(month=times), task={"transform": "none"})
    found = model_of(one.before_the_test(), tmp_path / "model").predict(one.frame)
    assert found["month"].isna().all()
    assert np.isfinite(found["y"]).all()


def test_intervals_hold_the_forecast_and_widen_with_their_level(seasonal: Model) -> None:
    found = seasonal.predict(months(), level=[50, 80])
    lows, highs = found[["y-lo-80", "y-lo-50"]], found[["y-hi-50", "y-hi-80"]]
    ordered = pd.concat([lows, found[["y"]], highs], axis="columns").to_numpy()
    assert (np.diff(ordered, axis=1) > 0).all()
    assert "y-lo-80" not in seasonal.predict(months(), level=())


def test_with_a_log_intervals_grow_with_the_level(seasonal: Model) -> None:
    grown = months().assign(y=lambda frame: 10 * frame.y)
    small, large = seasonal.predict(months()), seasonal.predict(grown)
    ratio = (large["y-hi-80"] - large["y-lo-80"]) / (small["y-hi-80"] - small["y-lo-80"])
    np.testing.assert_allclose(ratio, large["y"] / small["y"], rtol=1e-6)
    assert ratio.min() > 5


@pytest.mark.parametrize("level", [0, 100, [80, 101], 8.5])
def test_a_level_that_is_no_percentage_is_refused(seasonal: Model, level: Any) -> None:
    with pytest.raises(UsageError, match="must be a whole number of percent from 1 to 99"):
        seasonal.predict(months(), level=level)


def test_a_level_beyond_the_errors_is_refused_with_the_highest(seasonal: Model) -> None:
    intervals = seasonal._contents.evidence.intervals
    assert intervals is not None
    highest = max(intervals.half_widths)
    assert highest == int(100 * intervals.errors / (intervals.errors + 1)) < 99
    seasonal.predict(months(), level=highest)
    with pytest.raises(UsageError, match=f"ask for {highest} % at most"):
        seasonal.predict(months(), level=99)


def test_without_kept_forecasts_there_are_no_intervals_and_it_says_why(tmp_path: Path) -> None:
    contents = CASES["recursive"].before_the_test()
    found = model_of(contents, tmp_path / "model").predict(months())
    assert list(found.columns) == ["month", "y"]
    assert "an earlier hpo ran it" in found.attrs["warnings"][0]


def test_a_model_tells_no_place_of_the_machine_that_made_it(tmp_path: Path) -> None:
    model = model_of(CASES["recursive"].before_the_test(), tmp_path / "model")
    assert model.study.data.source == "frame"
    assert (model.answer.model, model.answer.storage) == (None, None)
    files = b"".join(file.read_bytes() for file in (tmp_path / "model").iterdir())
    assert b"secret" not in files
    assert b"private" not in files


def test_all_rows_are_learnt_from() -> None:
    one = CASES["recursive"]
    last_changed = one.prepared.panel.values_RF.copy()
    last_changed[-1, 0] *= 1.5
    panel = replace(one.prepared.panel, values_RF=last_changed)
    other = replace(one, prepared=prepare(one.prepared.study, panel))
    found = []
    for each in (one, other):
        prepared, whole = with_all_rows(each.prepared)
        assert len(whole.origins_O) == 0
        found.append(replace(each, prepared=prepared).refitted(whole).weights[SEEDS])
    assert any((found[0][name] != found[1][name]).any() for name in found[0])


def test_torch_forecasts_what_the_native_engine_does_and_keeps_its_threads(tmp_path: Path) -> None:
    contents = CASES["two unequal layers, a covariate"].before_the_test()
    by_torch = replace(
        contents, signature=contents.signature.model_copy(update={"engine": "torch"})
    )
    before, frame = torch.get_num_threads(), months()
    torch.set_num_threads(2)
    try:
        found = model_of(by_torch, tmp_path / "model").predict(frame)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(found["y"], Model(contents).predict(frame)["y"], rtol=1e-5)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        load(tmp_path / "nowhere")
