"""How far a study is: counts, the best network so far, its workers."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hpo.errors import UnknownStudy
from hpo.service import studies
from hpo.service.database import Database, now
from hpo.service.failures import last_trace
from hpo.service.patience import patient
from hpo.service.registry import last_refusal, workers_of
from hpo.service.results import count_networks
from hpo.service.tables import slots
from hpo.service.trials import all_trials, cells_of
from hpo.spec.answer import TrialCounts


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a progress display needs, cheap enough to ask every half second.

    `state` is studies.DELETED when the study is not there any more.
    """

    state: str
    benchmarked: bool
    trials: TrialCounts
    running: int
    waiting: int
    skipped: int
    networks: int
    best_score: float | None
    judging: bool

    @property
    def budget(self) -> int:
        """All trials: those that ended, run, wait, or will not be made."""
        return self.trials.ended + self.running + self.waiting + self.skipped


@patient
def progress(database: Database, name: str) -> Progress:
    """The study's counts now."""
    query = (
        sa.select(
            slots.c.kind, slots.c.state, slots.c.outcome, slots.c.expires_at > now(), slots.c.score
        )
        .where(slots.c.study == name)
        .order_by(slots.c.number)
    )
    # The state first: when it says that the study has ended, the counts are the last ones.
    state = studies.state(database, name) or studies.DELETED
    with database.reading() as connection:
        rows = connection.execute(query).all()
    of_trials = [row for row in rows if row[0] == "trial"]
    outcomes = [row[2] for row in of_trials if row[1] == "ended"]
    running = sum(row[1] == "taken" and bool(row[3]) for row in of_trials)
    scores = [row[4] for row in of_trials if row[2] == "complete"]
    return Progress(
        state=state,
        benchmarked=any(row[0] == "benchmark" and row[1] == "ended" for row in rows),
        trials=TrialCounts(
            complete=outcomes.count("complete"),
            pruned=outcomes.count("pruned"),
            infeasible=outcomes.count("infeasible"),
        ),
        running=running,
        waiting=len(of_trials) - len(outcomes) - running,
        skipped=outcomes.count("skipped"),
        networks=count_networks(database, name),
        best_score=min(scores, default=None),
        judging=any(row[0] == "verdict" and row[1] == "taken" for row in rows),
    )


def status(database: Database, name: str) -> dict[str, Any]:
    """The study as `hpo status NAME --json` shows it. Raises UnknownStudy."""
    study = studies.outline(database, name)
    now_ = progress(database, name)
    counts = now_.trials.model_dump() | {"running": now_.running, "waiting": now_.waiting}
    at_work = workers_of(database, name)
    return {
        "study": name,
        "state": study.state,
        "trials": counts,
        "budget": now_.budget,
        "best": _best(database, study),
        "workers": at_work,
        "error": study.error or trouble(database, study, is_served=bool(at_work)) or None,
    }


def trouble(database: Database, study: studies.Outline | studies.Stored, *, is_served: bool) -> str:
    """What went wrong in a study that has not ended: the last error, or why no one works on it."""
    if study.state in studies.ENDED:
        return ""
    return last_trace(database, study.name) or (
        "" if is_served else last_refusal(database, study.name)
    )


def _best(database: Database, study: studies.Outline) -> dict[str, Any] | None:
    query = (
        sa.select(slots.c.trial, slots.c.score)
        .where(slots.c.study == study.name, slots.c.outcome == "complete", slots.c.kind == "trial")
        .order_by(slots.c.score, slots.c.number)
        .limit(1)
    )
    with database.reading() as connection:
        row = connection.execute(query).first()
    if row is None:
        return None
    try:
        cells = cells_of(all_trials(database, study.optuna_id)[row.trial])
    except UnknownStudy:  # it is being deleted
        return None
    return {"layers": len(cells), "cells": cells, "score": row.score}
