"""What holds for every series: no leak, no lost value, no traceback."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hpo.data.checking import check
from hpo.data.load import read_file
from hpo.data.panel import Panel
from hpo.data.prepare import Prepared, prepare
from hpo.data.ridge import fit_ridge
from hpo.data.season import log_gain
from hpo.data.transform import choose, fit
from hpo.data.windows import examples, split_tail, window_starts
from hpo.errors import HpoError
from hpo.spec.study import Data, Study

STEPS = ("none", "log", "deseasonalise", "difference", "log+deseasonalise+difference")
VALUES = st.floats(0.01, 1e6, allow_nan=False)
Array = npt.NDArray[Any]
QUICK = settings(max_examples=40, deadline=None)


def _panel(y_SR: list[Array], season: int) -> Panel:
    frame = pd.concat([pd.DataFrame({"y": y, "s": f"{i:03d}"}) for i, y in enumerate(y_SR)])
    return check(frame, Data(source="frame", target="y", series="s", season=season))


def _series(rows: int, seed: int) -> Array:
    generator = np.random.default_rng(seed)
    season = 3 * np.sin(2 * np.pi * np.arange(rows) / 6)
    series_R: Array = np.exp((30 + season + generator.normal(size=rows).cumsum()) / 20)
    return series_R


@QUICK
@given(
    y_R=npst.arrays(np.float64, st.integers(8, 60), elements=VALUES, unique=True),
    season=st.integers(2, 7),
    steps=st.sampled_from(STEPS),
    share=st.floats(0.4, 1),
)
def test_transform_then_inverse_is_the_identity(
    y_R: Array, season: int, steps: str, share: float
) -> None:
    panel = _panel([y_R, y_R[::-1]], season)
    transform = fit(panel, panel.starts_S[:-1] + max(2, int(share * len(y_R))), steps)
    scaled = transform.apply(panel)[:, 0].reshape(2, -1)
    rows = np.arange(2 * len(y_R)).reshape(2, -1)
    found = transform.invert(scaled, rows, np.array([0, 1]))
    given_SR = panel.values_RF[:, 0].reshape(2, -1)
    rounding = np.abs(scaled) * transform.scale_SF[:, :1] * 2e-7
    if "log" in steps:
        inside = given_SR >= transform.floor_S[:, None]
        assert found[inside] == pytest.approx(given_SR[inside], rel=float(rounding.max()) + 1e-9)
    else:
        assert (np.abs(found - given_SR) <= rounding + 1e-9 * np.abs(given_SR).max()).all()


@QUICK
@given(
    rows=st.lists(st.integers(20, 200), min_size=1, max_size=4),
    horizon=st.integers(1, 8),
    folds=st.integers(1, 5),
    test=st.integers(0, 20),
    lookback=st.integers(0, 12),
    missing=st.sets(st.integers(1, 18), max_size=3),
)
def test_no_target_that_trains_is_scored_and_the_test_span_is_untouched(
    rows: list[int], horizon: int, folds: int, test: int, lookback: int, missing: set[int]
) -> None:
    y_SR = [_series(n, i) for i, n in enumerate(rows)]
    for y_R in y_SR:
        y_R[[-1 - m for m in missing]] = np.nan
    panel = _panel(y_SR, 6)
    study = Study.model_validate(
        {
            "data": {"source": "frame", "target": "y", "test": test},
            "task": {"horizon": horizon, "lookback": lookback},
            "validation": {"folds": folds},
            "bound": {"rule": "off"},
        }
    )
    try:
        prepared = prepare(study, panel)
    except HpoError:
        return
    held_out = _held_out(prepared)
    for fold in (*prepared.folds, prepared.test):
        trained = _trained_rows(prepared, fold.train_ends_S)
        scored = set((fold.origins_O[:, None] + 1 + np.arange(horizon)).ravel().tolist())
        assert trained.isdisjoint(scored)
        assert trained.isdisjoint(held_out)
        assert panel.known_R[sorted(scored)].all()
        assert (fold.scale_O > 0).all()
        ends = panel.starts_S[fold.series_O + 1]
        assert (fold.origins_O + horizon < ends).all()
        assert (fold.origins_O - prepared.lookbacks[-1] >= panel.starts_S[fold.series_O] - 1).all()
        if fold.number < folds:
            assert scored.isdisjoint(held_out)
        inner, tail = split_tail(
            panel, fold.train_ends_S, lookback=prepared.lookbacks[-1], horizon=horizon
        )
        assert len(inner)
        assert len(tail)


def _held_out(prepared: Prepared) -> set[int]:
    ends = zip(prepared.test.train_ends_S, prepared.panel.starts_S[1:], strict=True)
    takes_part = prepared.test.train_ends_S > prepared.panel.starts_S[:-1]
    return {r for (a, b), part in zip(ends, takes_part, strict=True) if part for r in range(a, b)}


def _trained_rows(prepared: Prepared, ends_S: Array) -> set[int]:
    length = prepared.lookbacks[-1] + prepared.limit.outputs
    starts = window_starts(
        prepared.panel,
        ends_S,
        lookback=prepared.lookbacks[-1],
        horizon=prepared.limit.outputs,
    )
    return set((starts[:, None] + np.arange(length)).ravel().tolist())


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), metric=st.sampled_from(["mase", "rmse"]))
def test_what_follows_a_folds_training_part_changes_nothing_that_trains(
    seed: int, metric: str
) -> None:
    y = _series(180, seed)
    study = Study.model_validate(
        {
            "data": {"source": "frame", "target": "y"},
            "task": {"horizon": 2, "metric": metric},
        }
    )
    one = prepare(study, _panel([y], 6))
    first_end = int(one.folds[0].train_ends_S[0])
    changed = y.copy()
    changed[first_end:] = np.random.default_rng(seed).permutation(changed[first_end:]) * 3
    two = prepare(study, _panel([changed], 6))
    fold, other = one.folds[0], two.folds[0]
    assert (one.transform_steps, one.lookbacks, one.limit) == (
        two.transform_steps,
        two.lookbacks,
        two.limit,
    )
    assert (fold.scale_O == other.scale_O).all()
    arrays = [
        examples(
            p.scaled_of(f),
            window_starts(p.panel, f.train_ends_S, lookback=p.lookbacks[-1], horizon=2),
            lookback=p.lookbacks[-1],
            outputs=2,
            anchored=p.transform_of(f).anchored,
        )
        for p, f in ((one, fold), (two, other))
    ]
    assert (arrays[0][0] == arrays[1][0]).all()
    assert (arrays[0][1] == arrays[1][1]).all()
    window = arrays[0][0][:3]
    ridges = [fit_ridge(p, f, p.lookbacks[-1]) for p, f in ((one, fold), (two, other))]
    assert (ridges[0](window) == ridges[1](window)).all()


@QUICK
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_the_choice_of_a_transform_does_not_depend_on_the_unit(seed: int, scale: float) -> None:
    y = _series(120, seed)
    one, two = _panel([y], 6), _panel([y * scale], 6)
    ends = np.array([100])
    assert choose(one, ends, "auto") == choose(two, ends, "auto")
    assert y.min() <= 0 or log_gain(y, 6) == pytest.approx(log_gain(y * scale, 6), abs=1e-6)


CELLS = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True).map(str),
    st.sampled_from(["", "NA", "x", "1e99", "-1e99", "1e-300", "0", '"', "1,2", ";", "é", "\x00"]),
    st.dates().map(str),
    st.text(max_size=5),
)


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    header=st.sampled_from(["t,y,x", "t,y", "y", "t;y;x", "", "t,y,y", "t\ty\tx"]),
    rows=st.lists(st.lists(CELLS, min_size=1, max_size=4).map(",".join), max_size=30),
    tail=st.binary(max_size=6),
)
def test_a_broken_file_ends_with_one_clear_message(
    tmp_path: Path, header: str, rows: list[str], tail: bytes
) -> None:
    text = "\n".join([header, *rows]).encode("utf-8", errors="replace")
    _use(tmp_path / "a.csv", text + tail)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(
        st.one_of(st.floats(-1e99, 1e99), st.just(float("nan")), st.integers(-3, 3)),
        min_size=20,
        max_size=60,
    ),
    season=st.integers(0, 9),
    horizon=st.integers(1, 4),
    transform=st.sampled_from(["auto", *STEPS]),
)
def test_any_numbers_are_prepared_or_refused_with_one_clear_message(
    values: list[float], season: int, horizon: int, transform: str
) -> None:
    frame = pd.DataFrame({"y": values})
    study = Study.model_validate(
        {
            "data": {"source": "frame", "target": "y", "season": season},
            "task": {"horizon": horizon, "transform": transform},
            "bound": {"rule": "off"},
        }
    )
    found = _prepared_or_refused(study, lambda: frame)
    if isinstance(found, HpoError):
        assert "\n" not in str(found)
        return
    assert all(np.isfinite(scaled_RF).all() for scaled_RF in found.scaled)
    fit_ridge(found, found.test, found.lookbacks[-1])


def _use(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    study = Study.model_validate(
        {"data": {"source": str(path), "target": "y", "time": "t", "covariates": ["x"]}}
    )
    found = _prepared_or_refused(study, lambda: read_file(study.data))
    if isinstance(found, HpoError):
        assert "\n" not in str(found)
        assert found.exit_code in (2, 3)


def _prepared_or_refused(study: Study, read: Callable[[], pd.DataFrame]) -> Prepared | HpoError:
    try:
        return prepare(study, check(read(), study.data))
    except HpoError as refusal:
        return refusal
