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


class TargetReached(Part):
    """The smallest network of the study whose score is at most the `target`; null where none is.

    `fresh_seeds`: whether its score is of seeds that the search had not seen.
    """

    target: float
    cells: tuple[int, ...] | None = None
    score: float | None = None
    layers: int | None = None
    fresh_seeds: bool = False


class GapMeasured(Part):
    """Validation error over training error of one network: the ratio, its 95 % lower limit.

    `expected`: what a linear network of as many weights would show; null where they are too many.
    """

    ratio: float
    low: float
    expected: float | None = None


class AlphaPhase(Part):
    """One phase of the search: the alpha in force, what it bounds, the best network inside.

    `bound` is the most cells of all layers together (rule formula) or the most weights (freedom,
    strict). `reason`: why alpha was moved or kept after the phase.
    """

    alpha: float
    bound: int
    cells: tuple[int, ...]
    score: float
    gap: GapMeasured | None = None
    reason: str


class LadderLook(Part):
    """A step of the ladder: a larger network beside the one it would replace.

    `gain`: how much lower its score is, in pairs, and `se` its standard error, on the metric's
    scale; both null where one of the two could not be trained or was pruned.
    """

    over: tuple[int, ...]
    cells: tuple[int, ...]
    learning_rate: float
    gain: float | None = None
    se: float | None = None
    pays: bool


class Answer(Part):
    """What the study found; values that are not known (yet) are null.

    `trial` is the number of the recommended one. `cells` are per layer; `cells_tied` counts the
    cells of all layers together, from the smallest to the largest network that is as good. `score`
    is the mean of `metric` over the folds' origins from fresh seeds, lower is better; `score_se`
    its standard error. `score_corrected` and `best_benchmark_corrected` are what the choice among
    all trials, and among the benchmarks, is expected to score on other origins (see
    `sizing.selection`). A difference to another finalist of `detectable_difference`, on the
    metric's scale, is seen in 80 % of such races.

    `test_score` is that of the seeds' mean forecast from every origin of the test span, a mean
    of `validation.seeds` refits, and `test_se` its standard error over blocks of origins.
    `effective_parameters`: how many of the `weights` the data determine, the median of the refits;
    null for more than 2,000 weights. `importance`: of learning rate, cells and layers, together 1;
    null for fewer than 10 complete trials. `alpha_path`: the phases of the search, the last with
    the `alpha` in force; `gap`: of the recommended network; `ladder`: its steps, in their order.
    """

    study: str
    state: State
    task: dict[str, Any]
    trial: int | None = None
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
    alpha_path: tuple[AlphaPhase, ...] = ()
    gap: GapMeasured | None = None
    ladder: tuple[LadderLook, ...] = ()
    effective_parameters: float | None = None
    metric: str
    score: float | None = None
    score_se: float | None = None
    score_corrected: float | None = None
    detectable_difference: float | None = None
    test_score: float | None = None
    test_se: float | None = None
    test_origins: int | None = None
    benchmarks: dict[str, float] = Field(default_factory=dict)
    benchmarks_test: dict[str, float] = Field(default_factory=dict)
    best_benchmark: str | None = None
    best_benchmark_corrected: float | None = None
    lstm_justified: bool | None = None
    target_score: TargetReached | None = None
    importance: dict[str, float] | None = None
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
