"""Studies and panels that the tests of hpo.data are made of."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from hpo.data.checking import check
from hpo.data.panel import Panel
from hpo.spec.study import Data, Study


def study(**values: Any) -> Study:
    """A study on column y; values by dotted key with `_` twice for the dot: task__horizon=12."""
    tree: dict[str, Any] = {"data": {"source": "frame", "target": "y"}}
    for key, value in values.items():
        part, _, leaf = key.partition("__")
        tree.setdefault(part, {})[leaf] = value
    return Study.model_validate(tree)


def panel_of(*series: npt.ArrayLike, season: int = 0, **covariates: npt.ArrayLike) -> Panel:
    """The panel of these targets, named a, b, c where there are several."""
    names = "abcdefghijklmnopqrstuvwxyz"
    frame = pd.concat(
        [pd.DataFrame({"y": np.asarray(y, float), "s": names[i]}) for i, y in enumerate(series)]
    )
    frame = frame.assign(**{n: np.asarray(v, float) for n, v in covariates.items()})
    several = "s" if len(series) > 1 else ""
    data = Data(
        source="frame", target="y", series=several, covariates=tuple(covariates), season=season
    )
    return check(frame, data)


def wave(rows: int, *, season: int = 12, trend: float = 0.0) -> npt.NDArray[np.float64]:
    """A sine of one season with a trend, around 10."""
    step_R = np.arange(rows)
    wave_R: npt.NDArray[np.float64] = 10 + np.sin(2 * np.pi * step_R / season) + trend * step_R
    return wave_R
