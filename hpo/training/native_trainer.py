"""The native engine: trains one small network in one call of compiled code, without the GIL.

Shapes: B windows in a batch, T steps, F features, K outputs, N windows, P weights.
"""

import numpy as np
from numpy.typing import NDArray

from hpo.training.trainer import (
    EXPLODED,
    QUIET_S,
    Check,
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
    check_fit,
    check_windows,
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
    """

    name = "native"
    device = "cpu"

    def __init__(self, kernel: str = "") -> None:
        if not HAS_MODULE:
            raise ImportError("hpo was installed without its native engine")
        self.kernel = kernel or _native.kernels()[0]

    def train(
        self,
        shape: Shape,
        weights: Weights,
        samples: Examples,
        plan: Plan,
        watch: Examples | None,
        on_check: OnCheck,
    ) -> Trained:
        """See `trainer.Trainer.train`."""
        check_fit(shape, samples, plan)
        if watch is not None:
            check_fit(shape, watch, plan.loss)
        flat_P = join(shape, weights)
        checks = np.empty((len(plan.rates_S) // plan.check_every + 1, 3))
        try:
            status, count, best_step, first_loss = _native.train(
                self._network(shape, flat_P),
                _windows(samples),
                _windows(watch) if watch is not None else None,
                *_as_arguments(plan),
                QUIET_S,
                checks,
                on_check,
            )
        except MemoryError as error:
            raise _out_of_memory(shape) from error
        if status == STOPPED:
            raise Stopped
        course = tuple(
            Check(step=int(step), train_loss=train_loss, watch_loss=watch_loss)
            for step, train_loss, watch_loss in checks[:count].tolist()
        )
        if status == DIVERGED:
            refuse_divergence(course[-1], first_loss, plan.loss)
            raise AssertionError("the kernel calls diverged what refuse_divergence does not")
        return Trained(weights=split(shape, flat_P), steps=best_step, checks=course)

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
