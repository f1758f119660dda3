"""Clocks that are fair on a machine with other work: contestants take turns, the fastest counts."""

from collections.abc import Callable, Mapping
from time import perf_counter

import torch

TakeSteps = Callable[[int], None]
GEMM_SIZES = (96, 128, 192, 256)  # three float32 matrices of 256 x 256 are 768 KB: they fit L2


def ms_per_step(
    contestants: Mapping[str, TakeSteps], *, least_s: float, rounds: int
) -> dict[str, float]:
    """Milliseconds per step: the fastest of `rounds`, in each of which every contestant runs once.

    A run lasts about `least_s` or longer; what a training costs beside its steps is in it.
    """
    steps = {name: _enough_steps(take, least_s) for name, take in contestants.items()}
    best_s = dict.fromkeys(contestants, float("inf"))
    for _ in range(rounds):
        for name, take in contestants.items():
            best_s[name] = min(best_s[name], _time(take, steps[name]) / steps[name])
    return {name: 1e3 * seconds for name, seconds in best_s.items()}


def gemm_gflops(*, reps: int = 8, least_s: float = 0.01) -> float:
    """The best rate of torch.mm in float32 on one thread, in GFLOP/s: 2 n^3 for n x n matrices.

    That is what this core gives to a library that does nothing but multiply and add.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return max(_square_gflops(size, reps, least_s) for size in GEMM_SIZES)
    finally:
        torch.set_num_threads(threads)


def _square_gflops(size: int, reps: int, least_s: float) -> float:
    a, b, out = (torch.rand(size, size) for _ in range(3))

    def multiply(times: int) -> None:
        for _ in range(times):
            torch.mm(a, b, out=out)

    times = _enough_steps(multiply, least_s)
    fastest_s = min(_time(multiply, times) for _ in range(reps)) / times
    return float(2 * size**3 / fastest_s / 1e9)


def _enough_steps(take: TakeSteps, least_s: float) -> int:
    """So many that a run lasts about `least_s`; found on the way, the contestant warms up."""
    steps = 2
    take(steps)
    while (spent_s := _time(take, steps)) < least_s / 4:
        steps *= 2
    return max(steps, round(1.1 * steps * least_s / spent_s))


def _time(take: TakeSteps, steps: int) -> float:
    started = perf_counter()
    take(steps)
    return perf_counter() - started
