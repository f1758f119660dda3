"""The native engine: trains one small network in one call of compiled code, without the GIL.

Shapes: B windows in a batch, T steps, F features, K outputs, N windows, P weights.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hpo.training.state import TrainingState
from hpo.training.trainer import (
    EXPLODED,
    QUIET_S,
    Examples,
    Loss,
    OnCheck,
    OutOfMemory,
    Plan,
    Predictor,
    Samples,
    Sequences,
    Shape,
    Stopped,
    Trained,
    Weights,
    begin,
    check_fit,
    check_windows,
    checks_of,
    refuse_divergence,
)
from hpo.training.weights import join, split

try:
    from hpo.training import _native
except ImportError:  # not built when hpo was installed, or it does not load here
    HAS_MODULE = False
else:
    HAS_MODULE = True

LOSSES: tuple[Loss, ...] = ("absolute", "squared", "cross_entropy")  # by their number in kernel.h
DIVERGED, STOPPED = 1, 2
NO_LOSS = -1


def is_available() -> bool:
    """Whether the compiled module was built when hpo was installed, and loads here."""
    return HAS_MODULE


class NativeTrainer:
    """Fulfils `trainer.Trainer` on the processor. Raises ImportError where it is not built.

    `kernel`: the code to use, of `_native.kernels()`; by default the fastest of this processor.
    `quiet_s`: how long a training goes on without asking on_check; with 0 it asks at every step.
    """

    name = "native"
    device = "cpu"

    def __init__(self, kernel: str = "", *, quiet_s: float = QUIET_S) -> None:
        if not HAS_MODULE:
            raise ImportError("hpo was installed without its native engine")
        self.kernel = kernel or _native.kernels()[0]
        self.quiet_s = quiet_s

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
        *,
        state: TrainingState | None = None,
    ) -> Trained:
        """See `trainer.Trainer.train`."""
        check_fit(shape, samples, plan)
        if watch is not None:
            check_fit(shape, watch, plan.loss)
        begun = begin(self.name, shape, plan, join(shape, weights), state)
        try:
            return self._train(shape, samples, plan, watch, on_check, begun)
        except MemoryError as error:
            raise _out_of_memory(shape) from error

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """See `trainer.Trainer.predictor`."""
        network = self._network(shape, join(shape, weights))

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            check_windows(shape, x_BTF)
            count, lookback, _ = x_BTF.shape
            y_BK = np.empty((count, shape.outputs), dtype=np.float32)
            if count:
                starts_B = np.arange(count, dtype=np.int64) * lookback
                values = np.ascontiguousarray(x_BTF)
                windows = (values, starts_B, None, None, lookback, False)
                self._run(shape, network, windows, NO_LOSS, y_BK)
            return y_BK

        return predict

    def loss(self, shape: Shape, weights: Weights, samples: Examples, loss: Loss) -> float:
        """See `trainer.Trainer.loss`."""
        check_fit(shape, samples, loss)
        network = self._network(shape, join(shape, weights))
        return self._run(shape, network, _windows(samples), LOSSES.index(loss), None)

    def _train(
        self,
        shape: Shape,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
        begun: TrainingState,
    ) -> Trained:
        arrays = (begun.weights_P, begun.mean_P, begun.square_P, begun.best_P)
        weights_P, mean_P, square_P, best_P = (array_P.copy() for array_P in arrays)
        checks_C3 = np.empty((begun.plan_steps // begun.check_every + 1, 3))
        checks_C3[: len(begun.checks_C3)] = begun.checks_C3
        best_check = begun.best_check(watched=watch is not None)
        so_far = (begun.step, best_check, begun.first_loss, begun.summed_loss)
        status, step, count, best_check, first_loss, summed_loss = _native.train(
            self._network(shape, weights_P),
            _windows(samples),
            _windows(watch) if watch is not None else None,
            *_as_arguments(plan),
            self.quiet_s,
            (checks_C3, mean_P, square_P, best_P, *so_far),
            on_check,
        )
        if status == STOPPED:
            stopped = replace(
                begun,
                step=step,
                weights_P=weights_P,
                mean_P=mean_P,
                square_P=square_P,
                best_P=best_P,
                checks_C3=checks_C3[:count],
                first_loss=first_loss,
                summed_loss=summed_loss,
            )
            raise Stopped(stopped)
        checks = checks_of(checks_C3[:count])
        if status == DIVERGED:
            refuse_divergence(checks[-1], first_loss, plan.loss)
            raise AssertionError("the kernel calls diverged what refuse_divergence does not")
        return Trained(weights=split(shape, best_P), steps=checks[best_check].step, checks=checks)

    def _network(self, shape: Shape, flat_P: NDArray[np.float32]) -> "_native.Network":
        cells = np.array(shape.cells, dtype=np.int64)
        return (self.kernel, cells, shape.inputs, shape.outputs, shape.dropout, flat_P)

    def _run(
        self,
        shape: Shape,
        network: "_native.Network",
        windows: "_native.Samples",
        loss: int,
        outputs_BK: NDArray[np.float32] | None,
    ) -> float:
        try:
            return float(_native.run(network, windows, loss, outputs_BK))
        except MemoryError as error:
            raise _out_of_memory(shape) from error


def _as_arguments(
    plan: Plan,
) -> tuple["_native.Ints", NDArray[np.float32], int, int, float, float, int, int, float, int]:
    return (
        np.ascontiguousarray(plan.order_SB),
        np.ascontiguousarray(plan.rates_S),
        plan.order_SB.shape[1],
        LOSSES.index(plan.loss),
        plan.clip_norm,
        plan.weight_decay,
        plan.check_every,
        plan.patience,
        EXPLODED[plan.loss],
        plan.dropout_seed & 0xFFFFFFFF,
    )


def _windows(samples: Examples) -> "_native.Samples":
    values_RF = np.ascontiguousarray(samples.values_RF)
    starts_N = np.ascontiguousarray(samples.starts_N)
    match samples:
        case Samples():
            return (values_RF, starts_N, None, None, samples.lookback, samples.anchored)
        case Sequences():
            lengths_N = np.ascontiguousarray(samples.lengths_N)
            labels_N = np.ascontiguousarray(samples.labels_N)
            return (values_RF, starts_N, lengths_N, labels_N, 1, False)


def _out_of_memory(shape: Shape) -> OutOfMemory:
    return OutOfMemory(f"cpu is out of memory at {shape.cells} cells")
