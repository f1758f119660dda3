"""One network that could be trained: its size and how it is trained."""

from pydantic import Field

from hpo.spec.study import Part


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
