"""The named things that happen, and their sentences: the only place that words them."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Level = Literal["debug", "info", "warning"]


@dataclass(frozen=True)
class Event(ABC):
    """Something that happened, mostly of a `worker`, a `study` or both."""

    @property
    def level(self) -> Level:
        """A "warning" is what a person may have to do something about."""
        return "info"

    @abstractmethod
    def words(self) -> str:
        """What happened, without the names of the worker and the study."""


@dataclass(frozen=True)
class Counted(Event):
    """Something that happens all the time: metrics count it, a log leaves it out."""

    @property
    def level(self) -> Level:
        return "debug"


@dataclass(frozen=True)
class Warned(Event):
    """Something about which a person may have to do something."""

    @property
    def level(self) -> Level:
        return "warning"


def sentence(event: Event) -> str:
    """What happened, in words: of which worker, in which study, what.

    >>> sentence(TimeLimitReached("gdp", 60))
    'gdp: the time limit of 60 s is reached; what runs is finished, then the verdict is made'
    >>> sentence(StudyTaken("gdp", "node-3-4711", "cpu"))
    'node-3-4711: gdp: begins to serve this study on cpu'
    """
    values = vars(event)
    return ": ".join(
        [*(values[key] for key in ("worker", "study") if key in values), event.words()]
    )


Hear = Callable[[Event], None]


def ignore(_: Event) -> None:
    """Tell no one."""


# What a run says.


@dataclass(frozen=True)
class StudyStarted(Event):
    """A new study is written to the database."""

    study: str
    storage: str

    def words(self) -> str:
        return f"a new study in {self.storage}"


@dataclass(frozen=True)
class StudyResumed(Event):
    """A study that was there goes on."""

    study: str
    storage: str
    ended: int
    budget: int

    def words(self) -> str:
        return f"goes on in {self.storage}, {self.ended} of {self.budget} trials have ended"


@dataclass(frozen=True)
class StudyAnswered(Event):
    """The study had its answer before."""

    study: str
    storage: str

    def words(self) -> str:
        return f"answered before, from {self.storage}"


@dataclass(frozen=True)
class NativeEngineMissing(Warned):
    """The study wants its networks trained natively, which this installation cannot do."""

    study: str

    def words(self) -> str:
        return (
            "this installation has no native engine, torch trains in its place,"
            " slower; to have it, install a C compiler and Python's headers, then hpo again"
            " from where it came, with pip install --force-reinstall --no-deps --no-cache-dir"
        )


@dataclass(frozen=True)
class TimeLimitReached(Event):
    """No new trial begins; what runs is finished, then the verdict is made."""

    study: str
    after_s: float

    def words(self) -> str:
        return (
            f"the time limit of {self.after_s:g} s is reached; what runs is finished, then"
            " the verdict is made"
        )


@dataclass(frozen=True)
class StudyInterrupted(Event):
    """The user stopped the run; everything but the networks in training is kept."""

    study: str
    storage: str
    ended: int
    budget: int
    networks: int

    def words(self) -> str:
        return (
            f"interrupted; {self.ended} of {self.budget} trials and {self.networks} networks"
            f" are kept in {self.storage}; the same command goes on"
        )


# What a worker says of itself.


@dataclass(frozen=True)
class WorkerStarted(Event):
    """A worker is ready; `storage` is the database's URL as it may be shown."""

    worker: str
    pid: int
    storage: str

    def words(self) -> str:
        return f"started as process {self.pid}, database {self.storage}"


@dataclass(frozen=True)
class WorkerEnded(Event):
    """A worker ends as it should."""

    worker: str
    reason: str

    def words(self) -> str:
        return f"ended: {self.reason}"


@dataclass(frozen=True)
class WorkerWithdrew(Warned):
    """A worker that only fails takes no more work, so that it does not burn the budget."""

    worker: str
    reason: str

    def words(self) -> str:
        return f"withdraws and takes no more work: {self.reason}"


@dataclass(frozen=True)
class WorkerReplaced(Warned):
    """A worker died and another is started in its place; a negative exit code is a signal's."""

    place: int
    exit_code: int

    def words(self) -> str:
        how = f"signal {-self.exit_code}" if self.exit_code < 0 else f"exit code {self.exit_code}"
        return f"worker {self.place} ended by {how}; another is started in its place"


@dataclass(frozen=True)
class ChildDied(Warned):
    """The process in which a worker trains ended unasked, or had to be ended."""

    worker: str
    reason: str

    def words(self) -> str:
        return f"its training process died: {self.reason}"


@dataclass(frozen=True)
class DatabaseWentAway(Warned):
    """The database does not answer a worker that was connected; the worker waits."""

    worker: str
    problem: str

    def words(self) -> str:
        return f"the database is away: {self.problem}; results are kept until it is back"


@dataclass(frozen=True)
class DatabaseCameBack(Event):
    """The database answers again."""

    worker: str
    after_s: float

    def words(self) -> str:
        return f"the database is back after {self.after_s:.1f} s"


# What a worker says of a study.


@dataclass(frozen=True)
class StudyTaken(Event):
    """A worker begins to serve a study; `device` trains its widest networks."""

    study: str
    worker: str
    device: str

    def words(self) -> str:
        return f"begins to serve this study on {self.device}"


@dataclass(frozen=True)
class StudyRefused(Warned):
    """A worker cannot serve a study: other data, another spec or version than its own."""

    study: str
    worker: str
    reason: str

    def words(self) -> str:
        return f"does not serve this study: {self.reason}"


@dataclass(frozen=True)
class TrialsTaken(Counted):
    """Slots were claimed in one transaction, which took `claim_s`."""

    study: str
    worker: str
    slots: tuple[int, ...]
    claim_s: float

    def words(self) -> str:
        return f"takes {_slots(self.slots)}, claimed in {self.claim_s:.3f} s"


@dataclass(frozen=True)
class TrialTakenOver(Event):
    """A slot that another worker lost goes on here; `trial` is None if it had none yet."""

    study: str
    slot: int
    worker: str
    trial: int | None
    expiries: int
    crashes: int

    def words(self) -> str:
        trial = "no trial yet" if self.trial is None else f"trial {self.trial}"
        return (
            f"takes over slot {self.slot} ({trial});"
            f" so far {_counted(self.expiries, 'expired lease')},"
            f" {_counted(self.crashes, 'crash', 'crashes')}"
        )


@dataclass(frozen=True)
class TrialEnded(Event):
    """A trial counts: `outcome` is complete, pruned or infeasible (which has no score)."""

    study: str
    trial: int
    worker: str
    outcome: str
    score: float | None

    def words(self) -> str:
        score = "" if self.score is None else f", score {self.score:.6g}"
        return f"trial {self.trial} is {self.outcome}{score}"


@dataclass(frozen=True)
class NetworksTrained(Counted):
    """Networks (one fold, one seed) were trained to their ends, in `training_s` all together."""

    study: str
    worker: str
    count: int
    training_s: float

    def words(self) -> str:
        return f"trained {_counted(self.count, 'network')} in {self.training_s:.1f} s"


@dataclass(frozen=True)
class TrainingCheckpointed(Event):
    """The state of a network in training is in the database: another worker can go on from it."""

    study: str
    worker: str
    trial: int
    fold: int
    seed: int
    size_bytes: int

    def words(self) -> str:
        return (
            f"stored the training of trial {self.trial}, fold {self.fold}, seed {self.seed}"
            f" ({self.size_bytes:,} bytes)"
        )


@dataclass(frozen=True)
class StudyLeft(Event):
    """A worker drops what it did for a study that is cancelled, failed or deleted."""

    study: str
    worker: str
    state: str

    def words(self) -> str:
        return f"leaves this study, which is {self.state}"


@dataclass(frozen=True)
class StudyWaits(Event):
    """A study that was there is paused."""

    study: str
    storage: str

    def words(self) -> str:
        return f"is paused in {self.storage}: hpo resume {self.study} lets it go on"


@dataclass(frozen=True)
class LeaseLost(Warned):
    """A worker was silent for longer than its leases last; it stops this work, records nothing."""

    study: str
    worker: str
    slots: tuple[int, ...]

    def words(self) -> str:
        return f"lost its lease of {_slots(self.slots)}, records nothing of it and goes on"


@dataclass(frozen=True)
class UnexpectedError(Warned):
    """An error in the study itself or in hpo; its traceback is stored with the study."""

    study: str
    worker: str
    slot: int
    trace: str

    def words(self) -> str:
        lines = self.trace.split("\n")
        problem = next((line for line in reversed(lines) if line.strip()), "of unknown kind")
        return f"an unexpected error in slot {self.slot}: {problem}"


@dataclass(frozen=True)
class StudyEnded(Event):
    """A study reached its last state; `reason` may be empty."""

    study: str
    state: str
    reason: str

    @property
    def level(self) -> Level:
        return "warning" if self.state == "failed" else "info"

    def words(self) -> str:
        return f"the study is {self.state}" + (f": {self.reason}" if self.reason else "")


def _slots(slots: tuple[int, ...]) -> str:
    noun = "slot" if len(slots) == 1 else "slots"
    return f"{noun} {', '.join(map(str, slots))}"


def _counted(count: int, noun: str, nouns: str = "") -> str:
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"
