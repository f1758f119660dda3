"""How many trials a worker should run at once: the time of a study against what its search finds.

`python benchmarks/trials_at_once.py` runs studies by one worker, one after another, with 1, 2, 4
and 8 trials in a batch and several seeds; with `--json` one object instead of a table. A larger
batch keeps all threads busy, but its later suggestions know fewer results. `score` is the
answer's, of networks from fresh seeds; lower is better.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from study_runs import answer_of
from telling import tell

from hpo.data.question import ask
from hpo.service import batch

ROOT = Path(__file__).resolve().parents[1]
AT_ONCE = (1, 2, 4, 8)
STUDIES = ("airline", "gdp", "sunspots")
QUICK = {"budget.trials": 2, "training.max_steps": 20, "validation.folds": 2, "validation.seeds": 2}
Row = dict[str, Any]


def run_study(name: str, at_once: int, seed: int, options: argparse.Namespace) -> Row:
    """Run one study in this process, with a database of its own."""
    overrides: dict[str, Any] = {"search.sampler": "tpe", "search.seed": seed}
    overrides |= QUICK if options.quick else {}
    question = ask(str(ROOT / "studies" / f"{name}.toml"), overrides)
    batch.NATIVE_TRIALS_AT_ONCE = at_once
    answer = answer_of(question, threads=options.threads)
    return {
        "study": name,
        "at_once": at_once,
        "seed": seed,
        "wall_s": answer.wall_s,
        "networks": answer.networks,
        "score": answer.score,
    }


def table(rows: Sequence[Row], options: argparse.Namespace) -> Table:
    """Means over the seeds, and how far the mean score's standard error reaches."""
    shown = Table(
        title=f"one worker of {options.threads} threads; means of {options.seeds} seeds",
        box=SIMPLE_HEAD,
    )
    for header in ("study", "trials at once", "seconds", "networks/min", "score", "+-"):
        shown.add_column(header, justify="left" if header == "study" else "right")
    for name in options.studies:
        for at_once in AT_ONCE:
            found = [r for r in rows if (r["study"], r["at_once"]) == (name, at_once)]
            wall_s = float(np.mean([r["wall_s"] for r in found]))
            networks = float(np.mean([r["networks"] for r in found]))
            scores = np.array([r["score"] for r in found])
            error = scores.std(ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else np.nan
            shown.add_row(
                name,
                str(at_once),
                f"{wall_s:.1f}",
                f"{60 * networks / wall_s:.0f}",
                f"{scores.mean():.4f}",
                f"{error:.4f}",
            )
    return shown


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="*", default=STUDIES, help="names of studies/*.toml")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="airline alone, two tiny trials")
    parser.add_argument("--seeds", type=int, default=5, help="how often each study runs")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    if options.quick:
        options.studies, options.seeds = ("airline",), 1
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    runs = [
        (name, at_once, seed)
        for seed in range(options.seeds)
        for name in options.studies
        for at_once in AT_ONCE
    ]
    aside = Console(stderr=True)
    watched = track(runs, console=aside, transient=True, disable=options.json)
    rows = [run_study(name, at_once, seed, options) for name, at_once, seed in watched]
    tell(
        {"rows": rows, "threads": options.threads},
        lambda: table(rows, options),
        as_json=options.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
