"""The choices of the preprocessing, and what could be chosen in their place.

An alternative is a study's values, or a function of hpo's that another one stands in for.
Shapes: R rows, S series, M steps of a season.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from hpo.data import prepare as preparing
from hpo.data import transform as transforming
from hpo.data.panel import Panel
from hpo.data.season import has_season, seasonal_indices
from hpo.data.transform import Transform
from hpo.fitting import schedule
from hpo.spec.study import Study

FEWEST_BLOCKS = 5
LEVEL_GROWTH = 1.5  # the highest block's level over the lowest one's
SWING_SLOPE = 0.5  # of log spread on log level: a power below 1/2 is nearest to the log
SIGNIFICANT = 0.05

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Stands = tuple[Any, str, Any]
"""A module, the name of a function of its, and what stands in for it."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """What is done in another way than by default."""

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    stands: tuple[Stands, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The alternatives to one choice, all asked (and the default, too) with these values."""

    name: str
    alternatives: tuple[Alternative, ...]
    values: Mapping[str, Any] = field(default_factory=dict)


class FirstPart:
    """In place of `fit`: the transform of a panel's first training part serves all its folds."""

    def __init__(self) -> None:
        self._panel: Panel | None = None
        self._kept: dict[str, Transform] = {}

    def __call__(self, panel: Panel, train_ends_S: Ints, steps: str) -> Transform:
        """The first fold is the first that asks."""
        if panel is not self._panel:
            self._panel, self._kept = panel, {}
        if steps not in self._kept:
            self._kept[steps] = default_fit(panel, train_ends_S, steps)
        return self._kept[steps]


default_fit = transforming.fit
default_choose, default_lookbacks = transforming.choose, preparing.choose_lookbacks


def steps_with(wanted: str, panel: Panel, train_ends_S: Ints, requested: str) -> str:
    """In place of `choose`: what it chooses, with this step as well where the data allow it."""
    steps = default_choose(panel, train_ends_S, requested)
    impossible = {
        "log": bool((panel.values_RF[:, 0] <= 0).any()),
        "deseasonalise": panel.season < 2,
        "difference": False,
    }
    return steps if impossible[wanted] else _joined({*steps.split("+"), wanted})


def steps_without(unwanted: str, panel: Panel, train_ends_S: Ints, requested: str) -> str:
    """In place of `choose`: what it chooses, without this step."""
    return _joined({*default_choose(panel, train_ends_S, requested).split("+")} - {unwanted})


def _joined(steps: set[str]) -> str:
    known = ("log", "deseasonalise", "difference")
    return "+".join(step for step in known if step in steps) or "none"


def longer_lookback(factor: float, study: Study, panel: Panel) -> tuple[int, ...]:
    """In place of `choose_lookbacks`: so many times the lookback of the rule."""
    return (max(2, round(factor * default_lookbacks(study, panel)[-1])),)


def by_majority(panel: Panel, train_ends_S: Ints, requested: str) -> str:
    """In place of `choose`: a season is taken off where most series have one."""
    with_season = steps_with("deseasonalise", panel, train_ends_S, requested)
    parts = transforming._training_parts(panel, train_ends_S)
    seasonal = [has_season(y_R, panel.season) for y_R in parts]
    if 2 * sum(seasonal) > len(seasonal):
        return with_season
    return steps_without("deseasonalise", panel, train_ends_S, requested)


def of_all(y_R: Floats, season: int, *, asked: bool = True) -> Floats:  # noqa: ARG001
    """In place of `_seasonal`: the indices of every series, whether it has a season or not."""
    return seasonal_indices(y_R, season)


def warmed_up(share: float, rate: float, steps: int, max_steps: int) -> NDArray[np.float32]:
    """In place of `falling_rates`: from a 25th up to `rate`, as half a cosine, then down to 0."""
    at_S = np.arange(steps) / max(steps, max_steps)
    rising_S = 1 / 25 + (1 - 1 / 25) * (1 - np.cos(np.pi * at_S / share)) / 2
    falling_S = (1 + np.cos(np.pi * (at_S - share) / (1 - share))) / 2
    return (rate * np.where(at_S < share, rising_S, falling_S)).astype(np.float32)


def constant(rate: float, steps: int, max_steps: int) -> NDArray[np.float32]:  # noqa: ARG001
    """In place of `falling_rates`: the same rate at every step."""
    return np.full(steps, rate, dtype=np.float32)


def _chosen(name: str, by: Callable[..., str]) -> Alternative:
    return Alternative(name=name, stands=((preparing, "choose", by),))


def _lookback(factor: float) -> Alternative:
    by = partial(longer_lookback, factor)
    return Alternative(name=f"x {factor:g}", stands=((preparing, "choose_lookbacks", by),))


def _rates(name: str, by: Callable[..., NDArray[np.float32]]) -> Alternative:
    return Alternative(name=name, stands=((schedule, "falling_rates", by),))


def scaled(by: str, panel: Panel, train_ends_S: Ints, steps: str) -> Transform:
    """In place of `fit`: anchored targets are divided by each series' own `step` or `deviation`."""
    fitted = default_fit(panel, train_ends_S, steps)
    if "difference" not in steps:
        return fitted
    scale_SF = fitted.scale_SF.copy()
    target_R = fitted._even(panel.values_RF[:, 0].copy(), _series_of(panel))
    size = {"step": transforming._step, "deviation": transforming._deviation}[by]
    for s, (start, end) in enumerate(zip(panel.starts_S[:-1], train_ends_S, strict=True)):
        if end > start:
            scale_SF[s, 0] = size(target_R[start:end]) or 1.0
    return replace(fitted, scale_SF=scale_SF)


def _series_of(panel: Panel) -> Ints:
    return np.repeat(np.arange(len(panel.names)), panel.lengths_S)


def not_shrunken(y_R: Floats, season: int, *, asked: bool = True) -> Floats:
    """In place of `_seasonal`: classical indices as they are."""
    return (
        np.zeros(season) if asked and not has_season(y_R, season) else seasonal_indices(y_R, season)
    )


def swing_grows(panel: Panel, train_ends_S: Ints, requested: str) -> str:
    """In place of `choose`: the log where, in most series, the swing grows with the level."""
    with_log = steps_with("log", panel, train_ends_S, requested)
    parts = transforming._training_parts(panel, train_ends_S)
    grows = [_swing_grows(y_R, panel.season) for y_R in parts]
    if 2 * sum(grows) > len(grows):
        return with_log
    return steps_without("log", panel, train_ends_S, requested)


def _swing_grows(y_R: Floats, season: int) -> bool:
    """Whether the swing grows with the level, so that the log makes it even.

    The series is cut into seasons (or ten blocks); where the level grows by half, the log of
    the blocks' spread is regressed on the log of their level. A slope of 1 is made even by the
    log, a slope of 0 by nothing (Guerrero 1993; Box and Cox 1964); from 1/2 on, and significant at
    5 % (one-sided), it is the log. Values that are not positive: never.
    """
    block = season if len(y_R) >= FEWEST_BLOCKS * season > FEWEST_BLOCKS else len(y_R) // 10
    if block < 3 or y_R.min() <= 0:
        return False
    blocks = y_R[len(y_R) % block :].reshape(-1, block)
    level, spread = blocks.mean(axis=1), blocks.std(axis=1)
    varied = spread > 0
    if varied.sum() < FEWEST_BLOCKS or level.max() < LEVEL_GROWTH * level.min():
        return False
    slope, chance = _rise(np.log(level[varied]), np.log(spread[varied]))
    return slope >= SWING_SLOPE and chance < SIGNIFICANT


def _rise(x_N: Floats, y_N: Floats) -> tuple[float, float]:
    """The slope of y on x by least squares, and Student's one-sided chance of it or a larger one.

    >>> slope, chance = _rise(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0]))
    >>> slope, round(chance, 4)  # t = 0.5 / 0.2887 = 1.732 on 1 degree of freedom: 1/6
    (0.5, 0.1667)
    """
    x_N, y_N, freedom = x_N - x_N.mean(), y_N - y_N.mean(), len(x_N) - 2
    slope = float(x_N @ y_N / (x_N @ x_N))
    left = float(np.square(y_N - slope * x_N).sum())
    error = np.sqrt(left / freedom / (x_N @ x_N))
    return slope, float(stdtr(freedom, -slope / error)) if error > 0 else float(slope <= 0)


CHOICES = (
    Choice(
        name="log",
        alternatives=(
            _chosen("never", partial(steps_without, "log")),
            _chosen("wherever positive", partial(steps_with, "log")),
            _chosen("where the swing grows", swing_grows),
        ),
    ),
    Choice(
        name="season",
        alternatives=(
            _chosen("never adjusted", partial(steps_without, "deseasonalise")),
            _chosen("always adjusted", partial(steps_with, "deseasonalise")),
            _chosen("by majority", by_majority),
            Alternative(name="all series", stands=((transforming, "_seasonal", of_all),)),
            Alternative(name="not shrunken", stands=((transforming, "_seasonal", not_shrunken),)),
        ),
    ),
    Choice(
        name="anchor",
        alternatives=(
            _chosen("never", partial(steps_without, "difference")),
            _chosen("always", partial(steps_with, "difference")),
        ),
    ),
    Choice(
        name="transform",
        alternatives=tuple(
            Alternative(name=steps, values={"task.transform": steps})
            for steps in ("none", "difference")
        ),
    ),
    Choice(
        name="fitted",
        alternatives=(
            Alternative(name="once for all folds", stands=((preparing, "fit", FirstPart()),)),
        ),
    ),
    Choice(
        name="scale",
        alternatives=(
            Alternative(name="own step", stands=((preparing, "fit", partial(scaled, "step")),)),
            Alternative(
                name="own deviation", stands=((preparing, "fit", partial(scaled, "deviation")),)
            ),
        ),
    ),
    Choice(name="lookback", alternatives=tuple(_lookback(f) for f in (0.5, 1.5, 2.0))),
    Choice(
        name="schedule",
        alternatives=(
            _rates("one cycle, 30 % up", partial(warmed_up, 0.3)),
            _rates("one cycle, 10 % up", partial(warmed_up, 0.1)),
            _rates("constant", constant),
        ),
    ),
    Choice(
        name="six steps",
        alternatives=(Alternative(name="recursive", values={"task.strategy": "recursive"}),),
        values={"task.horizon": 6, "task.strategy": "direct"},
    ),
    Choice(
        name="twelve steps",
        alternatives=(Alternative(name="recursive", values={"task.strategy": "recursive"}),),
        values={"task.horizon": 12, "task.strategy": "direct"},
    ),
)
