"""How long a training step takes: hpo's native engine beside nn.LSTM with torch.optim.Adam.

`python benchmarks/engine.py --threads 1` prints a table; with `--json` one object instead. Both
engines do forward, backward and update on the same windows, in turn, and the fastest round counts;
torch runs with the fastest of its three implementations of Adam. With `--threads N` the native
engine trains N networks at once, each in a thread, and torch one network with N threads: all times
are then wall time per step and network. `--kernel avx2` measures the native engine as an older
processor has it; torch is held back by ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
MKL_ENABLE_INSTRUCTIONS=AVX2 in the environment.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import product
from typing import Any

import torch
from pace import gemm_gflops, ms_per_step
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from step_engines import (
    ADAMS,
    TakeSteps,
    by_plain_torch,
    by_trainer,
    find_native_trainer,
    hpo_torch,
    taken_at_once,
)
from step_work import Case, gflops
from telling import tell

from hpo.training.engine import engine_for, resolve_engine

CELLS = (2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
NARROWEST = 110  # columns of the table
NO_NATIVE = "the native engine is not built here: its columns are empty"
OF_NATIVE = ("native_ms", "ratio", "gflops", "share_of_gemm", "thread_scaling")
COLUMNS = {
    **{name: name for name in ("cells", "layers", "inputs", "steps", "batch")},
    "native": "native_ms",
    "torch": "torch_ms",
    "Adam": "torch_adam",
    "ratio": "ratio",
    "GFLOP/s": "gflops",
    "gemm": "share_of_gemm",
    "scaling": "thread_scaling",
    "auto": "auto_engine",
    "x": "auto_ratio",
}
Row = dict[str, Any]


def measure(
    case: Case, *, kernel: str, threads: int, least_s: float, rounds: int, gemm: float
) -> Row:
    """One row: what the case costs on each engine, and what follows from it."""
    native = find_native_trainer(kernel)
    chosen = engine_for(resolve_engine("auto", "cpu"), (case.cells,))
    by_native = chosen == "native" and native is not None
    with ExitStack() as stack:
        contestants: dict[str, TakeSteps] = {adam: by_plain_torch(case, adam) for adam in ADAMS}
        if native is not None:
            contestants["native"] = by_trainer(native, case)
            if threads > 1:
                at_once = stack.enter_context(taken_at_once(contestants["native"], threads))
                contestants["native_at_once"] = at_once
        if not by_native:
            contestants["hpo_torch"] = by_trainer(hpo_torch(), case)
        ms = ms_per_step(contestants, least_s=least_s, rounds=rounds)
    adam = min(ADAMS, key=lambda name: ms[name])
    row: Row = {**vars(case), "torch_ms": ms[adam], "torch_adam": adam}
    row |= _of_native(case, ms, ms[adam], threads, gemm) if native else dict.fromkeys(OF_NATIVE)
    auto_ms = row["native_ms"] if by_native else ms["hpo_torch"]
    engine = "native" if by_native else "torch"
    return row | {"auto_engine": engine, "auto_ms": auto_ms, "auto_ratio": ms[adam] / auto_ms}


def _of_native(
    case: Case, ms: dict[str, float], torch_ms: float, threads: int, gemm: float
) -> dict[str, float]:
    native_ms = ms["native_at_once"] / threads if threads > 1 else ms["native"]
    rate = gflops(case, native_ms)
    return {
        "native_ms": native_ms,
        "ratio": torch_ms / native_ms,
        "gflops": rate,
        "share_of_gemm": rate / (threads * gemm),
        "thread_scaling": ms["native"] / native_ms,
    }


def table(rows: Sequence[Row], gemm: float, threads: int) -> Table:
    """The rows as people read them."""
    shown = Table(
        title=f"ms per training step and network, {threads} at once",
        caption=f"one core multiplies matrices at {gemm:.0f} GFLOP/s; ratio: torch / native; "
        "gemm: share of that rate; x: torch / what engine=auto takes",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    for header in COLUMNS:
        shown.add_column(header, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*(_shown(row[key]) for key in COLUMNS.values()))
    return shown


def _shown(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def cases(options: argparse.Namespace) -> list[Case]:
    """The grid that is asked for: every list that is not given has a default."""
    full, quick = options.full, options.quick
    grid = product(
        options.layers or ([1, 2, 3] if full else [1] if quick else [1, 2]),
        options.inputs or ([1, 8] if full else [1]),
        options.steps or ([12, 48, 168] if full else [48]),
        options.batch or ([32, 128] if full else [32]),
        options.cells or ([2, 8] if quick else CELLS),
    )
    return [
        Case(cells=cells, layers=layers, inputs=inputs, steps=steps, batch=batch)
        for layers, inputs, steps, batch, cells in grid
    ]


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options; lists are separated by commas."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two sizes, short runs: a trial run")
    parser.add_argument("--full", action="store_true", help="all sizes: 360 rows")
    for name in ("cells", "layers", "inputs", "steps", "batch"):
        parser.add_argument(f"--{name}", type=_numbers, default=[], metavar="N,N,...")
    parser.add_argument("--kernel", default="", help="of the native engine; empty: the fastest")
    parser.add_argument("--threads", type=int, default=1, help="networks trained at once")
    parser.add_argument("--rounds", type=int, default=0, help="0: 7, and 2 with --quick")
    return parser.parse_args(words)


def _numbers(word: str) -> list[int]:
    numbers = [int(part) for part in word.split(",")]
    if min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{word}: every number must be at least 1")
    return numbers


def main() -> int:
    """Measure what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    aside = Console(stderr=True)
    if find_native_trainer(options.kernel) is None:
        aside.print(NO_NATIVE)
    torch.set_num_threads(options.threads)
    gemm = gemm_gflops()
    least_s, rounds = (0.01, 2) if options.quick else (0.05, 7)
    rows = [
        measure(
            case,
            kernel=options.kernel,
            threads=options.threads,
            least_s=least_s,
            rounds=options.rounds or rounds,
            gemm=gemm,
        )
        for case in track(cases(options), console=aside, transient=True, disable=options.json)
    ]
    tell(
        {"rows": rows, "gemm_gflops": gemm, "threads": options.threads},
        lambda: table(rows, gemm, options.threads),
        as_json=options.json,
        narrowest=NARROWEST,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
