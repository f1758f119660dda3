"""Waiting for a fact."""

import pytest

from tests.waiting import eventually


def test_a_fact_that_comes_true_is_returned() -> None:
    found = iter([None, "", "here"])
    assert eventually(lambda: next(found), within_s=5.0) == "here"


def test_a_fact_that_stays_false_fails_at_the_deadline() -> None:
    with pytest.raises(AssertionError, match=r"still \[\] after 0\.05 s"):
        eventually(list, within_s=0.05)
