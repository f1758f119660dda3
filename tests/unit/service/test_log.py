"""Events as lines: text that a person reads, JSON that a machine reads."""

import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime

import pytest

from hpo import events
from hpo.errors import UsageError
from hpo.service.log import form_in_force, log_to

WORKER = "node-3-4711"
TRACE = 'Traceback (most recent call last):\n  File "train.py", line 7\nValueError: no such fold\n'
TAKEN = events.TrialsTaken("airline", WORKER, (3, 4), 0.0042)
ENDED = events.TrialEnded("airline", 3, WORKER, "complete", 0.5)
FAILED = events.UnexpectedError("airline", WORKER, 18, TRACE)


def at_noon() -> float:
    return datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC).timestamp()


class TestText:
    def test_an_event_is_a_line_with_its_time_its_level_and_its_sentence(self) -> None:
        stream = io.StringIO()
        log = log_to(stream, form="text", clock=at_noon)
        log(TAKEN)  # happens all the time: left out
        log(ENDED)
        log(events.ChildDied(WORKER, "killed"))
        assert stream.getvalue() == (
            f"2026-11-23T12:00:00Z info    {events.sentence(ENDED)}\n"
            f"2026-11-23T12:00:00Z warning {WORKER}: its training process died: killed\n"
        )

    def test_a_traceback_stands_indented_below_its_line(self) -> None:
        stream = io.StringIO()
        log_to(stream, form="text", clock=at_noon)(FAILED)
        head, *below = stream.getvalue().splitlines()
        assert head == f"2026-11-23T12:00:00Z warning {events.sentence(FAILED)}"
        assert below == [f"    {line}" for line in TRACE.splitlines()]

    def test_only_an_event_begins_a_line_without_indent(self) -> None:
        stream = io.StringIO()
        forged = "gone\n2026-11-23T12:00:00Z info    node-3-4711: all is well"
        log_to(stream, form="text", clock=at_noon)(events.DatabaseWentAway(WORKER, forged))
        head, below = stream.getvalue().splitlines()
        assert head.endswith("the database is away: gone")
        assert below.startswith("    2026")


class TestJson:
    def test_an_event_is_one_object_with_what_all_have_and_its_own_fields(self) -> None:
        stream = io.StringIO()
        log_to(stream, form="json", least="debug", clock=at_noon)(TAKEN)
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line) == {
            "at": "2026-11-23T12:00:00.250000Z",
            "level": "debug",
            "event": "TrialsTaken",
            "message": events.sentence(TAKEN),
            "study": "airline",
            "worker": WORKER,
            "slots": [3, 4],
            "claim_s": 0.0042,
        }

    def test_the_time_is_iso_8601_in_utc(self) -> None:
        stream = io.StringIO()
        log_to(stream, form="json", least="debug", clock=at_noon)(TAKEN)
        told = datetime.fromisoformat(json.loads(stream.getvalue())["at"])
        assert told == datetime.fromtimestamp(at_noon(), UTC)

    def test_a_traceback_stays_within_its_line(self) -> None:
        stream = io.StringIO()
        log_to(stream, form="json", clock=at_noon)(FAILED)
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["trace"] == TRACE

    @pytest.mark.parametrize("score", [float("inf"), float("nan")])
    def test_a_score_that_json_cannot_hold_is_null(self, score: float) -> None:
        stream = io.StringIO()
        ended = events.TrialEnded("airline", 17, WORKER, "infeasible", score)
        log_to(stream, form="json", clock=at_noon)(ended)

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        assert json.loads(stream.getvalue(), parse_constant=refuse)["score"] is None

    def test_no_field_of_an_event_hides_what_all_events_have(self) -> None:
        kinds = events.Event.__subclasses__() + events.Warned.__subclasses__()
        names = {field.name for kind in kinds for field in fields(kind)}
        assert "study" in names
        assert not names & {"at", "level", "event", "message"}


def test_of_warnings_alone_the_rest_is_left_out() -> None:
    stream = io.StringIO()
    log = log_to(stream, form="json", least="warning")
    for event in (TAKEN, FAILED, events.StudyEnded("airline", "done", "")):
        log(event)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "UnexpectedError"
    ]


def test_a_line_is_there_as_soon_as_the_event_is_told() -> None:
    reading, writing = os.pipe()
    with open(reading) as reader, open(writing, "w") as stream:
        log_to(stream, form="json", least="debug")(TAKEN)
        os.set_blocking(reading, False)
        assert json.loads(reader.readline())["event"] == "TrialsTaken"


def test_a_log_that_nobody_reads_any_more_does_not_end_the_work() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    stream = os.fdopen(writing, "w")
    log = log_to(stream, form="text")
    for _ in range(1_000):  # more than any buffer holds
        log(FAILED)
    with pytest.raises(BrokenPipeError):  # the stream has refused all the time
        stream.close()


@pytest.fixture
def restless_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


class LetterByLetter(io.StringIO):
    def write(self, text: str, /) -> int:
        return sum(super(LetterByLetter, self).write(letter) for letter in text)


@pytest.mark.usefixtures("restless_threads")
def test_lines_of_several_threads_do_not_mix() -> None:
    stream = LetterByLetter()
    log = log_to(stream, form="json")

    def tell() -> None:
        for _ in range(50):
            log(FAILED)

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 200


class TestFormInForce:
    @pytest.mark.parametrize(("value", "form"), [("json", "json"), ("text", "text"), ("", "text")])
    def test_it_is_what_the_environment_names(
        self, monkeypatch: pytest.MonkeyPatch, value: str, form: str
    ) -> None:
        monkeypatch.setenv("HPO_LOG", value)
        assert form_in_force() == form

    def test_it_is_text_when_nothing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HPO_LOG", raising=False)
        assert form_in_force() == "text"

    def test_an_unknown_form_is_refused_with_the_known_ones(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HPO_LOG", "xml")
        with pytest.raises(UsageError) as refused:
            form_in_force()
        assert str(refused.value) == "HPO_LOG='xml' is no form of a log; choose text or json"
