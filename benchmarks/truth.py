"""Whether the answer is true: studies of series whose answer is known, judged on fresh samples.

`python benchmarks/truth.py` asks hpo about generated series: noisy teacher networks and other
processes that need memory cells, and linear ones and noise that need none. For each teacher the
truth is the smallest network of a grid whose mean error over 10 seeds on 100,000 fresh samples is
within 5 % of the grid's best. Cells are needed where that best beats ridge by more than the study's
tolerance: where it does not, to refuse an LSTM is right. Cases are numbered from 50 on: those from
`--first 0` are what versions of the method were tried on. What was done is kept in build/truth and
not done again, unless `--again`; `--set KEY=VALUE` changes a value of the studies, `--tag` names
what comes of it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fresh_truth import FIRST_SEED, RATE_SEEDS, SEEDS, SIZES, WITHIN, FreshSamples, Truth
from kept import Kept
from known_answers import SEEN, Case, known_answers
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.progress import track
from rich.table import Table
from study_runs import answer_of
from telling import tell

from hpo.data.question import Question, ask

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
WEIGHTS_FACTOR = 3.0
MOST_EXCESS = 0.10
QUICK_STUDY = {
    "budget.trials": 4,
    "space.cells": [2, 8],
    "space.layers": [1, 1],
    "training.max_steps": 50,
    "validation.folds": 2,
}
FEW_SIZES = ((2,), (4,), (8,))
QUICK_CASES = ("teacher-50-3", "setar-50", "white_noise-50", "ar2-50")


def question_of(case: Case, values: dict[str, Any]) -> Question:
    """The study that is asked about a case: the defaults, but for `values`."""
    values_RF = case.training()
    covariates = [f"x{number}" for number in range(1, values_RF.shape[1])]
    frame = pd.DataFrame(values_RF, columns=["y", *covariates])
    named = {"data.target": "y", "data.covariates": covariates}
    return ask(frame, named | values, name=case.name)


def run_case(case: Case, options: argparse.Namespace, kept: Kept) -> Row:
    """Ask about one case, and judge the answer by the truth."""
    answer = kept.get(f"{case.name}.answer.{options.tag}", lambda: _answer(case, options))
    judged = _judged(case, answer, options, kept) if case.justified else {}
    return {
        "case": case.name,
        "kind": case.kind,
        "rows": case.rows,
        "justified": case.justified and judged["truth_gain"] > options.values["verdict.tolerance"],
        "answer_justified": answer["lstm_justified"],
        "answer_cells": answer["cells"],
        "answer_weights": answer["weights"],
        "tied": answer["cells_tied"],
        "networks": answer["networks"],
        "wall_s": answer["wall_s"],
        **judged,
    }


def _answer(case: Case, options: argparse.Namespace) -> Row:
    question = question_of(case, options.values)
    answer = answer_of(question, threads=options.threads).model_dump(mode="json")
    if case.justified:
        fresh = _fresh(case, options)
        key = (tuple(answer["cells"]), answer["learning_rate"])
        seeds = range(FIRST_SEED, FIRST_SEED + options.truth_seeds)
        errors = fresh.errors([key], seeds)[key]
        answer["error_fresh"] = float(np.mean(errors))
    return answer


def _fresh(case: Case, options: argparse.Namespace) -> FreshSamples:
    question = question_of(case, options.values)
    windows = 2_000 if options.quick else 100_000
    return FreshSamples(case, question, threads=options.threads, windows=windows)


def _judged(case: Case, answer: Row, options: argparse.Namespace, kept: Kept) -> Row:
    def find() -> Row:
        fresh = _fresh(case, options)
        if options.quick or not case.teacher:  # only a teacher's size is compared
            return fresh.truth(FEW_SIZES, min(options.truth_seeds, RATE_SEEDS)).as_json()
        return fresh.truth(SIZES, options.truth_seeds).as_json()

    truth = Truth.of_json(kept.get(f"{case.name}.truth", find))
    best, smallest = truth.best, truth.smallest
    return {
        "truth_cells": list(smallest.cells),
        "truth_weights": smallest.weights,
        "truth_tied": _tied(truth),
        "best_error": best.error,
        "ridge_error": truth.ridge,
        "truth_gain": 1 - best.error / truth.ridge,
        "weights_ratio": answer["weights"] / smallest.weights,
        "excess": answer["error_fresh"] / best.error - 1,
    }


def _tied(truth: Truth) -> list[int]:
    """Fewest and most cells of the sizes within 5 % of the best."""
    most = (1 + WITHIN) * truth.best.error
    totals = [sum(m.cells) for m in truth.sizes if m.error <= most]
    return [min(totals), max(totals)]


def is_right(row: Row) -> bool:
    """Whether a teacher's answer is near the truth in weights and in error on fresh samples."""
    near = 1 / WEIGHTS_FACTOR <= row["weights_ratio"] <= WEIGHTS_FACTOR
    return bool(near and row["excess"] <= MOST_EXCESS)


def summary(rows: Sequence[Row]) -> Row:
    """The shares that the benchmark is about."""
    teachers = [r for r in rows if r["kind"] == "teacher"]
    needed = [r for r in rows if r["justified"]]
    needless = [r for r in rows if not r["justified"]]
    widths = [r["tied"][1] / r["tied"][0] for r in teachers]
    return {
        "teachers": len(teachers),
        "right": _share([is_right(r) for r in teachers]),
        "weights_within": _share(
            [1 / WEIGHTS_FACTOR <= r["weights_ratio"] <= WEIGHTS_FACTOR for r in teachers]
        ),
        "excess_within": _share([r["excess"] <= MOST_EXCESS for r in teachers]),
        "median_tied_factor": float(np.median(widths)) if widths else None,
        "needless_refused": _share([not r["answer_justified"] for r in needless]),
        "needed_refused": _share([not r["answer_justified"] for r in needed]),
        "wall_s": float(sum(r["wall_s"] for r in rows)),
    }


def _share(flags: Sequence[bool]) -> float | None:
    return float(np.mean(flags)) if flags else None


def tables(rows: Sequence[Row]) -> Group:
    """One line a case that needs cells, one a kind that needs none, and the shares."""
    return Group(_needed_table(rows), _refused_table(rows), _summary_table(rows))


def _needed_table(rows: Sequence[Row]) -> Table:
    shown = Table(title="series that were made to need memory cells", box=SIMPLE_HEAD)
    for header in ("case", "rows", "truth", "tied", "answer", "tied", "weights", "excess", "LSTM?"):
        shown.add_column(header, justify="left" if header == "case" else "right")
    for r in (r for r in rows if "truth_cells" in r):
        shown.add_row(
            r["case"],
            f"{r['rows']:,}",
            _cells(r["truth_cells"]),
            "-".join(map(str, r["truth_tied"])),
            _cells(r["answer_cells"]),
            "-".join(map(str, r["tied"])),
            f"x {r['weights_ratio']:.2f}",
            f"{100 * r['excess']:+.1f} %",
            "yes" if r["answer_justified"] else "no",
        )
    return shown


def _refused_table(rows: Sequence[Row]) -> Table:
    shown = Table(title="an LSTM is refused", box=SIMPLE_HEAD)
    for header in ("kind", "needs cells", "refused", "of"):
        shown.add_column(header, justify="left" if header == "kind" else "right")
    for kind, needs in dict.fromkeys((r["kind"], r["justified"]) for r in rows):
        alike = [r for r in rows if (r["kind"], r["justified"]) == (kind, needs)]
        refused = sum(not r["answer_justified"] for r in alike)
        shown.add_row(kind, "yes" if needs else "no", str(refused), str(len(alike)))
    return shown


def _summary_table(rows: Sequence[Row]) -> Table:
    shown = Table(title="in short", box=SIMPLE_HEAD, show_header=False)
    for key, value in summary(rows).items():
        shown.add_row(key, "-" if value is None else f"{value:.3g}")
    return shown


def _cells(cells: Sequence[int]) -> str:
    return "x".join(map(str, cells))


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="four cases, tiny studies")
    parser.add_argument("--teachers", type=int, default=50, help="how many teachers")
    parser.add_argument("--repeats", type=int, default=5, help="series of every other process")
    parser.add_argument("--first", type=int, default=SEEN, help="number of the first of each")
    parser.add_argument("--only", default="", help="cases whose names begin so, A,B")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--tag", default="default", help="a name for what `--set` changes")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "truth")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.values = {"verdict.tolerance": WITHIN} | dict(map(_key_and_value, options.set))
    options.truth_seeds = 2 if options.quick else SEEDS
    if options.quick:
        options.values |= QUICK_STUDY
        options.folder = options.folder / "quick"
    return options


def _key_and_value(word: str) -> tuple[str, float | str]:
    key, _, value = word.partition("=")
    return key, float(value) if value.replace(".", "", 1).isdigit() else value


def cases_of(options: argparse.Namespace) -> list[Case]:
    """The cases that the command line asks for."""
    found = known_answers(options.teachers, options.repeats, first=options.first)
    if options.quick:
        return [case for case in found if case.name in QUICK_CASES]
    starts = tuple(options.only.split(","))
    return [case for case in found if case.name.startswith(starts)]


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    aside = Console(stderr=True)
    watched = track(cases_of(options), console=aside, transient=True, disable=options.json)
    rows = [run_case(case, options, kept) for case in watched]
    told = {"rows": rows, "summary": summary(rows)}
    tell(told, lambda: tables(rows), as_json=options.json, narrowest=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
