"""What prediction intervals of 80 % hold: of folds, each left out in turn, and of the test span.

`python benchmarks/intervals.py` answers every study in studies/ (or reads the answers that
`--storage` has already) and measures the recommended network's intervals as `hpo export` does:
half widths from the errors on the folds, told apart from the test span that they are tried on. The
method was chosen by its principle and looked at on the folds; the test spans only report.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from study_runs import run_here
from telling import table_of, tell

from hpo.data.question import ask
from hpo.export.intervals import DEFAULT_LEVEL, errors_of, half_widths, measure
from hpo.handle import opened
from hpo.service import studies
from hpo.service.recommended import recommended

STUDIES = Path(__file__).resolve().parents[1] / "studies"
QUICK = {"airline": {"budget.trials": 3, "training.max_steps": 100, "validation.seeds": 2}}
COLUMNS = {
    "study": "study",
    "steps ahead": "horizon",
    "errors": "errors",
    "folds, left out": "folds",
    "folds, by those before": "folds_forward",
    "test": "test",
    "of values": "test_values",
}
Row = dict[str, Any]


def row_of(url: str, name: str) -> Row:
    """What the intervals of a study's recommended network held."""
    with opened(url, create=False) as database:
        found = recommended(database, name)
    prepared, test = found.prepared, found.prepared.test
    per_fold = [errors_of(prepared, f, found.forecasts[f.number]) for f in prepared.folds]
    on_test = errors_of(prepared, test, found.forecasts[test.number])
    coverage = measure(per_fold, on_test, DEFAULT_LEVEL)
    return {
        "study": name,
        "horizon": prepared.study.task.horizon,
        "errors": sum(len(errors_OH) for errors_OH in per_fold),
        "values": sum(errors_OH.size for errors_OH in per_fold),
        "folds": coverage.folds,
        "folds_forward": forward(per_fold),
        "test": coverage.test,
        "test_values": coverage.test_values,
    }


def forward(per_fold: Sequence[np.ndarray[Any, Any]]) -> float | None:
    """What intervals held of each fold but the first, by the errors of the folds before it."""
    held: list[Any] = []
    for number in range(1, len(per_fold)):
        widths_H = half_widths(np.concatenate(per_fold[:number]), DEFAULT_LEVEL)
        if widths_H is not None:
            held.append((per_fold[number] <= widths_H).ravel())
    return float(np.concatenate(held).mean()) if held else None


def together(rows: Sequence[Row]) -> list[Row]:
    """All studies alike, and all values alike: of the second a few long studies are the most."""
    unknown = dict.fromkeys(COLUMNS.values(), "")
    alike: Row = {**unknown, "study": "mean of the studies"}
    pooled: Row = {**unknown, "study": "all values together"}
    for key, weight in (("folds", "values"), ("folds_forward", "values"), ("test", "test_values")):
        measured = [row for row in rows if row[key] is not None]
        shares, counts = ([row[k] for row in measured] for k in (key, weight))
        alike[key] = float(np.mean(shares)) if measured else None
        pooled[key] = float(np.average(shares, weights=counts)) if measured else None
    pooled["test_values"] = sum(row["test_values"] for row in rows)
    return [alike, pooled]


def answered(names: Sequence[str], storage: str, *, quick: bool, threads: int) -> Iterator[Row]:
    """A row for each study, which is run where the database has no answer of it."""
    with tempfile.TemporaryDirectory() as folder:
        url = storage or f"sqlite:///{folder}/studies.db"
        for name in names:
            with opened(url) as database:
                stored = studies.find_or_none(database, name)
            if stored is None or stored.answer is None:
                question = ask(STUDIES / f"{name}.toml", QUICK[name] if quick else {})
                run_here(question, url, threads=threads)
            yield row_of(url, name)


def main() -> int:
    """Measure what the command line asks for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="one study of three trials")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--storage", default="", help="database of answered studies; new if empty")
    options = parser.parse_args()
    every = sorted(file.stem for file in STUDIES.glob("*.toml"))
    names = list(QUICK) if options.quick else every
    found = answered(names, options.storage, quick=options.quick, threads=options.threads)
    aside = Console(stderr=True)
    rows = list(track(found, total=len(names), console=aside, transient=True, disable=options.json))
    mean, pooled = together(rows)
    title = f"what intervals of {DEFAULT_LEVEL} % held"
    table = partial(table_of, [*rows, mean, pooled], COLUMNS, title=title)
    facts = {"rows": rows, "mean": mean, "pooled": pooled}
    tell(facts, table, as_json=options.json, narrowest=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
