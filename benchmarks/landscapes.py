"""How a search does on recorded landscapes of real series: what it costs, and what it misses.

`python benchmarks/landscapes.py` trains, once and for all, every point of a grid of sizes and rates
on each series (build/landscapes keeps them), and lets every way to search replay it: hpo's ladder,
Optuna's samplers, successive halving, brief training, the whole grid. Each ends with hpo's own
verdict, fresh seeds included. Regret is the test error of the recommended network less that of an
oracle, which is chosen on every other block of test origins and scored on the blocks between, and
the other way round; in standard errors of that difference. `cost` is the share of the grid's time.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from kept import Kept
from landscape import Floats, Landscape, Point
from policies import GRID, RATES, WIDTHS, Policy, policies
from rich.console import Console, Group
from rich.progress import track
from telling import table_of, tell

from hpo.data.question import ask
from hpo.search.objective import origins_of
from hpo.sizing.metric import score
from hpo.sizing.race import Entrant, run_race
from hpo.sizing.resampling import Origins, block_length, paired_difference
from hpo.sizing.rounds import MOST_ROUNDS, TIE_SES, undecided
from hpo.sizing.verdict import judge, pick_finalists

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
SERIES = (
    *("airline", "births", "co2", "electricity", "elnino", "gasoline", "gdp", "laser"),
    *("lynx", "oil", "pulse", "river", "seattle", "sunspots", "sunspots_monthly"),
)
VALUES: Row = {
    "space.layers": [1, 2],
    "space.cells": [2, 32],
    "task.lookback": 0,
    "training.max_steps": 2000,
    "validation.folds": 4,
    "validation.seeds": 5,
    "search.sampler": "ladder",
}
WITHOUT_CHANCE = ("ladder", "ladder at alpha 2", "briefly", "grid")
BRIEF_STEPS = 100
QUICK_STEPS = 30
QUICK_GRID = tuple(((width,), rate) for width in WIDTHS[:4] for rate in RATES)


def landscape_of(name: str, options: argparse.Namespace, *, steps: int) -> Landscape:
    """The landscape of a series under studies/, trained at most so many steps."""
    values = VALUES | {"training.max_steps": steps}
    prepared = ask(str(ROOT / "studies" / f"{name}.toml"), values).prepared
    folder = options.folder / f"{name}-{steps}"
    return Landscape(prepared, folder, threads=options.threads)


def replay(name: str, options: argparse.Namespace, kept: Kept) -> list[Row]:
    """What every policy recommends on one series, and how far that is from the oracle."""
    landscape = landscape_of(name, options, steps=options.steps)
    short = landscape_of(name, options, steps=min(BRIEF_STEPS, options.steps))
    landscape.record(options.grid)
    rows = []
    for policy, search in policies(short, options.trials).items():
        if options.policies and policy not in options.policies:
            continue
        for seed in range(1 if policy in WITHOUT_CHANCE else options.seeds):
            row = partial(_row, landscape, search, seed, options)
            found = kept.get(f"{name}.{policy.replace(' ', '-')}.{seed}", row)
            rows.append(found | {"series": name, "policy": policy})
    return rows


def _row(landscape: Landscape, search: Policy, seed: int, options: argparse.Namespace) -> Row:
    found = search(landscape, seed)
    chosen, fresh_s = _verdict(landscape, found.points)
    whole_s = sum(map(landscape.cost_s, options.grid))
    metric = landscape.prepared.study.task.metric
    return {
        "cells": list(chosen[0]),
        "rate": chosen[1],
        "trials": len(found.points),
        "cost": (found.cost_s + fresh_s) / whole_s,
        "delivered": float(score(landscape.delivered(chosen).mean(), metric)),
        **_oracle(landscape, chosen, options.grid),
    }


def _verdict(landscape: Landscape, points: Sequence[Point]) -> tuple[Point, float]:
    """The recommended one of these points, and the seconds of training in the final race."""
    study, origins = landscape.prepared.study, landscape.origins
    metric, tolerance = study.task.metric, study.verdict.tolerance
    entrants = [landscape.entrant(point, number) for number, point in enumerate(points)]
    finalists = pick_finalists(
        entrants, origins, metric=metric, tolerance=tolerance, rng=np.random.default_rng(0)
    )
    raced, rounds = _race(landscape, [points[f] for f in finalists])
    judged = judge(
        raced,
        {"none": np.full(origins.fold_O.size, 1e9)},
        origins,
        metric=metric,
        tolerance=tolerance,
        layers_range=study.space.layers,
        rng=np.random.default_rng(0),
        tie_ses=TIE_SES if max(rounds) > 1 else 1.0,
    )
    fresh_s = sum(r * landscape.cost_s(points[f]) for f, r in zip(finalists, rounds, strict=True))
    return points[finalists[judged.chosen]], fresh_s


def _race(landscape: Landscape, points: Sequence[Point]) -> tuple[list[Entrant], list[int]]:
    """The finalists with fresh seeds, more where these could decide (see sizing.rounds)."""
    study, rounds = landscape.prepared.study, [1] * len(points)
    while True:
        raced = [landscape.entrant(p, n, rounds[n]) for n, p in enumerate(points)]
        race = run_race(
            raced, landscape.origins, metric=study.task.metric, rng=np.random.default_rng(0)
        )
        again = undecided(race, study.verdict.tolerance)
        if max(rounds) > MOST_ROUNDS or not set(again) - {race.best}:
            return raced, rounds
        rounds = [r + (n in again) for n, r in enumerate(rounds)]


def _oracle(landscape: Landscape, chosen: Point, grid: Sequence[Point]) -> Row:
    """The test error of a choice, and its regret beside the best of the grid."""
    study, test = landscape.prepared.study, landscape.prepared.test
    ours_O = landscape.test_losses(chosen).mean(axis=0)
    losses_PO = np.stack([landscape.test_losses(p).mean(axis=0) for p in grid])
    origins = origins_of([test], study.task.horizon)
    return {
        "test": float(score(ours_O.mean(), study.task.metric)),
        **regret_of(ours_O, losses_PO, origins, study.task.metric),
    }


def regret_of(ours_O: Floats, losses_PO: Floats, origins: Origins, metric: str) -> Row:
    """The regret beside the best of P points: in the metric, in SEs, and as a share.

    The best on every other block of origins is scored on the blocks between; mean of both halves.
    """
    losses_PO = np.where(np.isfinite(losses_PO), losses_PO, np.inf)
    block_O = np.arange(len(ours_O)) // block_length(origins)
    regrets, ses, theirs = [], [], []
    for known_O in (block_O % 2 == 0, block_O % 2 == 1):
        oracle_O = losses_PO[losses_PO[:, known_O].mean(axis=1).argmin()]
        hidden_O = ~known_O
        theirs.append(score(oracle_O[hidden_O].mean(), metric))
        regrets.append(score(ours_O[hidden_O].mean(), metric) - theirs[-1])
        rng = np.random.default_rng(0)
        ses.append(paired_difference(ours_O, oracle_O, origins, metric=metric, rng=rng)[1])
    return {
        "regret": float(np.mean(regrets)),
        "regret_ses": float(np.mean(regrets) / max(np.mean(ses), 1e-12)),
        "regret_share": float(np.mean(regrets) / np.mean(theirs)),
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """Each policy over all series: medians of regret and cost, and test error beside the ladder."""
    series = list(dict.fromkeys(r["series"] for r in rows))
    found = []
    for policy in dict.fromkeys(r["policy"] for r in rows):
        of_policy = [r for r in rows if r["policy"] == policy]
        found.append(
            {
                "policy": policy,
                "regret_ses": float(np.median([r["regret_ses"] for r in of_policy])),
                "regret_share": float(np.median([r["regret_share"] for r in of_policy])),
                "worst_share": float(np.max([r["regret_share"] for r in of_policy])),
                "cost": float(np.median([r["cost"] for r in of_policy])),
                "cells": float(np.median([sum(r["cells"]) for r in of_policy])),
                "against_ladder": _against_ladder(rows, of_policy, series),
            }
        )
    return found


def _against_ladder(rows: Sequence[Row], of_policy: Sequence[Row], series: Sequence[str]) -> float:
    """The geometric mean over series of the policy's test error over the ladder's."""
    logs = []
    for name in series:
        ladder = [r["test"] for r in rows if (r["series"], r["policy"]) == (name, "ladder")]
        ours = [r["test"] for r in of_policy if r["series"] == name]
        if ladder and ours:
            logs.append(float(np.mean(np.log(ours)) - np.mean(np.log(ladder))))
    return float(np.exp(np.mean(logs))) if logs else float("nan")


def tables(rows: Sequence[Row]) -> Group:
    """The ladder's line for each series, and one line for each policy."""
    ladder = [r | {"size": "x".join(map(str, r["cells"]))} for r in rows if r["policy"] == "ladder"]
    columns = {"series": "series", "cells": "size", "trials": "trials", "cost": "cost"}
    regret = {"test": "test", "regret, SEs": "regret_ses", "regret, share": "regret_share"}
    short = {"policy": "policy", **{k: v for k, v in regret.items() if k != "test"}}
    rest = {"worst": "worst_share", "cost": "cost", "cells": "cells"}
    return Group(
        table_of(ladder, columns | regret, title="the ladder"),
        table_of(
            summary(rows),
            short | rest | {"test / ladder's": "against_ladder"},
            title="medians over series and seeds",
        ),
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=SERIES, help="names of studies/*.toml")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="two short series, tiny trainings")
    parser.add_argument("--policies", default="", help="only these, A,B")
    parser.add_argument("--seeds", type=int, default=2, help="searches by each random policy")
    parser.add_argument("--again", action="store_true", help="replay again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "landscapes")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.policies = [name for name in options.policies.split(",") if name]
    options.steps, options.trials, options.grid = VALUES["training.max_steps"], (15, 30), GRID
    if options.quick:
        options.series, options.seeds, options.trials = ("lynx", "airline"), 1, (6,)
        options.steps, options.policies = QUICK_STEPS, options.policies or ["ladder", "tpe 6"]
        options.grid = QUICK_GRID
    return options


def replays_of(options: argparse.Namespace) -> Path:
    """Where the replays of trainings of so many steps are kept."""
    folder: Path = options.folder / f"replays-{options.steps}"
    return folder


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = Kept(replays_of(options), again=options.again)
    watched = track(
        options.series, console=Console(stderr=True), transient=True, disable=options.json
    )
    rows = [row for name in watched for row in replay(name, options, kept)]
    told = {"rows": rows, "summary": summary(rows)}
    tell(told, lambda: tables(rows), as_json=options.json, narrowest=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
