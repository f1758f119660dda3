"""What a worker and the process that trains for it tell each other over their pipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo.data.benchmarks import BenchmarkErrors
from hpo.errors import HpoError
from hpo.fitting.pool import Job, Saved
from hpo.service.executor import Asked, Begun, Made


@dataclass(frozen=True)
class Begin:
    """Take this study up; to be answered by Ready or Refused."""

    asked: Asked


@dataclass(frozen=True)
class Forecast:
    """Forecast the benchmarks; to be answered by Forecasted or Broke."""


@dataclass(frozen=True)
class Train:
    """Train these; answered by Results and Halves, then by Finished, Halted or Broke."""

    number: int
    jobs: Sequence[Job]


@dataclass(frozen=True)
class Halt:
    """End the training now."""


Order = Begin | Forecast | Train | Halt


@dataclass(frozen=True)
class Ready:
    """The study is taken up."""

    begun: Begun


@dataclass(frozen=True)
class Refused:
    """It cannot be done here, or not with these data: a message for people."""

    error: HpoError


@dataclass(frozen=True)
class Forecasted:
    """The benchmarks."""

    errors: BenchmarkErrors


@dataclass(frozen=True)
class Results:
    """What came of some jobs, by their place in the order."""

    made: Mapping[int, Made]


@dataclass(frozen=True)
class Half:
    """The state of a job in training."""

    place: int
    saved: Saved


@dataclass(frozen=True)
class Finished:
    """Every job is trained."""


@dataclass(frozen=True)
class Halted:
    """The training was ended before its end."""


@dataclass(frozen=True)
class Broke:
    """An unexpected error, with its traceback; `is_local` where the machine is to blame."""

    trace: str
    is_local: bool


@dataclass(frozen=True)
class Pulse:
    """A sign of life: the seconds that jobs of the order of this number have been in training.

    By their place in the order.
    """

    number: int
    running_s: Mapping[int, float]


Reply = Ready | Refused | Forecasted | Results | Half | Finished | Halted | Broke | Pulse
