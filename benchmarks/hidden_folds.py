"""What a verdict's margin and larger candidates would buy, without a look at any test span.

`python benchmarks/hidden_folds.py` takes the landscapes that landscapes.py recorded, hides one fold
at a time, lets the verdict choose on the others and scores the choice on the hidden fold: its
regret beside an oracle chosen on every other block of that fold, in standard errors (as in
landscapes.py). Rows are what the verdict may choose from (what the ladder tried; that and all
widths of one layer; the whole grid) and how far behind the best, in standard errors of the
difference, a smaller network may be and still be as good as it (`ses`; hpo: 1).
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from landscape import Floats, Landscape, Point
from landscapes import QUICK_GRID, QUICK_STEPS, SERIES, VALUES, landscape_of, regret_of
from policies import GRID, climb
from rich.console import Console
from rich.progress import track
from telling import table_of, tell

from hpo.sizing.race import Entrant, run_race
from hpo.sizing.resampling import Origins
from hpo.sizing.verdict import best_per_size

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
MARGINS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
COLUMNS = {
    "candidates": "candidates",
    "ses": "ses",
    "regret, SEs": "median",
    "mean": "mean",
    "cells": "cells",
}


class Hidden:
    """A landscape of which one fold is hidden from the verdict."""

    def __init__(self, landscape: Landscape, fold: int, grid: Sequence[Point]) -> None:
        self.landscape, study = landscape, landscape.prepared.study
        self.metric, self.tolerance = study.task.metric, study.verdict.tolerance
        self.hidden_O = landscape.origins.fold_O == fold
        self.seen, self.unseen = (
            _only(landscape.origins, o) for o in (~self.hidden_O, self.hidden_O)
        )
        self.grid_PO = np.stack([self._unseen_O(point) for point in grid])

    def choices(self, candidates: Sequence[Point]) -> list[Point]:
        """For each margin the smallest that is as good as the best on the folds that are seen."""
        entrants = [self._entrant(point) for point in candidates]
        able = best_per_size(entrants)
        rng = np.random.default_rng(0)
        race = run_race([entrants[i] for i in able], self.seen, metric=self.metric, rng=rng)
        ties = [race.tied_with(race.best, self.tolerance, ses=ses) for ses in MARGINS]
        return [candidates[able[race.smallest(tied_E)]] for tied_E in ties]

    def regret(self, chosen: Point) -> float:
        """Of the choice on the hidden fold, in standard errors."""
        found = regret_of(self._unseen_O(chosen), self.grid_PO, self.unseen, self.metric)
        return float(found["regret_ses"])

    def _entrant(self, point: Point) -> Entrant:
        whole = self.landscape.entrant(point, 0)
        return replace(whole, losses_SO=whole.losses_SO[:, ~self.hidden_O])

    def _unseen_O(self, point: Point) -> Floats:
        losses_O: Floats = self.landscape.losses(point)[:, self.hidden_O].mean(axis=0)
        return losses_O


def _only(origins: Origins, kept_O: Floats) -> Origins:
    step_O = None if origins.step_O is None else origins.step_O[kept_O]
    fold_O, series_O = origins.fold_O[kept_O], origins.series_O[kept_O]
    return replace(origins, fold_O=fold_O, series_O=series_O, step_O=step_O)


def rows_of(name: str, options: argparse.Namespace) -> list[Row]:
    """Every candidates' and margin's choice on every hidden fold of one series."""
    landscape = landscape_of(name, options, steps=options.steps)
    tried = climb(landscape, 0).points
    wide = [point for point in options.grid if len(point[0]) == 1]
    sets = {"ladder": tried, "ladder and widths": (*tried, *wide), "grid": options.grid}
    rows = []
    for fold in np.unique(landscape.origins.fold_O):
        hidden = Hidden(landscape, int(fold), options.grid)
        for candidates, points in sets.items():
            chosen_M = hidden.choices(list(dict.fromkeys(points)))
            for ses, chosen in zip(MARGINS, chosen_M, strict=True):
                rows.append(
                    {
                        "series": name,
                        "fold": int(fold),
                        "candidates": candidates,
                        "ses": ses,
                        "cells": sum(chosen[0]),
                        "weights": landscape.entrant(chosen, 0).weights,
                        "regret_ses": hidden.regret(chosen),
                    }
                )
    return rows


def summary(rows: Sequence[Row]) -> list[Row]:
    """Medians and means over series and folds."""
    found = []
    for candidates, ses in dict.fromkeys((r["candidates"], r["ses"]) for r in rows):
        alike = [r for r in rows if (r["candidates"], r["ses"]) == (candidates, ses)]
        regrets = [r["regret_ses"] for r in alike]
        found.append(
            {
                "candidates": candidates,
                "ses": ses,
                "median": float(np.median(regrets)),
                "mean": float(np.mean(regrets)),
                "cells": float(np.median([r["cells"] for r in alike])),
            }
        )
    return found


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=SERIES, help="names of studies/*.toml")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="one short series, tiny trainings")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "landscapes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.steps, options.grid = VALUES["training.max_steps"], GRID
    if options.quick:
        options.series, options.steps, options.grid = ("lynx",), QUICK_STEPS, QUICK_GRID
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    aside = Console(stderr=True)
    watched = track(options.series, console=aside, transient=True, disable=options.json)
    rows = [row for name in watched for row in rows_of(name, options)]
    short = summary(rows)
    title = f"regret on hidden folds of {len(options.series)} series"
    table = partial(table_of, short, COLUMNS, title=title)
    tell({"rows": rows, "summary": short}, table, as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
