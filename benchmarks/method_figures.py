"""The figures of docs/evidence/method.md, drawn from what the benchmarks of the method have kept.

`python benchmarks/method_figures.py` reads build/truth and build/landscapes, does what lacks there,
and writes teachers.svg, searches.svg and alpha-rule.svg.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import alpha_rule
import landscapes
import matplotlib
import numpy as np
import truth
from kept import Kept
from known_answers import Case
from matplotlib.axes import Axes
from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]
WIDTH_IN, HEIGHT_IN = 6.4, 3.8
INK, WARM, COOL, GREY = "#222222", "#c2571a", "#1f6f8b", "#999999"


def draw_teachers(axes: Axes, rows: Sequence[Row]) -> None:
    """The weights that were recommended beside those that the truth needs."""
    teachers = [r for r in rows if r["kind"] == "teacher"]
    jitter = np.random.default_rng(0)
    for is_right, colour, label in ((True, COOL, "right"), (False, WARM, "not")):
        some = [r for r in teachers if truth.is_right(r) == is_right]
        spread = np.exp(jitter.normal(0, 0.03, (2, len(some))))
        axes.scatter(
            np.array([r["truth_weights"] for r in some]) * spread[0],
            np.array([r["answer_weights"] for r in some]) * spread[1],
            color=colour,
            s=18,
            alpha=0.7,
            label=f"{label}: {len(some)}",
        )
    reach = np.array([30.0, 1500.0])
    axes.plot(reach, reach, color=GREY, lw=0.8)
    axes.fill_between(reach, reach / 3, reach * 3, color=GREY, alpha=0.12, lw=0)
    axes.set(xscale="log", yscale="log", xlim=reach, ylim=(20, 2500))
    axes.set(xlabel="weights of the smallest network within 5 % of the best")
    axes.set(ylabel="weights of the network recommended")
    axes.legend(frameon=False, title="within a factor of 3, error within 10 %", loc="upper left")


def draw_searches(axes: Axes, rows: Sequence[Row]) -> None:
    """What each search costs and what it misses, over all series."""
    for row in landscapes.summary(rows):
        if row["policy"] == "ladder at alpha 2":  # the ladder's own point
            continue
        is_ours = row["policy"] == "ladder"
        axes.plot(100 * row["cost"], row["regret_ses"], "o", color=WARM if is_ours else COOL)
        axes.annotate(
            row["policy"],
            (100 * row["cost"], row["regret_ses"]),
            textcoords="offset points",
            xytext=(5, -11 if row["policy"].startswith("gp") else 4),  # near TPE and random
            color=WARM if is_ours else INK,
        )
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xscale="log", xlabel="training time, % of the whole grid's (median)")
    axes.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"], minor=False)
    axes.minorticks_off()
    axes.set(ylabel="regret on the test spans, standard errors (median)")
    axes.margins(x=0.15, y=0.15)


def draw_alpha_rule(axes: Axes, rows: Sequence[Row]) -> None:
    """What each reading of the rule saves and costs as alpha rises."""
    for rule, colour in (("formula", WARM), ("freedom", COOL), ("strict", INK)):
        mine = [r for r in rows if r["rule"] == rule and r["error_ratio"] is not None]
        saved = [100 * r["saved"] for r in mine]
        lost = [100 * (r["error_ratio"] - 1) for r in mine]
        axes.plot(saved, lost, "o-", color=colour, label=rule, ms=4, lw=1)
        for row, x, y in zip(mine, saved, lost, strict=True):
            place = {"formula": (4, 4), "freedom": (-9, 5), "strict": (5, -11)}[rule]
            axes.annotate(
                f"{row['alpha']:g}", (x, y), textcoords="offset points", xytext=place, color=colour
            )
    axes.axhline(0, color=GREY, lw=0.8)
    axes.set(xlabel="training time of the grid that the bound saves, %")
    axes.set(ylabel="error on the test spans, % more")
    axes.legend(frameon=False, title="reading (alpha at the points)", loc="upper left")


def truth_rows(options: argparse.Namespace) -> list[Row]:
    """What truth.py has found."""
    of_truth = truth.parse(_words(options, folder="truth"))
    kept = Kept(of_truth.folder)
    cases: list[Case] = truth.cases_of(of_truth)
    return [truth.run_case(case, of_truth, kept) for case in cases]


def landscape_rows(options: argparse.Namespace) -> list[Row]:
    """What landscapes.py has found."""
    asked = landscapes.parse(_words(options, folder="landscapes"))
    kept = Kept(landscapes.replays_of(asked))
    return [row for name in asked.series for row in landscapes.replay(name, asked, kept)]


def alpha_rows(options: argparse.Namespace) -> list[Row]:
    """What alpha_rule.py has found."""
    words = _words(options, folder="landscapes", truth="truth")
    found: list[Row] = alpha_rule.find(alpha_rule.parse(words))["summary"]
    return found


def _words(options: argparse.Namespace, **folders: str) -> list[str]:
    """For another program: its options that name a folder, each with its place in `--folder`."""
    words = [
        w for name, place in folders.items() for w in (f"--{name}", str(options.folder / place))
    ]
    return ["--quick", *words] if options.quick else words


Find = Callable[[argparse.Namespace], list[Row]]
Draw = Callable[[Axes, Sequence[Row]], None]
FIGURES: dict[str, tuple[Find, Draw]] = {
    "teachers": (truth_rows, draw_teachers),
    "searches": (landscape_rows, draw_searches),
    "alpha-rule": (alpha_rows, draw_alpha_rule),
}


def main() -> int:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    parser.add_argument("--quick", action="store_true", help="of tiny runs")
    parser.add_argument("--folder", type=Path, default=ROOT / "build", help="what was kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evidence" / "method")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    matplotlib.rc("svg", hashsalt="hpo", fonttype="path")  # the same picture is the same file
    matplotlib.rc("font", size=9)
    matplotlib.rc("axes.spines", top=False, right=False)
    files = []
    for name, (rows_of, draw) in FIGURES.items():
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        draw(figure.subplots(), rows_of(options))
        files.append(str(options.out / f"{name}.svg"))
        figure.savefig(files[-1], metadata={"Date": None})
    told = json.dumps({"rows": files}) if options.json else "\n".join(files)
    sys.stdout.write(f"{told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
