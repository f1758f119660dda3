"""Which device trains: the one asked for, or the best one that is there; torch knows."""

import os

from hpo.errors import UsageError

DEVICES = ("cuda", "mps", "cpu")


def resolve_device(asked: str) -> str:
    """`cuda`, `mps` or `cpu` for `auto` (the first that is there) or for a name that is there.

    Raises UsageError when the device asked for is not there.
    """
    if asked == "cpu":
        return asked
    there = [d for d in DEVICES if _is_there(d)]
    if asked == "auto":
        return there[0]
    if asked not in there:
        raise UsageError(
            f"device={asked!r} is not on this machine",
            remedy=f"choose {' or '.join(['auto', *there])}",
        )
    return asked


def describe_device(device: str) -> str:
    """The device with its make, as shown to people: `cuda (NVIDIA H200)`, `cpu`."""
    if device != "cuda":
        return device
    import torch

    return f"cuda ({torch.cuda.get_device_name()})"


def use_threads(threads: int) -> None:
    """Let torch use `threads` processor threads, and repeat results exactly on CUDA."""
    import torch

    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)


def _is_there(device: str) -> bool:
    if device == "cpu":
        return True
    import torch

    return torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
