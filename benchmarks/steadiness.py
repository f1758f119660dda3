"""Whether a study gives the same answer when its chance falls otherwise, and what seeds buy.

`python benchmarks/steadiness.py` runs the default studies of short series under studies/ with
several `search.seed`, each with 3, 5 and 8 networks a trial and fold (`validation.seeds`).
`size spread` is the factor by which the weights of the recommended networks differ (the standard
deviation of their logarithms, as a factor: 1 where all answers are the same), `verdicts differ` the
share of answers that disagree with the most common one on whether an LSTM is justified, `ratio`
the error on the test span over that with 3. What was done is kept in build/steadiness and not done
again, unless `--again`.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from kept import Kept
from rich.console import Console, Group
from rich.progress import track
from scipy.stats import gmean
from study_runs import answer_of
from telling import table_of, tell

from hpo.data.question import ask

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
SERIES = ("airline", "gasoline", "gdp", "lynx", "river", "seattle", "sunspots", "elnino")
QUICK_STUDY = {"budget.trials": 3, "training.max_steps": 50, "validation.folds": 2}
COLUMNS = {
    "seeds": "seeds",
    "size spread": "size_spread",
    "verdicts differ": "verdicts_differ",
    "test, ratio": "test_ratio",
    "seconds": "wall_s",
}


def recommended(series: str, values: Row, threads: int) -> Row:
    """What a study of this series recommends, what that did on the test span, and its time."""
    question = ask(str(ROOT / "studies" / f"{series}.toml"), values)
    answer = answer_of(question, threads=threads)
    assert answer.cells is not None, "networks were trained"
    return {
        "cells": list(answer.cells),
        "weights": answer.weights,
        "justified": answer.lstm_justified,
        "test": answer.test_score,
        "wall_s": answer.wall_s,
    }


def row_of(series: str, seeds: int, options: argparse.Namespace, kept: Kept) -> Row:
    """The answers for one series and number of seeds, side by side."""
    answers = []
    for chance in range(options.repeats):
        values = options.values | {"validation.seeds": seeds, "search.seed": chance}
        name = f"{series}.{seeds}.{chance}"
        answers.append(kept.get(name, partial(recommended, series, values, options.threads)))
    most_common = Counter(a["justified"] for a in answers).most_common(1)[0][1]
    return {
        "series": series,
        "seeds": seeds,
        "answers": answers,
        "cells": " ".join("x".join(map(str, a["cells"])) for a in answers),
        "size_spread": float(np.exp(np.std([np.log(a["weights"]) for a in answers], ddof=1))),
        "verdicts_differ": 1 - most_common / len(answers),
        "test": float(np.mean([a["test"] for a in answers])),
        "wall_s": float(np.mean([a["wall_s"] for a in answers])),
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """Geometric means over series of spreads, ratios and seconds for every number of seeds."""
    fewest = {r["series"]: r["test"] for r in reversed(rows)}
    found = []
    for seeds in dict.fromkeys(r["seeds"] for r in rows):
        alike = [r for r in rows if r["seeds"] == seeds]
        found.append(
            {
                "seeds": seeds,
                "size_spread": float(gmean([r["size_spread"] for r in alike])),
                "verdicts_differ": float(np.mean([r["verdicts_differ"] for r in alike])),
                "test_ratio": float(gmean([r["test"] / fewest[r["series"]] for r in alike])),
                "wall_s": float(gmean([r["wall_s"] for r in alike])),
            }
        )
    return found


def tables(rows: Sequence[Row], short: Sequence[Row]) -> Group:
    """One line a series and number of seeds, and one a number of seeds."""
    shown = {"series": "series", **COLUMNS, "test": "test", "answers": "cells"}
    del shown["test, ratio"]
    return Group(
        table_of(rows, shown, title="answers with other chance"),
        table_of(short, COLUMNS, title="means over series"),
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("series", nargs="*", default=SERIES, help="names of studies/*.toml")
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="one short series, tiny studies")
    parser.add_argument("--seeds", default="3,5,8", help="networks a trial and fold, A,B")
    parser.add_argument("--repeats", type=int, default=6, help="studies of each kind")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "steadiness")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(words)
    options.values = {"task.metric": "mase"}
    options.seeds = [int(word) for word in options.seeds.split(",")]
    if options.quick:
        options.values |= QUICK_STUDY
        options.series, options.seeds, options.repeats = ("gdp",), [1, 2], 2
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    aside = Console(stderr=True)
    watched = track(options.series, console=aside, transient=True, disable=options.json)
    rows = [row_of(name, seeds, options, kept) for name in watched for seeds in options.seeds]
    short = summary(rows)
    told = {"rows": rows, "summary": short}
    tell(told, lambda: tables(rows, short), as_json=options.json, narrowest=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
