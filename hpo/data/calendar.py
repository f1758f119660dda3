"""Times are read, and the step and season between them are found."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.data.columns import place
from hpo.errors import DataError

Times = npt.NDArray[Any]  # datetime64[s], int64 or float64
Ints = npt.NDArray[np.int64]

MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60, 3_600, 86_400, 604_800
LONGEST_SEASON = 288  # steps: a day of five minutes
DOMINANT = 0.5  # share of steps that must be alike
SAMPLED = 100  # texts that a form is tried on first
FORMATS = (
    "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y",
    "%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y",
    "%m/%Y", "%m.%Y", "%m-%Y", "%YM%m", "%Y/%m", "%Y.%m.%d",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M",
    "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """The distance from row to row: `size` of a unit, and how many make a season."""

    alias: str  # Y, Q, M, W, D, B (business days), h, min, s with a factor; "step" for numbers
    season: int
    unit: str  # month | business | second | number
    size: float


UNITS = {
    "Y": "year", "Q": "quarter", "M": "month", "W": "week", "D": "day", "B": "business day",
    "h": "hour",
}  # fmt: skip


def in_words(step: Step) -> str:
    """A step as people say it.

    >>> in_words(Step(alias="M", season=12, unit="month", size=1))
    'month'
    >>> in_words(Step(alias="15min", season=96, unit="second", size=900))
    '15min'
    """
    return UNITS.get(step.alias, f"{step.size:g}" if step.alias == "step" else step.alias)


def read_times(times: "pd.Series[Any]", source: str) -> Times:
    """The column of times as datetime64[s], or int64 or float64 where it holds numbers.

    Text may be ISO 8601, years, 1959.25, 1959Q1, 195901, 19590131 or a usual local form; times
    with a zone are turned into UTC, times under a second into float64 seconds.
    Raises DataError naming the row and value that cannot be read, or is missing.
    """
    codes, distinct = _distinct(times)
    parsed = _parse(distinct)
    unreadable = np.append(pd.isna(pd.Series(parsed)).to_numpy(dtype=bool), True)
    wrong = np.flatnonzero(unreadable[codes])
    if wrong.size:
        at = int(wrong[0])
        value = "" if pd.isna(times.iloc[at]) else str(times.iloc[at])[:60]
        raise DataError(
            f"{value!r} is not a date or time" if value.strip() else "the time is missing",
            where=place(source, str(times.name), times.index, at),
            remedy="write times like 2024-01-31, 2024-01, 2024Q1 or 2024.25, all in one form",
        )
    taken: Times = parsed[codes]
    return taken


def frequency(times: Times, starts_S: Ints | None = None) -> tuple[str, int]:
    """The frequency and the season (in steps) of ascending times; ("", 1) where none rules.

    Yearly 1, quarterly 4, monthly 12, weekly 52, daily 7, business days 5, hourly 24; below an
    hour the longest of day, hour and minute that has at most 288 steps.

    >>> frequency(np.array(["2024-01", "2024-02", "2024-03"], dtype="datetime64[s]"))
    ('M', 12)
    >>> frequency(np.array([1959.0, 1959.25, 1959.5]))
    ('Q', 4)
    """
    starts = np.array([0, len(times)]) if starts_S is None else starts_S
    step = find_step(times, starts)
    return (step.alias, step.season) if step else ("", 1)


def find_step(times_R: Times, starts_S: Ints) -> Step | None:
    """The step that most rows of all series are apart; None where no step is dominant.

    times_R ascend within each series; starts_S holds each series' first row, and R at its end.
    """
    within = np.ones(max(len(times_R) - 1, 0), dtype=bool)
    within[starts_S[1:-1] - 1] = False
    if not within.any():
        return None
    if times_R.dtype.kind != "M":
        return _number_step(times_R, np.diff(times_R)[within].astype(np.float64))
    steps = np.diff(times_R).astype(np.int64)[within]
    middle = int(np.median(steps))
    if middle >= 28 * DAY_S:
        months = np.diff(times_R.astype("datetime64[M]")).astype(np.int64)[within]
        size = int(np.median(months))
        if months.min() > 0 and _dominates(months == size):
            return Step(alias=_month_alias(size), season=_whole(12, size), unit="month", size=size)
    if middle == DAY_S and len(steps) >= 7 and not (_weekday(_days(times_R)) > 4).any():
        return Step(alias="B", season=5, unit="business", size=1)
    return _second_step(middle) if _dominates(steps == middle) else None


def positions(times_R: Times, starts_S: Ints, step: Step) -> Ints | None:
    """Whole steps of each row from its series' first row; None where the rows do not fit."""
    first_R = np.repeat(starts_S[:-1], np.diff(starts_S))
    found = steps_between(times_R[first_R], times_R, step)
    if found is None:
        return None
    ascends = np.diff(found) > 0
    ascends[starts_S[1:-1] - 1] = True
    return found if ascends.all() else None


def steps_between(first: Times, times: Times, step: Step) -> Ints | None:
    """Whole steps from `first` to `times` (same shape), negative where these are earlier.

    None where one of the distances is no whole number of steps.

    >>> month = Step(alias="M", season=12, unit="month", size=1)
    >>> a, b = np.array([["2024-03"], ["2024-01"]], dtype="datetime64[s]")
    >>> steps_between(a, b, month).tolist()
    [-2]
    """
    if step.unit in ("month", "business"):
        counted = _business_days if step.unit == "business" else _months
        distance = counted(times) - counted(first)
        if (distance % int(step.size)).any():
            return None
        steps: Ints = distance // int(step.size)
        return steps
    elapsed = (times - first).astype(np.float64) / step.size
    found: Ints = np.rint(elapsed).astype(np.int64)
    is_off = bool((np.abs(elapsed - found) > 0.25).any())
    return None if is_off else found


def times_at(first: Times, position: Ints, step: Step) -> Times:
    """The times `position` whole steps after the times `first` (same shape).

    >>> quarter = Step(alias="Q", season=4, unit="month", size=3)
    >>> str(times_at(np.array(["2024-01"], dtype="datetime64[s]"), np.array([2]), quarter)[0])
    '2024-07-01T00:00:00'
    """
    distance = position * int(step.size)
    if step.unit == "month":
        months: Times = first.astype("datetime64[M]") + distance
        return months.astype("datetime64[s]")
    if step.unit == "business":
        count = _business_days(first) + distance
        days = count // 5 * 7 + count % 5 - 3
        return days.astype("datetime64[D]").astype("datetime64[s]")
    if step.unit == "second":
        times: Times = first + distance.astype("timedelta64[s]")
        return times
    numbers: Times = first + position * step.size
    return numbers.astype(first.dtype)


def following(times: Times, count: int, step: Step) -> Times:
    """The `count` times after the last of these, which are of one series and ascend.

    Months keep their day: the last one where all times are ends of months, else that of the last
    time (or the month's last, where it has fewer).

    >>> month = Step(alias="M", season=12, unit="month", size=1)
    >>> ends = np.array(["2023-12-31", "2024-01-31"], dtype="datetime64[s]")
    >>> following(ends, 2, month).astype("datetime64[D]").astype(str).tolist()
    ['2024-02-29', '2024-03-31']
    """
    last = np.repeat(times[-1:], count)
    found = times_at(last, np.arange(1, count + 1), step)
    if step.unit != "month":
        return found
    of_day = last - last.astype("datetime64[D]").astype("datetime64[s]")
    ends: Times = _last_day(found).astype("datetime64[s]") + of_day
    if (_last_day(times) == times.astype("datetime64[D]")).all():
        return ends
    within_month = last - last.astype("datetime64[M]").astype("datetime64[s]")
    at: Times = np.minimum(found + within_month, ends)
    return at


def _last_day(times: Times) -> Times:
    """The last days of their months (datetime64[D])."""
    next_month = times.astype("datetime64[M]") + np.timedelta64(1, "M")
    last: Times = next_month.astype("datetime64[D]") - np.timedelta64(1, "D")
    return last


def _dominates(alike: npt.NDArray[np.bool_]) -> bool:
    return bool(alike.mean() >= DOMINANT)


def _days(times: Times) -> Ints:
    return times.astype("datetime64[D]").astype(np.int64)


def _months(times: Times) -> Ints:
    return times.astype("datetime64[M]").astype(np.int64)


def _weekday(days: Ints) -> Ints:
    return (days + 3) % 7  # day 0, 1970-01-01, was a Thursday


def _business_days(times: Times) -> Ints:
    days = _days(times)
    return (days + 3) // 7 * 5 + np.minimum(_weekday(days), 4)


def _whole(season: int, size: int) -> int:
    return season // size if season % size == 0 else 1


def _factor(size: int, name: str) -> str:
    return name if size == 1 else f"{size}{name}"


def _month_alias(size: int) -> str:
    if size % 12 == 0:
        return _factor(size // 12, "Y")
    return _factor(size // 3, "Q") if size % 3 == 0 else _factor(size, "M")


def _second_step(size_s: int) -> Step:
    units = ((WEEK_S, "W"), (DAY_S, "D"), (HOUR_S, "h"), (MINUTE_S, "min"), (1, "s"))
    unit_s, name = next(u for u in units if size_s % u[0] == 0)
    if size_s >= DAY_S:
        seasons = {WEEK_S: 52, DAY_S: 7}
        season = _whole(seasons.get(unit_s, 1), size_s // unit_s)
    else:
        cycles_s = [c for c in (DAY_S, HOUR_S, MINUTE_S) if c % size_s == 0]
        season = next((c // size_s for c in cycles_s if c // size_s <= LONGEST_SEASON), 1)
    return Step(alias=_factor(size_s // unit_s, name), season=season, unit="second", size=size_s)


def _number_step(numbers_R: Times, steps: npt.NDArray[np.float64]) -> Step | None:
    """The step of numbers; between 1000 and 3000 they count as years, whole or in parts."""
    size = float(np.median(steps))
    parts = next((p for p in (1, 2, 4, 12) if abs(size * p - 1) < 0.02), 0)
    if parts and numbers_R.min() >= 1000 and numbers_R.max() <= 3000:
        alias, size = _month_alias(12 // parts), 1 / parts
    else:
        alias, parts = "step", 1
    if not _dominates(np.abs(steps - size) <= 0.25 * size):
        return None
    return Step(alias=alias, season=parts, unit="number", size=size)


def _distinct(times: "pd.Series[Any]") -> tuple[Ints, Any]:
    """A code for each row (-1: missing) and the values it stands for."""
    if isinstance(times.dtype, pd.CategoricalDtype):
        return np.asarray(times.cat.codes, dtype=np.int64), times.cat.categories
    if times.dtype.kind in "iufMm" or isinstance(times.dtype, pd.DatetimeTZDtype | pd.PeriodDtype):
        row_R = np.arange(len(times), dtype=np.int64)
        return np.where(times.isna().to_numpy(dtype=bool), -1, row_R), pd.Index(times)
    distinct_codes, values = pd.factorize(times)
    return np.asarray(distinct_codes, dtype=np.int64), pd.Index(values)


def _parse(values: Any) -> Times:
    """Distinct values as times; NaT or NaN where one cannot be read."""
    if isinstance(values, pd.PeriodIndex):
        return _as_seconds(values.to_timestamp())
    if isinstance(values, pd.DatetimeIndex):
        return _as_seconds(values)
    if isinstance(values, pd.TimedeltaIndex):
        return values.total_seconds().to_numpy(dtype=np.float64)
    if values.dtype.kind in "iuf":
        return _as_numbers(values.to_numpy(dtype=np.float64, na_value=np.nan))
    return _parse_texts(pd.Index([str(v).strip() for v in values], dtype=object))


def _as_seconds(stamps: pd.DatetimeIndex) -> Times:
    naive = stamps.tz_convert("UTC").tz_localize(None) if stamps.tz is not None else stamps
    exact = naive.to_numpy()
    whole = exact.astype("datetime64[s]")
    known = ~np.isnat(exact)
    if (whole[known] == exact[known]).all():
        return whole
    seconds = (exact - np.datetime64(0, "s")) / np.timedelta64(1, "s")
    return np.where(known, seconds, np.nan)


def _as_numbers(numbers: npt.NDArray[np.float64]) -> Times:
    """Numbers as int64 where all are whole; 195901 and 19590131 as dates."""
    numbers = np.where(np.abs(numbers) < 2**53, numbers, np.nan)
    if not len(numbers) or np.isnan(numbers).any() or (numbers != np.floor(numbers)).any():
        return numbers
    for shape, low, high in (("%Y%m", 100_000, 1e6), ("%Y%m%d", 1e7, 1e8)):
        if numbers.min() >= low and numbers.max() < high:
            texts = pd.Index(numbers.astype(np.int64)).astype(str)
            stamps = pd.to_datetime(texts, format=shape, errors="coerce")
            if not stamps.isna().any():
                return _as_seconds(stamps)
    return numbers.astype(np.int64)


def _parse_texts(texts: "pd.Index[Any]") -> Times:
    """Texts under the first form that reads them all (dates in rising order win), else most."""
    best: Times = np.full(len(texts), np.nan)
    if not np.isnan(_read_numbers(texts[:SAMPLED])).all():
        best = _as_numbers(_read_numbers(texts))
        if best.dtype.kind != "f" or not np.isnan(best).any():
            return best
    whole: list[Times] = []
    for read in (_read_iso, _read_quarters, *map(_reader, FORMATS)):
        if pd.isna(read(texts[:SAMPLED])).mean() >= 0.5:
            continue
        stamps = read(texts)
        if not stamps.isna().any():
            whole.append(_as_seconds(stamps))
        elif np.sum(stamps.isna()) < pd.isna(pd.Series(best)).sum():
            best = _as_seconds(stamps)
    rising = [w for w in whole if (w[1:] >= w[:-1]).all()]
    return next(iter(rising + whole), best)


def _read_numbers(texts: "pd.Index[Any]") -> npt.NDArray[np.float64]:
    return np.asarray(pd.to_numeric(texts.to_series(), errors="coerce"), dtype=np.float64)


def _read_iso(texts: "pd.Index[Any]") -> pd.DatetimeIndex:
    stamps = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    return stamps.tz_localize(None)


def _read_quarters(texts: "pd.Index[Any]") -> pd.DatetimeIndex:
    forms = [re.sub(r"^Q([1-4])[-\s/]*(\d{4})$", r"\2Q\1", str(t).upper()) for t in texts]
    found = [re.fullmatch(r"(\d{4})[-\s/]*Q([1-4])", f) for f in forms]
    months = [f"{m[1]}-{int(m[2]) * 3 - 2:02d}" if m else "" for m in found]
    return pd.to_datetime(pd.Index(months, dtype=object), format="%Y-%m", errors="coerce")


def _reader(form: str) -> Callable[["pd.Index[Any]"], pd.DatetimeIndex]:
    return lambda texts: pd.to_datetime(texts, format=form, errors="coerce")
