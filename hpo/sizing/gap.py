"""The gap between validation and training error, and what it asks of alpha.

A network that fits far better than it forecasts is larger than its data carry: alpha, the samples
per degree of freedom, is raised and the space cut. Between phases of a search, never inside one.
Shapes: S seeds, F folds.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import floor, log10
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

CONFIDENCE = 0.95  # one-sided
MOST_SHARE = 1 / 1.5  # of the data that weights may be, for the gap to have an expectation
STEPS = (1.0, 2.0, 3.0, 5.0, 7.0)  # of alpha, in every decade


@dataclass(frozen=True, kw_only=True)
class Gap:
    """Validation error over training error: `ratio`, and its one-sided 95 % lower limit `low`.

    `expected`: what a linear network of as many weights would show; None where they are too many.
    """

    ratio: float
    low: float
    expected: float | None

    @property
    def is_wide(self) -> bool:
        """Whether the ratio is significantly above what is expected, or above 1 without that."""
        return self.low > (self.expected or 1.0)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """The best network inside the bound of one alpha: its cells, its score, its gap.

    `bound`: what the rule allows at this alpha, in its own unit. `reason`: what came of it.
    """

    alpha: float
    bound: int
    cells: tuple[int, ...]
    score: float
    gap: Gap | None
    reason: str


def gap_of(
    train_SF: Floats,
    valid_SF: Floats,
    *,
    weights: int,
    residuals_F: NDArray[np.int64],
    is_squared: bool,
    relative_se: float,
) -> Gap | None:
    """The gap of one network's trainings: the geometric mean over seeds and folds of the ratio.

    Both errors are the loss that was trained, at the restored weights, in evaluation mode.
    `residuals_F`: training windows times outputs. `relative_se`: of the validation error over
    origins, as a share of it (block bootstrap); the variance between seeds is added to it. None
    where an error is no positive number.
    """
    if not (np.isfinite(train_SF) & np.isfinite(valid_SF) & (train_SF > 0) & (valid_SF > 0)).all():
        return None
    logs_S = np.log(valid_SF / train_SF).mean(axis=1)
    seed_var = float(logs_S.var(ddof=1)) / len(logs_S) if len(logs_S) > 1 else 0.0
    se = float(np.sqrt(relative_se**2 + seed_var))
    expected_F = [expected_ratio(weights, int(n), is_squared=is_squared) for n in residuals_F]
    known = [expected for expected in expected_F if expected is not None]
    return Gap(
        ratio=float(np.exp(logs_S.mean())),
        low=float(np.exp(logs_S.mean() - float(ndtri(CONFIDENCE)) * se)),
        expected=float(np.mean(known)) if len(known) == len(expected_F) else None,
    )


def expected_ratio(weights: int, residuals: int, *, is_squared: bool) -> float | None:
    """Validation over training error of a linear model of P weights on N residuals: N / (N - P).

    Of absolute errors; of squared ones its square. None where P >= N / 1.5: no expectation.
    Least squares fits N - P of N parts of the noise, and forecasts with N + P (for P << N).

    >>> round(expected_ratio(43, 430, is_squared=True), 3), expected_ratio(43, 60, is_squared=True)
    (1.235, None)
    """
    if weights >= MOST_SHARE * residuals:
        return None
    ratio = residuals / (residuals - weights)
    return ratio**2 if is_squared else ratio


class Move(NamedTuple):
    """The next alpha (None: it stays) and why."""

    alpha: float | None
    reason: str


def move(
    alpha: float,
    gap: Gap | None,
    *,
    smaller_is_worse: Callable[[], bool],
    at_the_bound: bool,
    least: float,
    most: float,
    leaves_a_network: Callable[[float], bool],
    tried: Collection[float] = (),
) -> Move:
    """What the gap of the best network inside the bound asks of alpha.

    Raised where the gap is wider than expected; where nothing is expected (too many weights), where
    it is significant and a smaller network is not worse in pairs. Lowered where the network is at
    the bound, its gap is not wide and the study allows it (`least` below alpha). An alpha that was
    `tried` is not gone back to.
    """
    if gap is None:
        return Move(None, "its training or validation error is no positive number")
    told = in_words(gap)
    if gap.is_wide and gap.expected is None and smaller_is_worse():
        return Move(None, f"{told}, but no smaller network forecasts as well")
    if gap.is_wide:
        higher = raised(alpha, most)
        if higher is None:
            return Move(None, f"{told}; alpha is as high as it may rise ({most:g})")
        if higher in tried:
            return Move(None, f"{told}; alpha {higher:g} was tried before")
        if not leaves_a_network(higher):
            return Move(None, f"{told}; at alpha {higher:g} no network would be left")
        return Move(higher, f"{told}: alpha rises to {higher:g}")
    if at_the_bound and (lower := lowered(alpha, least)) is not None and lower not in tried:
        return Move(lower, f"it is at the bound and {told}: alpha falls to {lower:g}")
    return Move(None, f"it is at the bound, yet {told}" if at_the_bound else told)


def in_words(gap: Gap) -> str:
    """The gap as a part of a sentence.

    >>> in_words(Gap(ratio=1.31, low=1.2, expected=1.1))
    'it forecasts with 1.31 times its training error (1.20 at least; 1.10 is usual)'
    >>> in_words(Gap(ratio=1.01, low=0.83, expected=None))
    'it forecasts with 1.01 times its training error (0.83 at least)'
    """
    usual = "" if gap.expected is None else f"; {gap.expected:.2f} is usual"
    known = f"{gap.low:.2f} at least{usual}"
    return f"it forecasts with {gap.ratio:.2f} times its training error ({known})"


def raised(alpha: float, most: float) -> float | None:
    """The next alpha of 1, 2, 3, 5, 7, 10, 20, ...; None above `most`.

    >>> raised(2.0, 10.0), raised(7.0, 10.0), raised(10.0, 10.0), raised(2.5, 10.0)
    (3.0, 10.0, None, 3.0)
    """
    above = min(a for a in _series(alpha) if a > alpha * (1 + 1e-9))
    return above if above <= most * (1 + 1e-9) else None


def lowered(alpha: float, least: float) -> float | None:
    """The alpha before it in 1, 2, 3, 5, 7, 10, ...; None below `least`.

    >>> lowered(2.0, 0.5), lowered(1.0, 0.5), lowered(2.0, 2.0)
    (1.0, 0.7, None)
    """
    below = max(a for a in _series(alpha) if a < alpha * (1 - 1e-9))
    return below if below >= least * (1 - 1e-9) else None


def _series(alpha: float) -> list[float]:
    decade = floor(log10(alpha))
    return [float(f"{step}e{d}") for d in (decade - 1, decade, decade + 1) for step in STEPS]
