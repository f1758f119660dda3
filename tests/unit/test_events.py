"""Every event has a sentence that holds its values, and a level."""

import inspect

import pytest

from hpo import events

WORKER, DATABASE = "node-3-4711", "postgresql://ann:***@db/hpo"
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 7\nValueError: no such fold\n'

SAID: list[tuple[events.Event, str]] = [
    (
        events.StudyStarted("airline", "sqlite:///hpo.db"),
        "airline: a new study in sqlite:///hpo.db",
    ),
    (
        events.StudyResumed("airline", "sqlite:///hpo.db", 17, 60),
        "airline: goes on in sqlite:///hpo.db, 17 of 60 trials have ended",
    ),
    (
        events.StudyAnswered("airline", "sqlite:///hpo.db"),
        "airline: answered before, from sqlite:///hpo.db",
    ),
    (
        events.NativeEngineMissing("airline"),
        "airline: this installation has no native engine, torch trains in its place, slower;"
        " to have it, install a C compiler and Python's headers, then hpo again from where it"
        " came, with pip install --force-reinstall --no-deps --no-cache-dir",
    ),
    (
        events.TimeLimitReached("airline", 90.5),
        "airline: the time limit of 90.5 s is reached; what runs is finished, then the verdict"
        " is made",
    ),
    (
        events.StudyInterrupted("airline", "sqlite:///hpo.db", 17, 60, 204),
        "airline: interrupted; 17 of 60 trials and 204 networks are kept in sqlite:///hpo.db;"
        " the same command goes on",
    ),
    (
        events.WorkerStarted(WORKER, 4711, DATABASE),
        f"{WORKER}: started as process 4711, database {DATABASE}",
    ),
    (
        events.WorkerEnded(WORKER, "60 s with nothing to do"),
        f"{WORKER}: ended: 60 s with nothing to do",
    ),
    (
        events.WorkerWithdrew(WORKER, "3 failures in a row"),
        f"{WORKER}: withdraws and takes no more work: 3 failures in a row",
    ),
    (
        events.WorkerReplaced(2, -9),
        "worker 2 ended by signal 9; another is started in its place",
    ),
    (
        events.WorkerReplaced(2, 1),
        "worker 2 ended by exit code 1; another is started in its place",
    ),
    (
        events.ChildDied(WORKER, "more than 2 GB of memory"),
        f"{WORKER}: its training process died: more than 2 GB of memory",
    ),
    (
        events.DatabaseWentAway(WORKER, "connection refused"),
        f"{WORKER}: the database is away: connection refused; results are kept until it is back",
    ),
    (
        events.DatabaseCameBack(WORKER, 21.54),
        f"{WORKER}: the database is back after 21.5 s",
    ),
    (
        events.StudyLeft("airline", WORKER, "cancelled"),
        f"{WORKER}: airline: leaves this study, which is cancelled",
    ),
    (
        events.StudyWaits("airline", "sqlite:///hpo.db"),
        "airline: is paused in sqlite:///hpo.db: hpo resume airline lets it go on",
    ),
    (
        events.StudyTaken("airline", WORKER, "cpu"),
        f"{WORKER}: airline: begins to serve this study on cpu",
    ),
    (
        events.StudyRefused("airline", WORKER, "it is of version 0.2, this is 0.1"),
        f"{WORKER}: airline: does not serve this study: it is of version 0.2, this is 0.1",
    ),
    (
        events.TrialsTaken("airline", WORKER, (3, 4, 7), 0.0042),
        f"{WORKER}: airline: takes slots 3, 4, 7, claimed in 0.004 s",
    ),
    (
        events.TrialsTaken("airline", WORKER, (61,), 0.25),
        f"{WORKER}: airline: takes slot 61, claimed in 0.250 s",
    ),
    (
        events.TrialTakenOver("airline", 18, WORKER, 17, 1, 2),
        f"{WORKER}: airline: takes over slot 18 (trial 17); so far 1 expired lease, 2 crashes",
    ),
    (
        events.TrialTakenOver("airline", 18, WORKER, None, 2, 1),
        f"{WORKER}: airline: takes over slot 18 (no trial yet); so far 2 expired leases, 1 crash",
    ),
    (
        events.TrialEnded("airline", 17, WORKER, "complete", 0.84213579),
        f"{WORKER}: airline: trial 17 is complete, score 0.842136",
    ),
    (
        events.TrialEnded("airline", 17, WORKER, "infeasible", None),
        f"{WORKER}: airline: trial 17 is infeasible",
    ),
    (
        events.NetworksTrained("airline", WORKER, 12, 3.14),
        f"{WORKER}: airline: trained 12 networks in 3.1 s",
    ),
    (
        events.NetworksTrained("airline", WORKER, 1, 75.0),
        f"{WORKER}: airline: trained 1 network in 75.0 s",
    ),
    (
        events.TrainingCheckpointed("airline", WORKER, 17, 3, 2, 48_213),
        f"{WORKER}: airline: stored the training of trial 17, fold 3, seed 2 (48,213 bytes)",
    ),
    (
        events.LeaseLost("airline", WORKER, (3, 4)),
        f"{WORKER}: airline: lost its lease of slots 3, 4, records nothing of it and goes on",
    ),
    (
        events.UnexpectedError("airline", WORKER, 18, TRACE),
        f"{WORKER}: airline: an unexpected error in slot 18: ValueError: no such fold",
    ),
    (
        events.UnexpectedError("airline", WORKER, 18, ""),
        f"{WORKER}: airline: an unexpected error in slot 18: of unknown kind",
    ),
    (
        events.StudyEnded("airline", "done", ""),
        "airline: the study is done",
    ),
    (
        events.StudyEnded("airline", "failed", "3 equal errors"),
        "airline: the study is failed: 3 equal errors",
    ),
]

WARNINGS = {
    events.NativeEngineMissing("airline"),
    events.WorkerWithdrew(WORKER, "3 failures in a row"),
    events.WorkerReplaced(2, -9),
    events.WorkerReplaced(2, 1),
    events.ChildDied(WORKER, "more than 2 GB of memory"),
    events.DatabaseWentAway(WORKER, "connection refused"),
    events.StudyRefused("airline", WORKER, "it is of version 0.2, this is 0.1"),
    events.LeaseLost("airline", WORKER, (3, 4)),
    events.UnexpectedError("airline", WORKER, 18, TRACE),
    events.UnexpectedError("airline", WORKER, 18, ""),
    events.StudyEnded("airline", "failed", "3 equal errors"),
}


@pytest.mark.parametrize(("event", "said"), SAID, ids=[type(event).__name__ for event, _ in SAID])
def test_an_event_is_told_in_one_sentence_with_its_values(event: events.Event, said: str) -> None:
    assert events.sentence(event) == said


def test_every_event_there_is_has_its_sentence_shown_here() -> None:
    kinds = {
        kind
        for _, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, events.Event)
    }
    assert kinds - {events.Event, events.Counted, events.Warned} == {
        type(event) for event, _ in SAID
    }


def test_a_warning_is_what_a_person_may_have_to_do_something_about() -> None:
    assert {event for event, _ in SAID if event.level == "warning"} == WARNINGS
    assert {event.level for event, _ in SAID} == {"debug", "info", "warning"}
