"""What one training step of a stack of equal LSTM layers with a linear head has to compute."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table: `layers` of `cells`, `batch` windows of `steps` x `inputs` numbers."""

    cells: int
    layers: int
    inputs: int
    steps: int
    batch: int


def step_flops(case: Case, *, outputs: int = 1) -> int:
    """Multiplies and adds of forward and backward, each of them counted as one.

    A layer of C cells on n inputs has 4C(n + C) weights beside its biases. For every window and
    time step a weight costs a multiply and an add in each of three products: forward, the gradient
    of the weight, the gradient of what it multiplied. Left out, because no engine needs them:
    recurrent products at the first time step (its state is 0) and the gradient of the data. The
    head (C K weights) works once a window. Not counted: biases, gates, loss, update; so a rate made
    of this number is below what the processor really does.
    Products of back-propagation through time: Graves and Schmidhuber 2005, Appendix A.

    Two cells, one input, two time steps, one window: inputs 2 products of 2 * 8 in 2 time steps are
    64, recurrent 3 of 2 * 16 in one time step are 96, the head 3 of 2 * 2 is 12.

    >>> step_flops(Case(cells=2, layers=1, inputs=1, steps=2, batch=1))
    172
    """
    cells, steps = case.cells, case.steps
    recurrent = 3 * 2 * (4 * cells * cells) * (steps - 1)
    from_data = 2 * 2 * (4 * cells * case.inputs) * steps
    from_below = 3 * 2 * (4 * cells * cells) * steps
    head = 3 * 2 * cells * outputs
    stack = case.layers * recurrent + from_data + (case.layers - 1) * from_below
    return case.batch * (stack + head)


def gflops(case: Case, ms: float) -> float:
    """Billions of multiplies and adds a second of a training step that takes `ms`.

    >>> gflops(Case(cells=2, layers=1, inputs=1, steps=2, batch=1_000_000), ms=172.0)
    1.0
    """
    return step_flops(case) / ms / 1e6
