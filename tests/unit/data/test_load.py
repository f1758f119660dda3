"""Files and frames come in whole, or are refused with column, row and way out."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.checking import check
from hpo.data.load import from_frame, from_parquet, read_file, to_parquet
from hpo.errors import DataError
from hpo.spec.study import Data

GOOD = "month,sales,price\n2024-01,1,5\n2024-02,2,\n2024-03,3,7\n"


def _file(folder: Path, content: str | bytes, name: str = "a.csv") -> Data:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Data(source=str(path), target="sales", time="month", covariates=("price",))


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\n\n"),
        "\n" + GOOD,
        GOOD.replace(",", " , "),
        GOOD.replace("sales", '"sales"'),
        GOOD.rstrip("\n"),
    ],
)
def test_a_csv_file_is_read_in_each_usual_form(tmp_path: Path, content: str) -> None:
    frame = read_file(_file(tmp_path, content))
    assert list(frame.columns) == ["month", "sales", "price"]
    assert frame["sales"].tolist() == [1.0, 2.0, 3.0]
    assert np.isnan(frame["price"].iloc[1])
    assert [str(v).strip() for v in frame["month"]] == ["2024-01", "2024-02", "2024-03"]


def test_rows_know_the_lines_of_their_file(tmp_path: Path) -> None:
    frame = read_file(_file(tmp_path, GOOD))
    assert (frame.index.name, frame.index.tolist()) == ("line", [2, 3, 4])


def test_columns_that_are_not_named_are_not_read(tmp_path: Path) -> None:
    content = "note,month,sales,price\nx,2024-01,1,2\ntext in a column,2024-02,3,4\n"
    assert "note" not in read_file(_file(tmp_path, content)).columns


REFUSED: dict[str, tuple[str | bytes, list[str]]] = {
    "text": (GOOD.replace(",2,", ",two,"), ["'two' is not a number", "line 3", "'sales'"]),
    "text in a covariate": (GOOD.replace(",5", ",x"), ["'x' is not a number", "line 2", "'price'"]),
    "ragged": (GOOD + "2024-04,4\n", ["2 fields where the header has 3", "line 5"]),
    "ragged, too long": (GOOD + "2024-04,4,5,6\n", ["4 fields", "line 5"]),
    "ragged after blank lines": ("\n\n" + GOOD + "\n2024-04,4\n", ["2 fields", "line 8"]),
    "infinity": (GOOD.replace(",3,", ",inf,"), ["inf is infinite", "line 4", "'sales'"]),
    "overflow": (GOOD.replace(",3,", ",1e999,"), ["infinite", "line 4"]),
    "too large": (GOOD.replace(",3,", ",1e150,"), ["larger than 1e+100", "line 4"]),
    "no rows": ("month,sales,price\n", ["no rows"]),
    "only blank lines": ("\n\n\n", ["no rows"]),
    "empty": ("", ["is empty"]),
    "missing column": (GOOD.replace("sales", "sale"), ["no column 'sales'", "did you mean 'sale'"]),
    "no column like it": ("a,b\n1,2\n", ["no column 'month'", "'a', 'b'"]),
    "a column twice": (GOOD.replace("price", "sales"), ["column 'sales' is there 2 times"]),
    "Latin-1 header": (GOOD.replace("price", "pricé").encode("latin-1"), ["not UTF-8", "line 1"]),
    "Latin-1 time": (GOOD.replace("2024-02", "févr").encode("latin-1"), ["not UTF-8", "line 3"]),
    "UTF-16": (GOOD.encode("utf-16"), ["not UTF-8"]),
    "unclosed quote": (GOOD + '"2024-04,4,5\n', ["1 fields", "line 5"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_place_and_value(tmp_path: Path, case: str) -> None:
    content, said = REFUSED[case]
    data = _file(tmp_path, content)
    before = Path(data.source).read_bytes()
    with pytest.raises(DataError) as refusal:
        read_file(data)
    for words in said:
        assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert Path(data.source).read_bytes() == before


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_file(Data(source=str(tmp_path / "none.csv"), target="sales"))
    with pytest.raises(DataError, match="is a directory"):
        read_file(Data(source=str(tmp_path), target="sales"))


def test_parquet_gives_the_same_values_as_csv(tmp_path: Path) -> None:
    data = _file(tmp_path, GOOD)
    pd.read_csv(data.source).to_parquet(tmp_path / "a.parquet")
    other = data.model_copy(update={"source": str(tmp_path / "a.parquet")})
    pd.testing.assert_frame_equal(
        read_file(other)[["sales", "price"]].reset_index(drop=True),
        read_file(data)[["sales", "price"]].reset_index(drop=True),
    )


def test_broken_parquet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_file(_file(tmp_path, b"PAR1 and no more", "a.parquet"))
    pd.DataFrame({"sale": [1.0]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(DataError, match="did you mean 'sale'"):
        read_file(Data(source=str(tmp_path / "b.parquet"), target="sales"))


def test_a_frame_goes_through_parquet_bytes_unchanged(tmp_path: Path) -> None:
    frame = read_file(_file(tmp_path, GOOD))
    again = from_parquet(to_parquet(frame))
    pd.testing.assert_frame_equal(again, frame)
    assert again.index.name == "line"


def test_a_frame_is_taken_as_it_is_and_never_changed() -> None:
    given = pd.DataFrame(
        {"t": pd.date_range("2024", periods=3), "y": pd.array([1, None, 3], dtype="Int64"), "z": 0}
    ).set_index("t")
    before = given.copy()
    frame = from_frame(given, Data(source="frame", target="y", time="t"))
    assert list(frame.columns) == ["t", "y"]
    assert frame["y"].isna().tolist() == [False, True, False]
    pd.testing.assert_frame_equal(given, before)


def test_other_frames_enter_by_narwhals() -> None:
    import pyarrow as pa

    frame = from_frame(pa.table({"y": [1, 2], "s": ["a", "b"]}), Data(source="frame", target="y"))
    assert frame["y"].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (
            pd.DataFrame({"y": ["1", "x"]}),
            "'x' is not a number (frame, row 1 counted from 0, column 'y')",
        ),
        (pd.DataFrame({"y": pd.date_range("2024", periods=2)}), "is not a number"),
        (pd.DataFrame({"y": [1.0, np.inf]}), "infinite (frame, row 1"),
        (pd.DataFrame({"y": [1 + 2j, 3]}), "is not a number"),
        (pd.DataFrame({"x": [1.0]}), "no column 'y'"),
        (42, "a int is not a frame"),
    ],
)
def test_a_frame_that_cannot_be_used_is_refused(frame: object, said: str) -> None:
    with pytest.raises(DataError) as refusal:
        from_frame(frame, Data(source="frame", target="y"))
    assert said in str(refusal.value)


def test_a_row_without_a_series_is_refused() -> None:
    frame = pd.DataFrame({"y": [1.0, 2.0], "s": ["a", None]})
    with pytest.raises(DataError, match=r"names no series .*row 1"):
        from_frame(frame, Data(source="frame", target="y", series="s"))


def test_series_names_are_texts_whatever_their_type() -> None:
    frame = from_frame(
        pd.DataFrame({"y": [1.0, 2.0], "s": [7, 8]}), Data(source="frame", target="y", series="s")
    )
    assert list(frame["s"]) == ["7", "8"]


INDICES: dict[str, "pd.Index[Any]"] = {
    "dates": pd.date_range("2000", periods=30, freq="MS"),
    "dates of a zone": pd.date_range("2000", periods=30, freq="D", tz="Europe/Berlin"),
    "dates with a name": pd.date_range("2000", periods=30, freq="h", name="when"),
    "dates named as a file's lines": pd.date_range("2000", periods=30, freq="D", name="line"),
    "periods": pd.period_range("2000-01", periods=30, freq="Q"),
}


@pytest.mark.parametrize(("case", "season"), list(zip(INDICES, (12, 7, 24, 7, 4), strict=True)))
def test_an_index_of_dates_tells_the_time_where_none_is_named(case: str, season: int) -> None:
    data = Data(source="frame", target="y")
    given = pd.DataFrame({"y": np.arange(30.0)}, index=INDICES[case])[::-1]
    before = given.copy()
    frame = from_frame(given, data)
    panel, stored = check(frame, data), check(from_parquet(to_parquet(frame)), data)
    assert (panel.season, panel.values_RF[:, 0].tolist()) == (season, list(range(30)))
    assert panel.fingerprint == stored.fingerprint
    pd.testing.assert_frame_equal(given, before)


def test_a_time_that_is_named_wins_over_an_index_of_dates() -> None:
    given = pd.DataFrame({"y": range(30), "t": range(30)}, index=INDICES["dates"])
    frame = from_frame(given, Data(source="frame", target="y", time="t"))
    assert frame.index.tolist() == list(range(30))
    with pytest.raises(DataError, match="there is no column 'when'"):
        from_frame(given, Data(source="frame", target="y", time="when"))


def test_a_date_that_is_twice_in_the_index_is_refused() -> None:
    given = pd.DataFrame({"y": range(60)}, index=INDICES["dates"].append(INDICES["dates"]))
    with pytest.raises(DataError, match=r"'2000-01-01 00:00:00' is there twice .*row 30 .*'index'"):
        check(given, Data(source="frame", target="y"))


def test_a_column_of_mixed_types_cannot_be_stored_and_is_named() -> None:
    given = pd.DataFrame({"t": ["2024-01-01", pd.Timestamp("2024-01-02")], "y": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"column 't' cannot be stored: .*\(Timestamp, str\)"):
        to_parquet(from_frame(given, Data(source="frame", target="y", time="t")))
