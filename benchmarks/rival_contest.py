"""What all contestants forecast of one series, scored at the same origins by the same measure.

Shapes: O origins of the test span, H horizon.
"""

from typing import Any

import numpy as np
from error_ratios import Pair
from numpy.typing import NDArray

from hpo.data.metrics import losses
from hpo.data.prepare import truth
from hpo.data.question import Question
from hpo.search.objective import origins_of

METRIC = "mase"
Row = dict[str, Any]
Floats = NDArray[np.float64]


class Contest:
    """What the contestants did on one series, by name, and their losses at its test origins."""

    def __init__(self, series: str, question: Question) -> None:
        self.series, self.question = series, question
        self.found: dict[str, Row] = {}

    def losses_O(self, contestant: str) -> Floats:
        """The contestant's absolute errors, as shares of the study's scale, float64 (origins,)."""
        prepared = self.question.prepared
        forecast_OH = np.array(self.found[contestant]["forecasts"])
        return losses(truth(prepared, prepared.test), forecast_OH, prepared.test.scale_O, METRIC)

    def pair(self, rival: str) -> Pair:
        """This project's losses beside the rival's."""
        test = self.question.prepared.test
        return Pair(
            series=self.series,
            ours_O=self.losses_O("hpo"),
            theirs_O=self.losses_O(rival),
            origins=origins_of([test], self.question.study.task.horizon),
        )

    def rows(self) -> list[Row]:
        """One row a contestant; `ratio` is this project's error over the contestant's."""
        ours = self.losses_O("hpo").mean()
        means = {name: self.losses_O(name).mean() for name in self.found}
        return [
            {
                "series": self.series,
                "contestant": name,
                **{key: value for key, value in found.items() if key != "forecasts"},
                "test_origins": len(found["forecasts"]),
                "test_mase": float(means[name]),
                "ratio": float(ours / means[name]),
            }
            for name, found in self.found.items()
        ]
