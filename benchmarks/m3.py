"""One network for 1,045 series: what hpo recommends for the M3 panel, beside what is published.

`python benchmarks/m3.py` lets hpo's own study choose the size and rate of one global network on
folds inside the training parts, trains it anew with ten fresh seeds on all rows before the test
span, and scores the mean of their forecasts there, once: one step ahead from 18 origins a series,
and 18 steps ahead from one. What was done is kept in build/m3 and not done again, unless `--again`.
Shapes: S series, H horizon, O origins.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import optuna
from kept import Kept
from m3_references import PUBLISHED, SOURCE, Score, references, score_of
from m3_series import SEASON, TEST, Series, m3_series, panel_frame
from rich.console import Console, Group
from rich.progress import track
from study_runs import run_here
from telling import table_of, tell

from hpo.data.folds import Fold
from hpo.data.prepare import Prepared
from hpo.data.question import Question, ask
from hpo.fitting.fit import fit_network, shape_of
from hpo.fitting.material import Material
from hpo.spec.candidate import Candidate
from hpo.training.engine import Engines

ROOT = Path(__file__).resolve().parents[1]
HORIZONS = (1, TEST)
FIRST_SEED, SEEDS = 1_000, 10  # no study comes so far
STUDY = {
    "data.target": "y",
    "data.series": "series",
    "data.time": "month",
    "data.season": SEASON,
    "data.test": TEST,
    "task.metric": "smape",
    "space.layers": [1, 2],
    "space.cells": [2, 64],
    "training.max_steps": 4_000,
    "training.batch_size": 128,
    "validation.folds": 2,
    "validation.seeds": 5,
    "search.sampler": "ladder",
}
LOOKBACKS = {1: [15, 24], TEST: [12, 18]}  # searched: the rule's, and what the folds leave room for
QUICK_STUDY = {
    "budget.trials": 3,
    "validation.seeds": 2,
    "space.cells": [2, 8],
    "training.max_steps": 100,
}
QUICK_SERIES = 40
Row = dict[str, Any]


def question_of(series: Sequence[Series], horizon: int, values: dict[str, Any]) -> Question:
    """The study that is asked about the panel."""
    named = STUDY | {"task.horizon": horizon, "task.lookback": LOOKBACKS[horizon]} | values
    return ask(panel_frame(series, with_test=True), named, name=f"m3-{horizon}")


def answer_of(question: Question, threads: int) -> Row:
    """The answer of a study that is run in this process, and all its trials."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/study.db"
        answer = run_here(question, url, threads=threads).model_dump(mode="json")
        trials = optuna.load_study(study_name=question.study.name, storage=url).get_trials()
        return answer | {"tried": [_trial(t) for t in trials if t.value is not None]}


def _trial(trial: optuna.trial.FrozenTrial) -> Row:
    layers = trial.params["layers"]
    cells = [trial.params[f"cells_{n}"] for n in range(1, layers + 1)]
    return {
        "cells": "x".join(map(str, cells)),
        "rate": trial.params["learning_rate"],
        "score": trial.value,
        "state": trial.state.name.lower(),
    }


def forecast_test(question: Question, answer: Row, seeds: int, options: argparse.Namespace) -> Row:
    """Score the recommended network on the test span: each seed alone, and the mean of all."""
    began = perf_counter()
    prepared = question.prepared
    material, fold = Material(prepared), _whole_test(prepared)
    candidate = Candidate(
        cells=tuple(answer["cells"]),
        learning_rate=answer["learning_rate"],
        weight_decay=answer["weight_decay"],
        dropout=answer["dropout"],
        lookback=answer["lookback"],
    )
    trainer = Engines("auto", "cpu").trainer_for(shape_of(prepared, candidate))
    per_seed = []
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        fitted = fit_network(
            material,
            fold,
            candidate,
            seed=seed,
            trainer=trainer,
            on_check=lambda _step, _loss: True,
            steps=answer["steps"],
        )
        per_seed.append(fitted.forecast_OH.reshape(len(options.series), TEST))
    alone = [asdict(score_of(options.series, [*forecast_SH])) for forecast_SH in per_seed]
    mean = score_of(options.series, [*np.mean(per_seed, axis=0)])
    return {"ensemble": asdict(mean), "alone": alone, "wall_s": perf_counter() - began}


def _whole_test(prepared: Prepared) -> Fold:
    """The test span with every origin: hpo itself scores no more than 4,096, evenly taken."""
    ends_S = prepared.test.train_ends_S
    origins = TEST - prepared.study.task.horizon + 1
    series = np.arange(len(ends_S))
    return replace(
        prepared.test,
        origins_O=(ends_S[:, None] - 1 + np.arange(origins)).ravel(),
        series_O=np.repeat(series, origins),
        scale_O=np.ones(len(series) * origins),
    )


def measure(horizon: int, options: argparse.Namespace, kept: Kept) -> Row:
    """The study of a horizon, its network's errors on the test span, and those of others."""
    question = question_of(options.series, horizon, options.values)
    answer = kept.get(f"answer-{horizon}", lambda: answer_of(question, options.threads))
    tested = kept.get(
        f"test-{horizon}", lambda: forecast_test(question, answer, options.seeds, options)
    )
    others = kept.get(
        f"references-{horizon}",
        lambda: {n: asdict(s) for n, s in references(options.series, horizon).items()},
    )
    return {
        "horizon": horizon,
        "ours": tested["ensemble"],
        "alone": _mean(tested["alone"]),
        "computed": others,
        "published": {n: asdict(Score(*s)) for n, s in PUBLISHED[horizon].items()},
        "answer": answer,
        "study_s": answer["wall_s"],
        "test_s": tested["wall_s"],
        "transform": question.prepared.transform_steps,
        "series": len(options.series),
    }


def _mean(scores: Sequence[Row]) -> Row:
    return {key: float(np.mean([s[key] for s in scores])) for key in ("smape", "mase")}


def tables(rows: Sequence[Row]) -> Group:
    """Per horizon the scores, ours first, and what the study tried."""
    shown = []
    for r in rows:
        shown += [_scores_table(r), _study_table(r)]
    return Group(*shown)


def _scores_table(r: Row) -> Any:
    lines = [
        {"method": "hpo, mean of seeds", "from": "this run"} | r["ours"],
        {"method": "hpo, one seed", "from": "this run"} | r["alone"],
        *({"method": n, "from": "this run"} | s for n, s in r["computed"].items()),
        *({"method": n, "from": "published"} | s for n, s in r["published"].items()),
    ]
    lines = [line | {k: f"{line[k]:.3f}" for k in ("smape", "mase")} for line in lines]
    answer = r["answer"]
    return table_of(
        lines,
        {"method": "method", "from": "from", "sMAPE": "smape", "MASE": "mase"},
        title=f"{r['horizon']} ahead, {r['series']:,} series: {answer['cells']} cells, "
        f"rate {answer['learning_rate']:.3g}, lookback {answer['lookback']}, {answer['strategy']}, "
        f"{r['transform']}; study {r['study_s']:.0f} s, test {r['test_s']:.0f} s",
        caption=f"published: {SOURCE}",
    )


def _study_table(r: Row) -> Any:
    answer = r["answer"]
    lines = [t | {"score": f"{t['score']:.3f}"} for t in answer["tried"]]
    for name, score in answer["benchmarks"].items():
        lines.append({"cells": name, "rate": "", "score": f"{score:.3f}", "state": "benchmark"})
    return table_of(
        lines,
        {"cells": "cells", "rate": "rate", "sMAPE on folds": "score", "": "state"},
        title=f"{r['horizon']} ahead, on folds inside the training parts; "
        f"the recommended one with fresh seeds: {answer['score']:.3f}",
    )


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="40 series, tiny studies")
    parser.add_argument("--again", action="store_true", help="do again what was kept")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "m3")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(words)
    options.series, options.values, options.seeds = m3_series(), {}, SEEDS
    if options.quick:
        options.series = options.series[:: len(options.series) // QUICK_SERIES][:QUICK_SERIES]
        options.values, options.seeds = QUICK_STUDY, 2
        options.folder = options.folder / "quick"
    return options


def main() -> int:
    """Run what the command line asks for and print it."""
    options = parse(sys.argv[1:])
    kept = Kept(options.folder, again=options.again)
    aside = Console(stderr=True)
    watched = track(HORIZONS, console=aside, transient=True, disable=options.json)
    rows = [measure(horizon, options, kept) for horizon in watched]
    tell({"source": SOURCE, "rows": rows}, lambda: tables(rows), as_json=options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
