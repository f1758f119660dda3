"""A candidate's size in words."""

import pytest
from pydantic import ValidationError

from hpo.spec.candidate import Candidate
from hpo.spec.words import size_in_words


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ((1,), "1 layer of 1 cell"),
        ((3,), "1 layer of 3 cells"),
        ((4, 4), "2 layers of 4 cells each"),
        ((8, 4), "2 layers of 8 and 4 cells"),
        ((8, 4, 2), "3 layers of 8, 4 and 2 cells"),
        ((1, 1, 1), "3 layers of 1 cell each"),
    ],
)
def test_a_size_is_told_as_a_person_would(cells: tuple[int, ...], said: str) -> None:
    assert size_in_words(cells) == said


def test_a_network_has_at_least_one_layer() -> None:
    with pytest.raises(ValidationError, match="at least 1"):
        Candidate(cells=(), learning_rate=0.1, lookback=3)
