"""A panel: checked series, one after another; what checking makes of a frame.

Shapes: R rows of all series one after another, F features (column 0 the target), S series.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """Checked series, one after another.

    values_RF: float64, finite, column 0 the target, then the covariates that were kept.
    known_R: whether the target was in the data; where it was filled, it is never scored.
    starts_S: int64 of length S+1, the first row of each series, and R at the end.
    names: of the series; ("",) for a single one. columns: of values_RF.
    times_R: datetime64[s], int64 or float64 (row numbers where there is no time column).
    frequency: as `calendar.frequency`; "" where none was found. season: steps, 1 if none.
    warnings: sentences on what was changed. fingerprint: SHA-256 (hex) of the content.
    """

    values_RF: Floats
    known_R: Bools
    starts_S: Ints
    names: tuple[str, ...]
    times_R: npt.NDArray[Any]
    columns: tuple[str, ...]
    frequency: str
    season: int
    warnings: tuple[str, ...]
    fingerprint: str

    @property
    def lengths_S(self) -> Ints:
        """Rows of each series."""
        return np.diff(self.starts_S)
