"""The named things that happen, and their sentences: the only place that words them."""

from dataclasses import dataclass
from typing import assert_never


@dataclass(frozen=True)
class StudyStarted:
    """A new study is written to the database."""

    study: str
    storage: str


@dataclass(frozen=True)
class StudyResumed:
    """A study that was there goes on."""

    study: str
    storage: str
    ended: int
    budget: int


@dataclass(frozen=True)
class StudyAnswered:
    """The study had its answer before."""

    study: str
    storage: str


@dataclass(frozen=True)
class NativeEngineMissing:
    """The study wants its networks trained natively, which this installation cannot do."""

    study: str


@dataclass(frozen=True)
class TimeLimitReached:
    """No new trial begins; what runs is finished, then the verdict is made."""

    study: str
    after_s: float


@dataclass(frozen=True)
class StudyInterrupted:
    """The user stopped the run; everything but the networks in training is kept."""

    study: str
    storage: str
    ended: int
    budget: int
    networks: int


Event = (
    StudyStarted
    | StudyResumed
    | StudyAnswered
    | NativeEngineMissing
    | TimeLimitReached
    | StudyInterrupted
)


def sentence(event: Event) -> str:
    """What happened, in words.

    >>> sentence(TimeLimitReached("gdp", 60))
    'gdp: the time limit of 60 s is reached; what runs is finished, then the verdict is made'
    """
    match event:
        case StudyStarted(study, storage):
            return f"{study}: a new study in {storage}"
        case StudyResumed(study, storage, ended, budget):
            return f"{study}: goes on in {storage}, {ended} of {budget} trials have ended"
        case StudyAnswered(study, storage):
            return f"{study}: answered before, from {storage}"
        case NativeEngineMissing(study):
            return (
                f"{study}: this installation has no native engine, torch trains in its place,"
                " slower; to have it, install a C compiler and Python's headers, then hpo again"
                " from where it came, with pip install --force-reinstall --no-deps --no-cache-dir"
            )
        case TimeLimitReached(study, after_s):
            return (
                f"{study}: the time limit of {after_s:g} s is reached; what runs is finished, then"
                " the verdict is made"
            )
        case StudyInterrupted(study, storage, ended, budget, networks):
            return (
                f"{study}: interrupted; {ended} of {budget} trials and {networks} networks are kept"
                f" in {storage}; the same command goes on"
            )
        case _:
            assert_never(event)
