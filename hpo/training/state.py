"""How far a training is, as a value that any process can go on from: to bytes and back.

Shapes: P weights, C checks made so far.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

KINDS: dict[str, tuple[type[np.generic], int]] = {  # of the arrays in bytes, with their dimensions
    "engine": (np.uint8, 1),
    "widths": (np.int64, 1),
    "steps": (np.int64, 1),
    "losses": (np.float64, 1),
    "weights_P": (np.float32, 1),
    "mean_P": (np.float32, 1),
    "square_P": (np.float32, 1),
    "best_P": (np.float32, 1),
    "checks_C3": (np.float64, 2),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """All that a training needs to go on after a step as if it had not been stopped.

    `engine`, `widths` (inputs, the cells of every layer, outputs), `plan_steps` and `check_every`
    tell which training it belongs to; `step` is the last one taken. mean_P and square_P are AdamW's
    moments, best_P the weights of the best check. checks_C3 holds a row a check: its step, training
    and watched loss. `first_loss` is that of the first batch (NaN before it), `summed_loss` that of
    all batches since the last check. Raises ValueError where these contradict each other.
    """

    engine: str
    widths: tuple[int, ...]
    plan_steps: int
    check_every: int
    step: int
    weights_P: NDArray[np.float32] = field(repr=False)
    mean_P: NDArray[np.float32] = field(repr=False)
    square_P: NDArray[np.float32] = field(repr=False)
    best_P: NDArray[np.float32] = field(repr=False)
    checks_C3: NDArray[np.float64] = field(repr=False)
    first_loss: float
    summed_loss: float

    def __post_init__(self) -> None:
        if not 0 <= self.step < self.plan_steps or self.check_every < 1:
            found = f"step={self.step}, check_every={self.check_every}"
            raise ValueError(f"{found} must be below {self.plan_steps} steps and at least 1")
        for name in ("weights_P", "mean_P", "square_P", "best_P"):
            array_P = getattr(self, name)
            if array_P.shape != (len(self.weights_P),) or array_P.dtype != np.float32:
                found = f"{array_P.dtype} of shape {array_P.shape}"
                raise ValueError(f"{name} must be float32, one for each weight, not {found}")
        self._refuse_other_checks()

    def _refuse_other_checks(self) -> None:
        count = self.step // self.check_every
        if self.checks_C3.shape != (count, 3) or self.checks_C3.dtype != np.float64:
            found = f"{self.checks_C3.dtype} of shape {self.checks_C3.shape}"
            raise ValueError(f"checks_C3 must be float64 of shape ({count}, 3), not {found}")
        steps_C = self.check_every * np.arange(1, count + 1)
        if (self.checks_C3[:, 0] != steps_C).any() or not np.isfinite(self.checks_C3).all():
            raise ValueError(f"checks_C3 must be finite losses, every {self.check_every} steps")

    def best_check(self, *, watched: bool) -> int:
        """The row of the first check with the lowest watched loss, else of the last; 0 if none."""
        if not len(self.checks_C3):
            return 0
        return int(self.checks_C3[:, 2].argmin()) if watched else len(self.checks_C3) - 1

    def to_bytes(self) -> bytes:
        """In the safetensors format."""
        arrays: dict[str, NDArray[Any]] = {
            "engine": np.frombuffer(self.engine.encode(), dtype=np.uint8),
            "widths": np.array(self.widths, dtype=np.int64),
            "steps": np.array([self.plan_steps, self.check_every, self.step], dtype=np.int64),
            "losses": np.array([self.first_loss, self.summed_loss]),
        }
        arrays |= {name: getattr(self, name) for name in KINDS if name not in arrays}
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrainingState":
        """`to_bytes` undone. Raises ValueError for anything else."""
        arrays = _read(data)
        given = {name: arrays.pop(name) for name in ("engine", "widths", "steps", "losses")}
        if given["steps"].shape != (3,) or given["losses"].shape != (2,):
            raise ValueError("these bytes are no training state: its steps or losses are not all")
        plan_steps, check_every, step = given["steps"].tolist()
        first_loss, summed_loss = given["losses"].tolist()
        return cls(
            engine=given["engine"].tobytes().decode(),  # what is no UTF-8 is a ValueError
            widths=tuple(given["widths"].tolist()),
            plan_steps=plan_steps,
            check_every=check_every,
            step=step,
            first_loss=first_loss,
            summed_loss=summed_loss,
            **arrays,
        )


def _read(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays of `KINDS` in these bytes."""
    try:
        arrays = load(data)
    except (SafetensorError, KeyError) as error:  # a KeyError: of a kind that numpy has not
        raise ValueError(f"these bytes are no training state: {error}") from error
    found = {name: (array.dtype.type, array.ndim) for name, array in arrays.items()}
    if found != KINDS:
        raise ValueError(f"these bytes are no training state: they hold {', '.join(found)}")
    return arrays
