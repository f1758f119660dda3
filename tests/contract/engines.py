"""Every engine by its name: torch, and the native one with each of its kernels for training."""

import importlib
import os

import pytest

from hpo.training.native_trainer import NativeTrainer, is_available
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import QUIET_S, Trainer

NATIVE = ("native-avx512", "native-avx2", "native-baseline")
ENGINES = ("torch", *NATIVE)


def engine(name: str, *, quiet_s: float = QUIET_S) -> Trainer:
    """The engine of this name, which goes on for `quiet_s` without asking on_check.

    The test is skipped where the processor does not run the kernel, and where the native engine is
    not built; in CI it must be built.
    """
    if name == "torch":
        return TorchTrainer("cpu", quiet_s=quiet_s)
    if not is_available():
        give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        give_up("the native engine is not built here")
    kernel = name.removeprefix("native-")
    if kernel not in importlib.import_module("hpo.training._native").kernels():
        pytest.skip(f"this processor does not run the {kernel} kernel")
    return NativeTrainer(kernel, quiet_s=quiet_s)
