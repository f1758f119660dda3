"""The answer: layers, cells and the evidence, as a frozen value with a JSON face."""

from typing import Any, Literal

from pydantic import Field

from hpo.spec.study import Part

State = Literal["queued", "running", "paused", "stopping", "done", "cancelled", "failed"]


class BoundInForce(Part):
    """The alpha rule as it applied: `max_cells` is the most cells one layer may have."""

    rule: str
    samples: int
    inputs: int
    outputs: int
    alpha: float
    max_cells: int | None
    hit: bool


class TrialCounts(Part):
    """How the study's trials ended."""

    complete: int = 0
    pruned: int = 0
    infeasible: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        return self.complete + self.pruned + self.infeasible + self.failed


class Answer(Part):
    """What the study found; values that are not known (yet) are null.

    `cells` are per layer; `cells_tied` counts the cells of all layers together, from the smallest
    to the largest network that is as good. `score` is the mean of `metric` over the folds'
    origins from fresh seeds, lower is better; `score_se` its standard error.
    """

    study: str
    state: State
    task: dict[str, Any]
    layers: int | None = None
    cells: tuple[int, ...] | None = None
    cells_tied: tuple[int, int] | None = None
    layers_probability: dict[str, float] | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    dropout: float | None = None
    lookback: int | None = None
    horizon: int
    strategy: str | None = None
    steps: int | None = None
    transform: str | None = None
    alpha: float
    bound: BoundInForce | None = None
    weights: int | None = None
    degrees_of_freedom: int | None = None
    metric: str
    score: float | None = None
    score_se: float | None = None
    test_score: float | None = None
    test_se: float | None = None
    test_origins: int | None = None
    benchmarks: dict[str, float] = Field(default_factory=dict)
    benchmarks_test: dict[str, float] = Field(default_factory=dict)
    best_benchmark: str | None = None
    lstm_justified: bool | None = None
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    trials: TrialCounts = TrialCounts()
    networks: int = 0
    wall_s: float | None = None
    device: str | None = None
    engine: str | None = None
    seed: int
    fingerprint: str
    versions: dict[str, str] = Field(default_factory=dict)
    model: str | None = None
    report: str | None = None
    storage: str | None = None
