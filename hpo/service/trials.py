"""Optuna's side of a slot: its trial is made, looked up and ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import optuna
import sqlalchemy as sa
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import Connection

from hpo.data.prepare import Prepared
from hpo.errors import UnknownStudy
from hpo.search.known import KnownTrials
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.search.phases import standing
from hpo.search.space import Params, distributions, to_candidate
from hpo.search.suggestion import suggest_together
from hpo.service import trial_rows
from hpo.service.claims import (
    Claim,
    LeaseLost,
    Settlement,
    bind,
    held,
    settle_within,
    settled,
)
from hpo.service.database import Database, now
from hpo.service.patience import patient
from hpo.service.tables import studies
from hpo.sizing.bound import UNBOUNDED, Limit, capacity, largest_equal_cells, parameters

FACTS = "facts"  # of a trial, in one attribute: one row to write and to read
FROM_OUTSIDE = Infeasible("the trial was ended from outside")


@dataclass(frozen=True)
class Batch:
    """The trials of a batch's claims, and every trial of the study when they were looked up."""

    trials: list[FrozenTrial]
    history: Sequence[FrozenTrial]


@patient
def batch_of(
    database: Database,
    optuna_id: int,
    claims: Sequence[Claim],
    prepared: Prepared,
    known_of: Callable[[Sequence[FrozenTrial]], KnownTrials] = lambda _: {},
) -> Batch:
    """The trials of claimed slots: those they have, or new ones.

    New ones are suggested from the trials that have ended, and what `known_of` tells of them.
    Raises LeaseLost, UnknownStudy, SearchEnded.
    """
    history = all_trials(database, optuna_id)
    new = [claim.number for claim in claims if claim.trial is None]
    known = known_of(history) if new else {}
    templates = dict(zip(new, _templates(prepared, new, history, known), strict=True))
    numbers = {claim.number: claim.trial for claim in claims if claim.trial is not None}
    if new:
        numbers = make(database, claims, templates)
    by_number = {trial.number: trial for trial in (*templates.values(), *history)}
    if not by_number.keys() >= set(numbers.values()):  # an earlier attempt's commit came in late
        by_number |= {trial.number: trial for trial in all_trials(database, optuna_id)}
    return Batch([by_number[numbers[claim.number]] for claim in claims], history)


def make(
    database: Database, claims: Sequence[Claim], templates: Mapping[int, FrozenTrial]
) -> dict[int, int]:
    """Write trials and bind them to their slots, in one transaction; their numbers by slot.

    A slot that has a trial by now keeps it: a connection may have been lost after the commit.
    Raises LeaseLost, also where the study has ended, and UnknownStudy.
    """
    with database.transaction() as connection:
        bound = held(connection, claims)
        optuna_id = trial_rows.lock(connection, claims[0].study)
        _refuse_if_ended(connection, claims[0].study)
        new = [claim for claim in claims if claim.number not in bound]
        if new:
            trial_rows.add(connection, optuna_id, [templates[claim.number] for claim in new])
            made = {claim.number: templates[claim.number].number for claim in new}
            bind(connection, [(claim, made[claim.number]) for claim in new])
            bound |= made
    return bound


def _refuse_if_ended(connection: Connection, study: str) -> None:
    """Raises LeaseLost; also of a failed study, whose trials wait for it to be opened again."""
    query = sa.select(studies.c.ended_at).where(studies.c.name == study)
    if connection.execute(query).scalar_one_or_none() is not None:
        raise LeaseLost(f"{study} has ended")


@patient
def all_trials(database: Database, optuna_id: int) -> list[FrozenTrial]:
    """Every trial of the study as Optuna stores it, by number. Raises UnknownStudy."""
    with database.translated():
        try:
            return database.storage.get_all_trials(optuna_id, deepcopy=False)
        except KeyError as error:
            raise UnknownStudy("the study was deleted") from error


@patient
def are_gone(database: Database, study: str) -> bool:
    """Whether there is no study of this name in Optuna's tables."""
    with database.reading() as connection:
        return connection.execute(trial_rows.id_of(study)).first() is None


def _templates(
    prepared: Prepared, slots: Sequence[int], history: Sequence[FrozenTrial], known: KnownTrials
) -> list[FrozenTrial]:
    """New trials of these slots, suggested one beside the other.

    Their facts tell what they were suggested from: `seen`, the numbers of the trials that had
    ended, `running`, of those that had not, and `beside`, the slots that were suggested before in
    the same batch.
    """
    if not slots:
        return []
    seen, running = parted(history)
    facts = {"seen": [t.number for t in seen], "running": [t.number for t in running]}
    now_at = standing(prepared, seen, known)
    suggested = suggest_together(
        now_at.prepared, seen, [slot - 1 for slot in slots], climb=now_at.climb, running=running
    )
    return [
        create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions=distributions(prepared),
            user_attrs={
                FACTS: {"slot": slot}
                | _network_and_bound(now_at.prepared, params)
                | facts
                | {"beside": list(slots[:place])}
            },
        )
        for place, (slot, params) in enumerate(zip(slots, suggested, strict=True))
    ]


def parted(history: Sequence[FrozenTrial]) -> tuple[list[FrozenTrial], list[FrozenTrial]]:
    """The trials that have ended, and those that have not."""
    ended = [trial for trial in history if trial.state.is_finished()]
    return ended, [trial for trial in history if not trial.state.is_finished()]


def cells_of(trial: FrozenTrial) -> list[int]:
    """The cells per layer of a trial's network."""
    cells: list[int] = trial.user_attrs[FACTS]["cells"]
    return cells


def _network_and_bound(prepared: Prepared, params: Params) -> dict[str, object]:
    limit = prepared.limit
    cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
    most = largest_equal_cells(len(cells), limit)
    return {
        "cells": list(cells),
        "weights": parameters(cells, limit.inputs, limit.outputs),
        "rule": limit.rule,
        "alpha": limit.alpha,
        "max_equal_cells": None if most == UNBOUNDED else most,
        **_limit(limit),
    }


def _limit(limit: Limit) -> dict[str, object]:
    """What the rule allows a network, in its own unit: cells of all layers, or weights."""
    match limit.rule:
        case "off":
            return {}
        case "formula":
            return {"limit_cells": capacity(limit)}
        case _:
            return {"limit_weights": capacity(limit)}


@patient
def end(
    database: Database,
    ended: Sequence[tuple[Claim, FrozenTrial, Outcome]],
    *,
    forget: Sequence[int] = (),
) -> list[Settlement]:
    """End trials and settle their slots, in one transaction; how they were settled.

    A trial that was ended from outside stays as it is. `forget` is `settle_within`'s. To end once
    more what was ended under the same claims does nothing. Raises LeaseLost.
    """
    outcomes = {trial._trial_id: outcome for _, trial, outcome in ended}
    study = ended[0][0].study
    with database.transaction() as connection:
        if before := settled(connection, [claim for claim, _, _ in ended]):
            return before
        if foreign := trial_rows.end(connection, study, outcomes):
            _refuse_if_ended(connection, study)
        settlements = [
            _settlement(claim, FROM_OUTSIDE if trial._trial_id in foreign else outcome)
            for claim, trial, outcome in ended
        ]
        settle_within(connection, settlements, forget=forget)
    return settlements


def _settlement(claim: Claim, outcome: Outcome) -> Settlement:
    match outcome:
        case Completed(score):
            return Settlement(claim=claim, outcome="complete", score=score)
        case Pruned(score, reason):
            return Settlement(claim=claim, outcome="pruned", score=score, reason=reason)
        case Infeasible(reason):
            return Settlement(claim=claim, outcome="infeasible", reason=reason)
        case _:
            assert_never(outcome)


@patient
def end_study(database: Database, verdict: Claim, answer: str) -> None:
    """End a study with its answer, in one transaction.

    Trials that still run are those of skipped slots: they fail. Raises LeaseLost, UnknownStudy.
    """
    done = Settlement(claim=verdict, outcome="complete")
    with database.transaction() as connection:
        if not settled(connection, [verdict]):
            settle_within(connection, [done], answer=answer, state="done", ended_at=now())
            trial_rows.fail_running(connection, verdict.study)


def is_complete(trial: FrozenTrial) -> bool:
    """Whether networks have earned the trial's score: infeasible ones are COMPLETE, too."""
    is_feasible = all(value <= 0 for value in trial.constraints.values())
    return trial.state == TrialState.COMPLETE and is_feasible


def quiet() -> None:
    """Keep Optuna's own log lines off the screen: hpo words what happens."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
