"""Does oil need more cells than GDP for the same accuracy? What each size reaches on each.

`python benchmarks/oil_and_gdp.py` asks the landscapes of studies/oil.toml and studies/gdp.toml (it
trains what lacks): the error of every size at its best rate, as a share of the naive forecast's on
the same origins of the folds, with the standard error of that share's difference to the best size,
and the fewest cells that reach a share.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from landscape import Floats, Landscape
from landscapes import QUICK_STEPS, ROOT, VALUES, landscape_of
from policies import GRID, RATES, WIDTHS
from rich.console import Group
from telling import table_of, tell

from hpo.data.benchmarks import naive
from hpo.data.metrics import losses
from hpo.data.prepare import truth
from hpo.sizing.resampling import paired_difference

Row = dict[str, Any]
SERIES = ("gdp", "oil")
SHARES = (1.0, 0.99, 0.98, 0.95, 0.9, 0.85, 0.8, 0.75)


def size_rows(name: str, landscape: Landscape, sizes: Sequence[tuple[int, ...]]) -> list[Row]:
    """One row for each size, at the best of its rates."""
    naive_O = _naive_losses(landscape)
    best_O = {}
    for cells in sizes:
        at_rates = [landscape.losses((cells, rate)).mean(axis=0) for rate in RATES]
        best_O[cells] = min(at_rates, key=lambda losses_O: float(losses_O.mean()))
    leader_O = min(best_O.values(), key=lambda losses_O: float(losses_O.mean()))
    return [
        {
            "series": name,
            "cells": list(cells),
            "share": float(losses_O.mean() / naive_O.mean()),
            "se": _se(losses_O, leader_O, landscape) / float(naive_O.mean()),
        }
        for cells, losses_O in best_O.items()
    ]


def _naive_losses(landscape: Landscape) -> Floats:
    prepared = landscape.prepared
    return np.concatenate(
        [
            losses(truth(prepared, fold), naive(prepared, fold), fold.scale_O, "mase")
            for fold in prepared.folds
        ]
    )


def _se(losses_O: Floats, leader_O: Floats, landscape: Landscape) -> float:
    rng = np.random.default_rng(0)
    return paired_difference(losses_O, leader_O, landscape.origins, metric="mase", rng=rng)[1]


def needed(rows: Sequence[Row]) -> list[Row]:
    """For each share of the naive error the size with the fewest cells that reaches it."""
    found = []
    for share in SHARES:
        row: Row = {"share": share}
        for name in SERIES:
            reach = [r for r in rows if r["series"] == name and r["share"] <= share]
            row[name] = _size(min(reach, key=lambda r: sum(r["cells"]))["cells"]) if reach else "-"
        found.append(row)
    return found


def _size(cells: Sequence[int]) -> str:
    return "x".join(map(str, cells))


def tables(told: Row) -> Group:
    """What every size reaches, and what is needed for a share."""
    shown = [r | {"size": _size(r["cells"])} for r in told["rows"]]
    columns = {"series": "series", "cells": "size", "share of naive": "share", "+-": "se"}
    return Group(
        table_of(shown, columns, title="errors on the folds, as a share of the naive forecast's"),
        table_of(
            told["needed"],
            {"share of naive": "share", **{name: name for name in SERIES}},
            title="the fewest cells that reach it",
        ),
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="tiny trainings of three sizes")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "landscapes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.steps, options.sizes = VALUES["training.max_steps"], [p[0] for p in GRID]
    if options.quick:
        options.steps, options.sizes = QUICK_STEPS, [(width,) for width in WIDTHS[:3]]
    options.sizes = list(dict.fromkeys(options.sizes))
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    rows: list[Row] = []
    for name in SERIES:
        landscape = landscape_of(name, options, steps=options.steps)
        rows += size_rows(name, landscape, options.sizes)
    told = {"rows": rows, "needed": needed(rows)}
    tell(told, lambda: tables(told), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
