"""What each choice of the preprocessing is worth: fold errors of its alternatives, side by side.

`python benchmarks/preprocessing.py` trains the same medium network on 15 single series and on four
panels of M3 series, as hpo prepares them and in every other way that `alternatives.py` names, and
prints how many times as large the fold errors (MASE) are. No test span is looked at. What was done
is kept in build/preprocessing and not done again, unless `--again`; `--only` names choices, A,B.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from alternatives import CHOICES, Alternative, Choice
from kept import Kept
from landscape import candidate_of
from m3_series import SEASON, TEST, m3_series, panel_frame
from rich.console import Console
from rich.progress import track
from telling import table_of, tell

from hpo.data.prepare import Prepared
from hpo.data.question import ask
from hpo.errors import HpoError
from hpo.fitting.fit import fit_network, shape_of
from hpo.fitting.material import Material
from hpo.training.engine import Engines
from hpo.training.trainer import Diverged

ROOT = Path(__file__).resolve().parents[1]
SINGLE = (
    *("airline", "births", "co2", "electricity", "elnino", "gasoline", "gdp", "laser", "lynx"),
    *("oil", "pulse", "river", "seattle", "sunspots", "sunspots_monthly"),
)
ALL_SERIES = "m3"
PANELS = 4
SERIES = 130  # in each panel, every eighth of the competition's
SAME = {"task.horizon": 1, "task.lookback": 0, "bound.rule": "off"}
SINGLE_VALUES = SAME | {"training.max_steps": 1000}
PANEL_VALUES = SAME | {
    "data.target": "y",
    "data.series": "series",
    "data.time": "month",
    "data.season": SEASON,
    "data.test": TEST,
    "validation.folds": 2,
    "training.max_steps": 2000,
    "training.batch_size": 128,
}
CELLS = (8,)
RATES = (0.003, 0.01, 0.03)
SEEDS = 3
DRAWS = 10_000
KINDS = ("single", "panel")
ALL_SETS = (*SINGLE, *(f"m3-{n}" for n in range(PANELS)))
DEFAULT = Alternative(name="default")
Row = dict[str, Any]


def prepared_set(name: str, values: Mapping[str, Any]) -> Prepared:
    """A single series as its study asks about it, a panel of every eighth M3 series, or m3: all."""
    if name in SINGLE:
        return ask(ROOT / "studies" / f"{name}.toml", {**SINGLE_VALUES, **values}).prepared
    series = m3_series()
    if name != ALL_SERIES:
        series = series[int(name.removeprefix("m3-")) :: len(series) // SERIES][:SERIES]
    # The test spans stay in the frame, where `data.test` keeps them from everything.
    return ask(panel_frame(series, with_test=True), {**PANEL_VALUES, **values}, name=name).prepared


def fold_error(prepared: Prepared, seeds: int) -> float:
    """The mean error over folds and seeds of the medium network, at the best of three rates."""
    material = Material(prepared)
    errors = [_mean_error(prepared, material, rate, seeds) for rate in RATES]
    return float(min(errors))


def _mean_error(prepared: Prepared, material: Material, rate: float, seeds: int) -> float:
    candidate = candidate_of(prepared, CELLS, rate)
    trainer = Engines("native-to-96", "cpu").trainer_for(shape_of(prepared, candidate))
    errors = []
    for fold in prepared.folds:
        for seed in range(seeds):
            try:
                fitted = fit_network(
                    material,
                    fold,
                    candidate,
                    seed=seed,
                    trainer=trainer,
                    on_check=lambda _step, _loss: True,
                )
            except Diverged:
                return float("inf")
            errors.append(fitted.losses_O.mean())
    return float(np.mean(errors))


@contextmanager
def standing_in(alternative: Alternative) -> Iterator[None]:
    """The alternative's functions stand in for hpo's."""
    with ExitStack() as stack:
        for module, name, function in alternative.stands:
            stack.enter_context(patch.object(module, name, function))
        yield


def measure(
    name: str, choice: Choice, alternative: Alternative, seeds: int, metric: str
) -> float | None:
    """The fold error of a set in this way; None where the set is too short for it."""
    values = {**choice.values, **alternative.values, "task.metric": metric}
    with standing_in(alternative):
        try:
            prepared = prepared_set(name, values)
        except HpoError:
            return None
        return fold_error(prepared, seeds)


def compare(choice: Choice, sets: Sequence[str], kept: Kept, options: argparse.Namespace) -> Row:
    """The errors of all ways of a choice on all sets."""
    ways = (DEFAULT, *choice.alternatives)
    found: Row = {}
    for way in ways:
        label = "default" if way is DEFAULT and not choice.values else f"{choice.name}.{way.name}"
        found[way.name] = {
            s: kept.get(
                f"{s}.{label}".replace(" ", "_"),
                partial(measure, s, choice, way, options.seeds, options.metric),
            )
            for s in sets
        }
    return found


def rows_of(choice: Choice, errors: Row) -> list[Row]:
    """One row an alternative: what it does to the error on single series and on panels."""
    rows = []
    for way in choice.alternatives:
        row: Row = {"choice": choice.name, "alternative": way.name}
        for kind in KINDS:
            ratios = _ratios(errors[DEFAULT.name], errors[way.name], panel=kind == "panel")
            row |= {f"{kind}_{key}": value for key, value in _summary(ratios).items()}
        rows.append(row)
    return rows


def _ratios(default: Row, other: Row, *, panel: bool) -> list[float]:
    """Of each set of the kind: the alternative's error over the default's."""
    sets = [s for s in default if (s not in SINGLE) == panel]
    return [other[s] / default[s] for s in sets if default[s] is not None and other[s] is not None]


def _summary(ratios: Sequence[float]) -> Row:
    """The geometric mean with its 90 % interval over sets, and how many sets differ which way."""
    if not ratios:
        return {"ratio": None, "low": None, "high": None, "better": 0, "worse": 0}
    logs = np.log(ratios)
    drawn = np.random.default_rng(0).choice(logs, size=(DRAWS, len(logs))).mean(axis=1)
    low, high = np.quantile(drawn, (0.05, 0.95))
    return {
        "ratio": float(np.exp(logs.mean())),
        "low": float(np.exp(low)),
        "high": float(np.exp(high)),
        "better": sum(r < 0.999 for r in ratios),
        "worse": sum(r > 1.001 for r in ratios),
    }


def _table(rows: Sequence[Row]) -> Any:
    lines = [
        {"choice": row["choice"], "alternative": row["alternative"]}
        | {f"{kind} {key}": words for kind in KINDS for key, words in _in_words(row, kind).items()}
        for row in rows
    ]
    columns = {name: name for name in lines[0]} if lines else {}
    return table_of(
        lines,
        columns,
        title="fold errors of each alternative, as a share of the default's",
        caption="geometric mean over sets, its 90 % interval, sets better and worse",
    )


def _in_words(row: Row, kind: str) -> dict[str, str]:
    value = {key: row[f"{kind}_{key}"] for key in ("ratio", "low", "high", "better", "worse")}
    if value["ratio"] is None:
        return {"ratio": "", "interval": "", "sets": ""}
    return {
        "ratio": f"{value['ratio']:.3f}",
        "interval": f"{value['low']:.3f} to {value['high']:.3f}",
        "sets": f"{value['better']}, {value['worse']}",
    }


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="three sets, two choices, one seed")
    parser.add_argument("--only", default="", help="choices, A,B")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "preprocessing")
    parser.add_argument("--metric", default="mase", choices=("mase", "smape"))
    parser.add_argument("--sets", default="", help="other sets, A,B; m3: all M3 series")
    options = parser.parse_args(words)
    options.sets = options.sets.split(",") if options.sets else ALL_SETS
    options.seeds, options.folder = SEEDS, options.folder / options.metric
    if options.quick:
        options.seeds, options.sets = 1, ("airline", "gdp", "m3-0")
        options.only = options.only or "scale,anchor"
        options.folder = options.folder / "quick"
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    wanted = [c for c in CHOICES if not options.only or c.name in options.only.split(",")]
    aside = Console(stderr=True)
    watched = track(wanted, console=aside, transient=True, disable=options.json)
    errors = {c.name: compare(c, options.sets, kept, options) for c in watched}
    rows = [row for choice in wanted for row in rows_of(choice, errors[choice.name])]
    told = {"rows": rows, "errors": errors}
    tell(told, lambda: _table(rows), as_json=options.json, narrowest=150)
    return 0


if __name__ == "__main__":
    sys.exit(main())
