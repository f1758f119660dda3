"""Snapshots of a study that never was, and the pace of it."""

from typing import Any

from hpo.live.pace import Pace
from hpo.service.shown import TrialShown
from hpo.service.snapshot import Snapshot
from hpo.service.status import Progress
from hpo.spec.answer import TrialCounts

SCORES = {(2,): 0.52, (3,): 0.44, (8,): 0.401, (16,): 0.412, (4, 4): 0.39, (8, 8): 0.46}


def shown(number: int, cells: tuple[int, ...], score: float | None) -> TrialShown:
    """A complete trial, or one that runs where there is no score."""
    return TrialShown(
        number=number,
        ending="running" if score is None else "complete",
        cells=cells,
        weights=43,
        learning_rate=0.01,
        weight_decay=0.0,
        dropout=0.0,
        lookback=None,
        alpha=2.0,
        most_cells=28,
        score=score,
        reason="",
        worker="ann",
    )


def snapshot(ended: int = 12, **changed: Any) -> Snapshot:
    """A study in the middle of its search; `changed` values are the snapshot's or its counts'."""
    counts: dict[str, Any] = {
        "state": "running",
        "benchmarked": True,
        "trials": TrialCounts(complete=ended),
        "running": 4,
        "waiting": 56 - ended,
        "skipped": 0,
        "networks": ended * 12,
        "best_score": 0.39,
        "judging": False,
    }
    facts: dict[str, Any] = {
        "study": "airline",
        "metric": "mase",
        "budget": 60,
        "may_end_early": True,
        "benchmarks": {"naive": 1.239, "seasonal_naive": 1.33, "ridge": 0.3463},
        "sizes": [shown(n, cells, score) for n, (cells, score) in enumerate(SCORES.items())],
        "trying": [(6,), (24,), (12, 12)],
        "raced": 0,
        "tested": 0,
        "most_raced": 480,
        "workers": 1,
        "trouble": "",
    }
    told = Progress(**(counts | {k: v for k, v in changed.items() if k in counts}))
    return Snapshot(
        progress=told, **(facts | {k: v for k, v in changed.items() if k not in counts})
    )


class Clock:
    """Stands still until it is set."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def seen(clock: Clock, *ended: int, every_s: float = 1.0) -> Pace:
    """The pace after as many trials had ended at each moment."""
    pace = Pace(clock)
    for count in ended:
        pace.see(snapshot(count))
        clock.now_s += every_s
    clock.now_s -= every_s
    return pace
