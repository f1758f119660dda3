"""The alpha rule put to the test: does the best network lie inside its bound, at what cost?

`python benchmarks/alpha_rule.py` looks at the landscapes of landscapes.py (it trains what lacks),
under each reading of the rule and alpha 1 to 10: the best network of the grid by its folds, whether
it lies inside the bound; the test error of the best network inside over that of the best of all;
the share of the grid's training time that the bound saves. Of truth.py's teachers, whose fewest
sufficient cells are known, it asks whether these lie inside.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fresh_truth import Truth
from known_answers import SEEN, known_answers
from landscape import Landscape, Point
from landscapes import QUICK_GRID, QUICK_STEPS, ROOT, SERIES, VALUES, landscape_of
from policies import GRID
from rich.console import Console, Group
from rich.progress import track
from telling import table_of, tell
from truth import question_of

from hpo.sizing.bound import RULES, Limit, fits
from hpo.sizing.metric import score

Row = dict[str, Any]
ALPHAS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0)
READINGS = tuple((rule, alpha) for rule in RULES if rule != "off" for alpha in ALPHAS)


def rows_of(name: str, landscape: Landscape, grid: Sequence[Point]) -> list[Row]:
    """What each reading of the rule does to one series."""
    landscape.record(grid)
    folds = {p: float(landscape.losses(p).mean()) for p in grid}
    seconds = {p: landscape.cost_s(p) for p in grid}
    best = min(grid, key=lambda p: folds[p])
    found = []
    for rule, alpha in READINGS:
        limit = replace(landscape.prepared.limit, rule=rule, alpha=alpha)
        inside = [p for p in grid if fits(p[0], limit)]
        best_inside = min(inside, key=lambda p: folds[p], default=None)
        found.append(
            {
                "series": name,
                "rule": rule,
                "alpha": alpha,
                "samples": limit.samples,
                "leaves": len(inside),
                "best": list(best[0]),
                "inside": best in inside,
                "error_ratio": _ratio(landscape, best_inside, best),
                "saved": 1 - sum(seconds[p] for p in inside) / sum(seconds.values()),
            }
        )
    return found


def _ratio(landscape: Landscape, inside: Point | None, best: Point) -> float | None:
    if inside is None:
        return None
    metric = landscape.prepared.study.task.metric
    ours, theirs = (score(landscape.delivered(p).mean(), metric) for p in (inside, best))
    return float(ours / theirs)


def teacher_rows(folder: Path) -> list[Row]:
    """Whether the fewest sufficient cells of each teacher lie inside each bound."""
    found = []
    for case in known_answers(2 * SEEN, first=0):
        file = folder / f"{case.name}.truth.json"
        if not (case.teacher and file.exists()):
            continue
        truth = Truth.of_json(json.loads(file.read_text(encoding="utf-8")))
        limit = question_of(case, {}).prepared.limit
        for rule, alpha in READINGS:
            bound = replace(limit, rule=rule, alpha=alpha)
            found.append(
                {
                    "case": case.name,
                    "rule": rule,
                    "alpha": alpha,
                    "inside": fits(truth.smallest.cells, bound),
                    "error_ratio": _least_inside(truth, bound) / truth.best.error,
                }
            )
    return found


def _least_inside(truth: Truth, bound: Limit) -> float:
    return min((m.error for m in truth.sizes if fits(m.cells, bound)), default=float("inf"))


def summary(rows: Sequence[Row], teachers: Sequence[Row]) -> list[Row]:
    """One row for each reading of the rule."""
    found = []
    for rule, alpha in READINGS:
        mine = [r for r in rows if (r["rule"], r["alpha"]) == (rule, alpha)]
        known = [r for r in teachers if (r["rule"], r["alpha"]) == (rule, alpha)]
        ratios = [r["error_ratio"] for r in mine if r["error_ratio"] is not None]
        found.append(
            {
                "rule": rule,
                "alpha": alpha,
                "no_network": sum(r["leaves"] == 0 for r in mine),
                "inside": float(np.mean([r["inside"] for r in mine])),
                "error_ratio": float(np.exp(np.mean(np.log(ratios)))) if ratios else None,
                "worst": max(ratios, default=None),
                "saved": float(np.mean([r["saved"] for r in mine])),
                "teachers_inside": float(np.mean([r["inside"] for r in known])) if known else None,
            }
        )
    return found


def tables(told: Row) -> Group:
    """The readings, and where the best network of each series lies."""
    short = {
        "rule": "rule",
        "alpha": "alpha",
        "no network": "no_network",
        "best inside": "inside",
        "test error": "error_ratio",
        "worst": "worst",
        "time saved": "saved",
        "teachers inside": "teachers_inside",
    }
    first = [r for r in told["rows"] if (r["rule"], r["alpha"]) == READINGS[0]]
    best = [r | {"size": "x".join(map(str, r["best"]))} for r in first]
    return Group(
        table_of(told["summary"], short, title="the alpha rule on recorded landscapes"),
        table_of(
            best,
            {"series": "series", "samples": "samples", "best network": "size"},
            title="the best networks by their folds",
        ),
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=SERIES, help="names of studies/*.toml")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two short series, tiny trainings")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "landscapes")
    parser.add_argument("--truth", type=Path, default=ROOT / "build" / "truth")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.steps, options.grid = VALUES["training.max_steps"], GRID
    if options.quick:
        options.truth = options.truth / "quick"
        options.series, options.steps = ("lynx", "airline"), QUICK_STEPS
        options.grid = QUICK_GRID
    return options


def find(options: argparse.Namespace) -> Row:
    """What each reading does to each series and teacher, and in short."""
    aside = Console(stderr=True)
    rows: list[Row] = []
    for name in track(options.series, console=aside, transient=True, disable=options.json):
        landscape = landscape_of(name, options, steps=options.steps)
        rows += rows_of(name, landscape, options.grid)
    teachers = teacher_rows(options.truth)
    return {"rows": rows, "teachers": teachers, "summary": summary(rows, teachers)}


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    told = find(options)
    tell(told, lambda: tables(told), as_json=options.json, narrowest=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
