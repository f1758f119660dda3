"""Every event has a sentence that holds its fields."""

from dataclasses import fields
from typing import get_args

import pytest

from hpo import events

VALUES = {
    "study": "airline",
    "storage": "sqlite:///hpo.db",
    "ended": 17,
    "budget": 60,
    "after_s": 90.5,
    "networks": 204,
}


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_a_sentence_tells_every_field_of_its_event(kind: type[events.Event]) -> None:
    given = {field.name: VALUES[field.name] for field in fields(kind)}
    said = events.sentence(kind(**given))  # type: ignore[arg-type]
    assert said.startswith("airline: ")
    assert "\n" not in said
    for value in given.values():
        assert str(value) in said


def test_a_thing_that_is_no_event_has_no_sentence() -> None:
    with pytest.raises(AssertionError):
        events.sentence("airline")  # type: ignore[arg-type]
