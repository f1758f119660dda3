"""Which engine trains which network: decided once per study, carried out by every worker."""

from typing import Literal

from hpo.training.device import describe_device, resolve_device, use_threads
from hpo.training.trainer import Shape, Trainer

NATIVE_UP_TO_CELLS = 96  # in the widest layer; chosen by benchmarks/engine.py
ACCELERATORS = ("cuda", "mps")

Engine = Literal["native", "torch"]


def resolve_engine(asked: str, device_asked: str) -> str:
    """The policy that a study keeps: `native`, `torch`, or `native-to-96` where it is left open.

    `native-to-96`: networks whose widest layer has at most 96 cells are trained natively on the
    processor, wider ones by torch. Accelerators are torch's alone.

    >>> resolve_engine("auto", "auto"), resolve_engine("auto", "cuda")
    ('native-to-96', 'torch')
    """
    if asked != "auto":
        return asked
    return "torch" if device_asked in ACCELERATORS else f"native-to-{NATIVE_UP_TO_CELLS}"


def engine_for(policy: str, cells: tuple[int, ...]) -> Engine:
    """What is to train a network of so many cells per layer under a study's policy.

    The number of cells is read from the policy: a study keeps its own when the default changes.

    >>> engine_for("native-to-96", (8, 96)), engine_for("native-to-96", (8, 97))
    ('native', 'torch')
    """
    if not wants_native(policy):
        return "torch"
    _, _, most = policy.partition("-to-")
    return "torch" if most and max(cells) > int(most) else "native"


def wants_native(policy: str) -> bool:
    """Whether some networks of a study under this policy are to be trained natively."""
    return policy.startswith("native")


def native_is_available() -> bool:
    """Whether this installation has the native engine."""
    from hpo.training.native_trainer import is_available

    return is_available()


class Engines:
    """The trainers of one worker under a study's policy, each made when it is first needed.

    Without the native engine torch trains in its place on the processor. torch is imported, and
    a device looked for, only where a network needs it.
    """

    def __init__(self, policy: str, device_asked: str) -> None:
        self._policy, self._device_asked = policy, device_asked
        self._has_native = wants_native(policy) and native_is_available()
        self._made: dict[tuple[Engine, str], Trainer] = {}

    def trainer_for(self, shape: Shape) -> Trainer:
        """What trains a network of this shape here. Raises UsageError as `resolve_device` does."""
        return self._trainer(engine_for(self._policy, shape.cells))

    def _trainer(self, wanted: Engine) -> Trainer:
        engine: Engine = "native" if wanted == "native" and self._has_native else "torch"
        device = "cpu" if wanted == "native" else resolve_device(self._device_asked)
        if (engine, device) not in self._made:
            self._made[engine, device] = _make(engine, device)
        return self._made[engine, device]

    def device(self, widest: int) -> str:
        """The device, with its make, of this study's widest networks, whose trainer is made.

        Raises UsageError when the device asked for is not there.
        """
        wanted = engine_for(self._policy, (widest,))
        self._trainer(wanted)
        if wanted == "native":
            return "cpu"
        return describe_device(resolve_device(self._device_asked))

    def threads(self, asked: int) -> int:
        """How many networks train at once: as asked; one where an accelerator trains them all."""
        if wants_native(self._policy):
            return asked
        return 1 if resolve_device(self._device_asked) in ACCELERATORS else asked


def _make(engine: Engine, device: str) -> Trainer:
    if engine == "native":
        from hpo.training.native_trainer import NativeTrainer

        return NativeTrainer()
    from hpo.training.torch_trainer import TorchTrainer

    use_threads(1)  # many networks train at once, each on one thread
    return TorchTrainer(device)
