"""The forecaster: a frame is fitted, what comes next is predicted."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hpo
from hpo.errors import DataError, SpecError, UsageError

TINY: dict[str, Any] = {"trials": 2, "folds": 2, "seeds": 2, "max_steps": 20}


@pytest.fixture(scope="module")
def long() -> pd.DataFrame:
    """Six years of months of two series, as Nixtla's libraries have them."""
    months, rng = pd.date_range("2015-01-01", periods=72, freq="MS"), np.random.default_rng(0)
    season_R = 20 * np.sin(np.arange(72) * np.pi / 6)
    return pd.concat(
        pd.DataFrame({"unique_id": n, "ds": months, "y": 100 + season_R + rng.normal(0, 3, 72)})
        for n in ("T1", "T2")
    )


@pytest.fixture(scope="module")
def fitted(long: pd.DataFrame) -> hpo.LSTMForecaster:
    return hpo.LSTMForecaster(cells=(2, 4), horizon=3, **TINY).fit(long)


def test_it_predicts_what_comes_after_the_frame_it_was_fitted_to(
    fitted: hpo.LSTMForecaster, long: pd.DataFrame
) -> None:
    ahead = fitted.predict()
    assert list(ahead["unique_id"]) == 3 * ["T1"] + 3 * ["T2"]
    assert list(ahead["ds"][:3]) == list(pd.date_range("2021-01-01", periods=3, freq="MS"))
    assert ahead["y"].between(50, 150).all()
    assert (ahead["y-lo-80"] < ahead["y"]).all()
    assert (ahead["y"] < ahead["y-hi-80"]).all()
    pd.testing.assert_frame_equal(fitted.predict(long), ahead)


def test_it_predicts_from_other_rows_at_other_levels(
    fitted: hpo.LSTMForecaster, long: pd.DataFrame
) -> None:
    earlier = long[long["ds"] < "2020-07-01"]
    ahead = fitted.predict(earlier, level=[50, 80])
    assert list(ahead["ds"][:3]) == list(pd.date_range("2020-07-01", periods=3, freq="MS"))
    assert {"y-lo-50", "y-hi-50", "y-lo-80", "y-hi-80"} <= set(ahead.columns)
    with pytest.raises(DataError):
        fitted.predict(long.drop(columns="y"))


def test_its_attributes_tell_what_was_found(fitted: hpo.LSTMForecaster) -> None:
    assert fitted.answer_.state == "done"
    assert (fitted.layers_, fitted.cells_) == (fitted.answer_.layers, fitted.answer_.cells)
    assert fitted.model_.signature.cells == fitted.cells_
    assert len(fitted.study_.trials_frame()) == fitted.answer_.trials.ended
    html = fitted._repr_html_()
    assert html is not None
    assert fitted.study_.name in html


def test_a_fixed_size_is_the_only_one_and_still_scored(sales_csv: Path, sqlite_url: str) -> None:
    fixed: dict[str, Any] = {"layers": 1, "cells": 3, "name": "fixed", "storage": sqlite_url}
    forecaster = hpo.LSTMForecaster(target="sales", time="month", **fixed, **TINY).fit(sales_csv)
    answer = forecaster.answer_
    assert forecaster.cells_ == (3,)
    assert answer.cells_tied == (3, 3)
    assert answer.score is not None
    assert answer.test_score is not None
    assert answer.benchmarks
    assert not any("widen --cells" in warning for warning in answer.warnings)
    assert set(forecaster.study_.trials_frame()["cells"]) == {(3,)}
    assert hpo.open_study("fixed", storage=sqlite_url).answer().cells == (3,)
    assert list(forecaster.predict().columns)[:2] == ["month", "sales"]


def test_a_copy_by_its_parameters_is_the_same_and_unfitted(fitted: hpo.LSTMForecaster) -> None:
    copy = type(fitted)(**fitted.get_params(deep=False))
    assert repr(copy) == repr(fitted)
    assert copy.get_params() == fitted.get_params()
    assert copy.set_params(horizon=6) is copy
    assert copy.get_params()["horizon"] == 6
    assert fitted.get_params()["horizon"] == 3
    assert copy._repr_html_() is None
    with pytest.raises(UsageError, match="not fitted yet; call fit"):
        copy.predict()


def test_wrong_parameters_are_refused(long: pd.DataFrame) -> None:
    with pytest.raises(SpecError, match="unknown keyword 'horizn'; the nearest is 'horizon'"):
        hpo.LSTMForecaster(horizn=3)
    with pytest.raises(SpecError, match="unknown keyword 'epochs'"):
        hpo.LSTMForecaster().set_params(epochs=3)
    with pytest.raises(SpecError, match=r"task\.horizon=0 must be at least 1"):
        hpo.LSTMForecaster(horizon=0).fit(long)


def test_its_own_storage_goes_when_it_goes(long: pd.DataFrame) -> None:
    forecaster = hpo.LSTMForecaster(layers=1, cells=2, **TINY).fit(long)
    folder = Path(forecaster.study_.storage.removeprefix("sqlite:///")).parent
    assert (folder / "model").is_dir()
    del forecaster
    gc.collect()
    assert not folder.exists()
