"""One network that could be trained: its size and how it is trained."""

from pydantic import Field

from hpo.spec.study import Part
from hpo.spec.words import size_in_words


class Candidate(Part):
    """`cells` per layer, first layer first; `lookback` in steps."""

    cells: tuple[int, ...] = Field(min_length=1)
    learning_rate: float
    weight_decay: float = 0.0
    dropout: float = 0.0
    lookback: int

    @property
    def layers(self) -> int:
        return len(self.cells)

    def size(self) -> str:
        """The size in words.

        >>> Candidate(cells=(3,), learning_rate=0.01, lookback=12).size()
        '1 layer of 3 cells'
        >>> Candidate(cells=(8, 4), learning_rate=0.01, lookback=12).size()
        '2 layers of 8 and 4 cells'
        """
        return size_in_words(self.cells)
