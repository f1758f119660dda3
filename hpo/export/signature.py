"""What a model takes and gives, as a frozen value with a JSON face."""

from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from hpo.data.calendar import Step, Times
from hpo.spec.study import MAX_STEPS, TRANSFORM_STEPS, Data, Part
from hpo.training.trainer import Shape

FRAME = "frame"
MOST_STEPS = 1_000_000  # of a window or a forecast: what is read may not ask for any memory


class Calendar(Part):
    """When the training rows of each series began, and how far apart rows are.

    `kind`: numpy's name of the times' type; "" where rows have no times. `firsts`: one per series.
    `in_index`: the times stand in the frame's index. The step is null where none ruled the data.
    """

    kind: Literal["datetime64[s]", "int64", "float64", ""]
    firsts: tuple[str | int | float, ...]
    in_index: bool = False
    frequency: str = ""
    unit: Literal["month", "business", "second", "number"] | None = None
    size: float | None = Field(None, gt=0, le=1e12)

    @model_validator(mode="after")
    def _is_readable(self) -> Self:
        if len(self.firsts_S) and not self.kind:
            raise ValueError("rows without times have no first time")
        if (self.unit is None) != (self.size is None):
            raise ValueError("a step has both a unit and a size")
        if self.unit not in (None, "number") and (self.size or 0) % 1:
            raise ValueError(f"a step of {self.size:g} {self.unit}s is not whole")
        if self.unit is not None and (self.unit == "number") == self.kind.startswith("datetime"):
            raise ValueError(f"times of kind {self.kind or 'none'} have no step of {self.unit}s")
        return self

    @property
    def step(self) -> Step | None:
        """From row to row; its season is not known here."""
        if self.unit is None or self.size is None:
            return None
        return Step(alias=self.frequency, season=1, unit=self.unit, size=self.size)

    @property
    def firsts_S(self) -> Times:
        """The times of the first training rows; empty where rows have no times."""
        return np.array(self.firsts, dtype=self.kind or "int64")


class Signature(Part):
    """What goes into a model, what comes out, and how its networks are built.

    `covariates`: those that the networks see. `names`: of the series, in the order of the
    transform's arrays; one empty name where there is one series. A window is of `dtype` and shape
    (any number, `lookback`, `inputs`), column 0 the target. `seeds`: of the networks, each trained
    for `steps`; `engine`: the policy that says by what.
    """

    target: str = Field(min_length=1)
    time: str
    series: str
    covariates: tuple[str, ...]
    names: tuple[str, ...] = Field(min_length=1)
    calendar: Calendar
    season: int = Field(ge=1, le=MAX_STEPS)
    lookback: int = Field(ge=1, le=MOST_STEPS)
    horizon: int = Field(ge=1, le=MOST_STEPS)
    strategy: Literal["direct", "recursive"]
    transform: str
    cells: tuple[int, ...] = Field(min_length=1)
    inputs: int = Field(ge=1)
    outputs: int = Field(ge=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    dtype: Literal["float32"] = "float32"
    steps: int = Field(ge=1)
    engine: str

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        series, firsts = len(self.names), len(self.calendar.firsts)
        if len(set(self.names)) < series or firsts != (series if self.calendar.kind else 0):
            raise ValueError(f"{series} names and {firsts} first times do not belong together")
        if self.inputs != 1 + len(self.covariates):
            raise ValueError(f"{self.inputs} inputs are not the target and its covariates")
        if self.outputs != (self.horizon if self.strategy == "direct" else 1):
            raise ValueError(f"a {self.strategy} network has not {self.outputs} outputs")
        if set(self.transform.split("+")) - {"none", *TRANSFORM_STEPS}:
            raise ValueError(f"the transform {self.transform[:60]!r} is not known")
        _ = self.shape, self.data  # which refuse what no network or study can have
        return self

    @property
    def shape(self) -> Shape:
        """Of each network. Raises ValueError where no such network can be."""
        return Shape(inputs=self.inputs, outputs=self.outputs, cells=self.cells)

    @property
    def data(self) -> Data:
        """The columns that are read."""
        return self.data_in(FRAME)

    def data_in(self, source: str) -> Data:
        """The columns that are read of this file."""
        return Data(
            source=source,
            target=self.target,
            time=self.time,
            series=self.series,
            covariates=self.covariates,
        )


def as_json_times(times: npt.NDArray[np.generic]) -> tuple[str | int | float, ...]:
    """Times as JSON has them; `Calendar.firsts_S` undoes it.

    >>> as_json_times(np.array(["2024-01"], dtype="datetime64[s]"))
    ('2024-01-01T00:00:00',)
    """
    return tuple(times.astype(str).tolist() if times.dtype.kind == "M" else times.tolist())
