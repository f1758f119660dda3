"""The long frame of Nixtla's libraries is accepted as it is; what is named wins."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hpo.data.question import ask, describe
from hpo.errors import DataError, SpecError
from tests.e2e.conftest import hpo_in_process

NOTE = "the columns 'unique_id', 'ds', 'y' are taken as series, time, target"


@pytest.fixture
def long() -> pd.DataFrame:
    """Two series of four years of months, and columns that nobody asked for."""
    months = pd.date_range("2015-01-01", periods=48, freq="MS")
    values_R = np.random.default_rng(0).normal(100, 5, 48)
    pieces = [
        pd.DataFrame({"unique_id": name, "ds": months, "y": values_R + i, "price": 1.0 * i})
        for i, name in enumerate(("T1", "T2"))
    ]
    return pd.concat(pieces, ignore_index=True).assign(sales=lambda f: f["y"] * 2)


def columns_of(source: Any, **overrides: Any) -> tuple[str, str, str, tuple[str, ...]]:
    data = ask(source, {f"data.{key}": value for key, value in overrides.items()}).study.data
    return data.series, data.time, data.target, data.covariates


def saved(long: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        long.to_parquet(path, index=False)
    else:
        long.to_csv(path, index=False, sep=";" if path.stem == "semicolons" else ",")
    return path


def test_its_columns_need_no_naming(long: pd.DataFrame) -> None:
    question = ask(long)
    assert columns_of(long) == ("unique_id", "ds", "y", ())
    assert question.prepared.panel.names == ("T1", "T2")
    assert question.prepared.limit.inputs == 1, "other columns are no covariates"
    assert describe(question)["warnings"][0] == NOTE


def test_any_kind_of_frame_will_do(long: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(long)
    assert columns_of(table) == ("unique_id", "ds", "y", ())
    assert ask(table).prepared.panel.fingerprint == ask(long).prepared.panel.fingerprint


@pytest.mark.parametrize("name", ["m3.csv", "semicolons.csv", "m3.parquet"])
def test_so_will_a_file(long: pd.DataFrame, tmp_path: Path, name: str) -> None:
    question = ask(str(saved(long, tmp_path / name)))
    assert question.notes == (NOTE,)
    assert question.prepared.panel.names == ("T1", "T2")


def test_the_command_line_takes_it_and_says_so(long: pd.DataFrame, tmp_path: Path) -> None:
    ended = hpo_in_process("check", saved(long, tmp_path / "m3.csv"), "--horizon", "2")
    assert (ended.code, ended.err) == (0, "")
    assert f"Note        {NOTE}" in ended.out


def test_what_is_named_wins(long: pd.DataFrame) -> None:
    assert columns_of(long, target="sales") == ("unique_id", "ds", "sales", ())
    assert columns_of(long, covariates=["price"])[3] == ("price",)
    assert ask(long, {"data.target": "y"}).notes == (
        "the columns 'unique_id', 'ds' are taken as series, time",
    )
    everything = {"data.target": "y", "data.time": "ds", "data.series": "unique_id"}
    assert ask(long, everything).notes == ()
    one = long[long["unique_id"] == "T1"]
    assert columns_of(one, series="") == ("", "ds", "y", ())
    assert columns_of(one.assign(y=1.0, unique_id=one["y"]), target="unique_id", series="")[:2] == (
        "",
        "ds",
    )


def test_a_column_that_is_named_for_something_else_is_left_to_it(long: pd.DataFrame) -> None:
    one = long[long["unique_id"] == "T1"].assign(unique_id=np.arange(48) % 7 + 0.5)
    assert columns_of(one, covariates=["unique_id"]) == ("", "ds", "y", ("unique_id",))


def test_one_series_is_a_single_series(long: pd.DataFrame) -> None:
    one = long[long["unique_id"] == "T1"]
    named, unnamed = ask(one), ask(one, {"data.series": ""})
    assert named.prepared.panel.names == ("T1",)
    assert named.prepared.limit == unnamed.prepared.limit
    np.testing.assert_array_equal(named.prepared.panel.values_RF, unnamed.prepared.panel.values_RF)


@pytest.mark.parametrize("column", ["unique_id", "ds", "y"])
def test_without_one_of_the_three_columns_the_target_must_be_named(
    long: pd.DataFrame, tmp_path: Path, column: str
) -> None:
    short = long.drop(columns=column)
    with pytest.raises(SpecError, match="target"):
        ask(short)
    with pytest.raises(SpecError, match="the column to forecast is not named"):
        ask(str(saved(short, tmp_path / "short.csv")))


def test_a_file_that_is_not_there_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        ask(str(tmp_path / "m3.csv"))


def test_what_is_no_frame_is_refused(long: pd.DataFrame) -> None:
    with pytest.raises(SpecError, match="target"):
        ask(long.to_numpy())
