"""Times are read in their usual forms, and their step and season are found."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from hpo.data.calendar import (
    Step,
    find_step,
    following,
    frequency,
    positions,
    read_times,
    steps_between,
    times_at,
)
from hpo.errors import DataError


def _read(*values: object) -> list[str]:
    return [str(t) for t in read_times(pd.Series(values, name="t", dtype=object), "a.csv")]


@pytest.mark.parametrize(
    ("alias", "found"),
    [
        ("YS", ("Y", 1)), ("QS", ("Q", 4)), ("QE", ("Q", 4)), ("MS", ("M", 12)), ("ME", ("M", 12)),
        ("2MS", ("2M", 6)), ("W", ("W", 52)), ("2W", ("2W", 26)), ("D", ("D", 7)),
        ("2D", ("2D", 1)), ("B", ("B", 5)), ("h", ("h", 24)), ("6h", ("6h", 4)),
        ("30min", ("30min", 48)),
        ("5min", ("5min", 288)), ("min", ("min", 60)), ("10s", ("10s", 6)), ("s", ("s", 60)),
        ("7s", ("7s", 1)),
    ],
)  # fmt: skip
def test_frequency_and_season_are_found_from_dates(alias: str, found: tuple[str, int]) -> None:
    times = pd.date_range("2000-01-03", periods=60, freq=alias).to_numpy().astype("datetime64[s]")
    assert frequency(times) == found


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (range(1700, 1760), ("Y", 1)),
        (range(1700, 1760, 2), ("2Y", 1)),
        (np.arange(1959, 1969, 0.25), ("Q", 4)),
        (np.round(np.arange(120) / 12 + 1990, 3), ("M", 12)),
        (range(40), ("step", 1)),
        (np.arange(40) * 0.1, ("step", 1)),
    ],
)
def test_frequency_and_season_are_found_from_numbers(
    values: object, found: tuple[str, int]
) -> None:
    times = read_times(pd.Series(values, name="t"), "")
    if found == ("2Y", 1):
        found = ("step", 1)
    assert frequency(times) == found


@pytest.mark.parametrize(
    "values",
    [
        ("2024-01-01", "2024-02-01", "2024-03-01"),
        ("2024-01", "2024-02", "2024-03"),
        ("2024/01/01", "2024/02/01", "2024/03/01"),
        ("01.01.2024", "01.02.2024", "01.03.2024"),
        ("1/1/2024", "2/1/2024", "3/1/2024"),
        ("Jan 2024", "Feb 2024", "Mar 2024"),
        ("Jan-24", "Feb-24", "Mar-24"),
        ("2024M01", "2024M02", "2024M03"),
        ("202401", "202402", "202403"),
        ("20240101", "20240201", "20240301"),
        ("2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        (date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)),
    ],
)
def test_dates_are_read_in_their_usual_forms(values: tuple[object, ...]) -> None:
    assert [t[:10] for t in _read(*values)] == ["2024-01-01", "2024-02-01", "2024-03-01"]


def test_quarters_are_read() -> None:
    assert [t[:7] for t in _read("1959Q1", "1959q2", "1959-Q3")] == [
        "1959-01",
        "1959-04",
        "1959-07",
    ]
    assert [t[:7] for t in _read("Q1 1959", "Q4 1959")] == ["1959-01", "1959-10"]


def test_days_come_first_where_only_that_reads_every_date_or_puts_them_in_order() -> None:
    assert _read("13/01/2024", "14/01/2024")[0].startswith("2024-01-13")
    assert _read("31/01/2024", "01/02/2024")[1].startswith("2024-02-01")
    assert _read("09/01/2024", "10/01/2024", "01/02/2024")[2].startswith("2024-02-01")


def test_times_with_a_zone_become_utc_and_parts_of_seconds_become_numbers() -> None:
    zoned = pd.Series(pd.date_range("2024-01-01", periods=2, freq="D", tz="Europe/Berlin"))
    assert str(read_times(zoned, "")[0]) == "2023-12-31T23:00:00"
    fast = pd.Series(pd.date_range("2024-01-01", periods=3, freq="100ms"))
    assert np.diff(read_times(fast, "")) == pytest.approx([0.1, 0.1], rel=1e-3)


def test_periods_numbers_as_text_and_categories_are_read() -> None:
    assert read_times(pd.Series(pd.period_range("2024", periods=2, freq="M")), "")[1].astype(
        "datetime64[M]"
    ) == np.datetime64("2024-02")
    assert _read("1700", "1701") == ["1700", "1701"]
    category = pd.Series(["2024-02", "2024-01", "2024-02"], dtype="category")
    assert [str(t)[:7] for t in read_times(category, "")] == ["2024-02", "2024-01", "2024-02"]


@pytest.mark.parametrize("wrong", ["soon", "2024-13-45", "31.02.2024"])
def test_an_unreadable_date_is_refused_with_row_and_value(wrong: str) -> None:
    rows = pd.RangeIndex(2, 6, name="line")
    times = pd.Series(["2024-01-01", "2024-01-02", wrong, "2024-01-04"], index=rows, name="day")
    with pytest.raises(DataError) as refusal:
        read_times(times, "a.csv")
    assert f"{wrong!r} is not a date or time (a.csv, line 4, column 'day')" in str(refusal.value)


def test_a_missing_time_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match=r"time is missing .*row 1"):
        _read("2024-01-01", None, "2024-01-03")
    with pytest.raises(DataError, match=r"time is missing .*row 1"):
        _read("2024-01-01", "", "2024-01-03")
    with pytest.raises(DataError, match=r"time is missing .*row 2"):
        read_times(pd.Series([1.0, 2.0, np.nan], name="t"), "")


def test_times_without_a_dominant_step_have_no_frequency() -> None:
    days = np.cumsum([1, 5, 2, 9, 4, 17, 3, 30, 8]).astype("datetime64[D]").astype("datetime64[s]")
    assert frequency(days) == ("", 1)
    assert frequency(days[:1]) == ("", 1)


@pytest.mark.parametrize("alias", ["YS", "QS", "MS", "W-MON", "D", "B", "h", "15min", "s"])
def test_positions_count_whole_steps_and_times_at_is_their_inverse(alias: str) -> None:
    times = pd.date_range("2001-01-01", periods=50, freq=alias).to_numpy().astype("datetime64[s]")
    starts = np.array([0, len(times)])
    step = find_step(times, starts)
    assert step is not None
    found = positions(times, starts, step)
    assert found is not None
    assert found.tolist() == list(range(50))
    first = np.repeat(times[:1], 50)
    assert (times_at(first, found, step) == times).all()


def test_the_steps_between_two_series_do_not_count() -> None:
    hours = np.arange(5).astype("datetime64[h]").astype("datetime64[s]")
    times = np.concatenate([hours, hours + np.timedelta64(400, "D")])
    assert frequency(times, np.array([0, 5, 10])) == ("h", 24)


@pytest.mark.parametrize("alias", ["YS", "QS", "MS", "ME", "W-MON", "D", "B", "h", "15min", "s"])
def test_times_go_on_after_the_last_and_steps_are_counted_both_ways(alias: str) -> None:
    times = pd.date_range("2001-01-01", periods=60, freq=alias).to_numpy().astype("datetime64[s]")
    known, later = times[:50], times[50:]
    step = find_step(known, np.array([0, 50]))
    assert step is not None
    assert (following(known, 10, step) == later).all()
    ahead = steps_between(np.repeat(known[:1], 10), later, step)
    back = steps_between(later, np.repeat(known[:1], 10), step)
    assert ahead is not None
    assert back is not None
    assert ahead.tolist() == (-back).tolist() == list(range(50, 60))


def test_months_keep_their_day_where_they_have_it() -> None:
    days = np.array(["2023-12-30T06", "2024-01-30T06"], dtype="datetime64[s]")
    step = find_step(days, np.array([0, 2]))
    assert step is not None
    ahead = following(days, 2, step).astype("datetime64[h]").astype(str).tolist()
    assert ahead == ["2024-02-29T06", "2024-03-30T06"]


def test_times_between_two_steps_are_no_whole_number_of_them() -> None:
    months = np.array(["2024-01", "2024-02"], dtype="datetime64[s]")
    quarter = Step(alias="Q", season=4, unit="month", size=3)
    assert steps_between(months[:1], months[1:], quarter) is None
    hour = Step(alias="h", season=24, unit="second", size=3600)
    half = months[:1] + np.timedelta64(1800, "s")
    assert steps_between(months[:1], half, hour) is None
