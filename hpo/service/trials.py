"""Optuna's side of a slot: its trial is made, found again, looked up and told."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.data.prepare import Prepared
from hpo.errors import UnknownStudy
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.search.space import Params, distributions, to_candidate
from hpo.search.suggestion import suggest_together
from hpo.service.claims import Claim, refuse_lost
from hpo.service.database import Database
from hpo.service.patience import patient
from hpo.sizing.bound import UNBOUNDED, Limit, capacity, largest_equal_cells, parameters

SLOT = "slot"
FACTS = "facts"  # in one attribute: each costs two statements
CONSTRAINT = "infeasible"


@dataclass(frozen=True)
class Batch:
    """The trials of a batch's claims, and every trial of the study when they were looked up."""

    trials: list[FrozenTrial]
    history: Sequence[FrozenTrial]


@patient
def batch_of(
    database: Database, optuna_id: int, claims: Sequence[Claim], prepared: Prepared
) -> Batch:
    """The trials of claimed slots: those they have, those that lost their worker, or new ones.

    New ones are suggested from the trials that have ended.
    """
    history = all_trials(database, optuna_id)
    known = {trial.number: trial for trial in history}
    submitted = claims[0].created_at
    numbers = _numbers_by_slot(history, submitted)
    numbers |= {claim.number: claim.trial for claim in claims if claim.trial is not None}
    new = [claim.number for claim in claims if claim.number not in numbers]
    templates = _templates(prepared, new, history, submitted)
    for slot, template in zip(new, templates, strict=True):
        made = _create(database, optuna_id, template)
        known[made.number], numbers[slot] = made, made.number
    return Batch([known[numbers[claim.number]] for claim in claims], history)


def _numbers_by_slot(history: Sequence[FrozenTrial], submitted: float) -> dict[int, int]:
    """The number of each slot's trial: of two the first, another was made without a lease.

    Failed ones were closed when their study ended.
    """
    numbered = [
        trial
        for trial in history
        if SLOT in trial.user_attrs and trial.state != TrialState.FAIL and _is_of(trial, submitted)
    ]
    return {trial.user_attrs[SLOT]: trial.number for trial in reversed(numbered)}


def _is_of(trial: FrozenTrial, submitted: float) -> bool:
    """Whether the trial was made for the study of this time of submission.

    Others were made by a worker that had not heard that its study was deleted, whose id this one
    has got.
    """
    found: float = trial.user_attrs.get(FACTS, {}).get("submitted", submitted)
    return found == submitted


@patient
def all_trials(database: Database, optuna_id: int) -> list[FrozenTrial]:
    """Every trial of the study as Optuna stores it, by number."""
    with _optunas(database):
        return database.storage.get_all_trials(optuna_id, deepcopy=False)


@contextmanager
def _optunas(database: Database) -> Iterator[None]:
    """Calls of Optuna's storage. Raises UnknownStudy where the study is not there any more."""
    with database.translated():
        try:
            yield
        except KeyError as error:
            raise UnknownStudy("the study was deleted") from error


@patient
def close_orphans(
    database: Database, optuna_id: int, submitted: float, *, by: Claim | None = None
) -> None:
    """Fail trials that still run when all slots have ended, or the study is cancelled.

    No slot is theirs: such a trial is made by a worker that lost its lease between taking a slot
    and making the trial. Raises UnknownStudy, and LeaseLost when the claim `by` is not held.
    """
    if by is not None:
        refuse_lost(database, [by])
    for trial in all_trials(database, optuna_id):
        if not trial.state.is_finished() and _is_of(trial, submitted):
            with _optunas(database), suppress(UpdateFinishedTrialError):  # told meanwhile
                database.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def _templates(
    prepared: Prepared,
    slots: Sequence[int],
    history: Sequence[FrozenTrial],
    submitted: float,
) -> list[FrozenTrial]:
    """New trials of these slots, suggested one beside the other.

    Their facts tell what they were suggested from: `seen`, the numbers of the trials that had
    ended, and `beside`, the slots that were suggested before in the same batch.
    """
    seen = [trial for trial in history if trial.state.is_finished()]
    numbers = [trial.number for trial in seen]
    suggested = suggest_together(prepared, seen, [slot - 1 for slot in slots]) if slots else []
    return [
        create_trial(
            state=TrialState.RUNNING,
            params=params,
            distributions=distributions(prepared),
            user_attrs={
                SLOT: slot,
                FACTS: _network_and_bound(prepared, params)
                | {"seen": numbers, "beside": list(slots[:place]), "submitted": submitted},
            },
        )
        for place, (slot, params) in enumerate(zip(slots, suggested, strict=True))
    ]


def _create(database: Database, optuna_id: int, template: FrozenTrial) -> FrozenTrial:
    """Write a trial; the template with the number that it was given."""
    storage = database.storage
    with _optunas(database):
        trial_id = storage.create_new_trial(optuna_id, template_trial=template)
    # The storage remembers what it made: to ask it in public would cost a transaction.
    _, number = storage._trial_id_to_study_id_and_number[trial_id]
    template.number, template._trial_id = number, trial_id
    return template


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
def tell(database: Database, trial: FrozenTrial, outcome: Outcome) -> Outcome:
    """Tell Optuna how the trial ended, and return what stands.

    A trial that was told already stays as it is. Infeasible is COMPLETE with an infinite value and
    a broken constraint: samplers learn from that, while FAIL would be invisible to them.
    """
    if trial.state.is_finished():
        return told(trial) or outcome
    with _optunas(database):
        try:
            _write(database.storage, trial._trial_id, outcome)
        except UpdateFinishedTrialError:  # a worker that had lost the lease told it meanwhile
            return told(database.storage.get_trial(trial._trial_id)) or outcome
    return outcome


def _write(storage: BaseStorage, trial_id: int, outcome: Outcome) -> None:
    match outcome:
        case Completed(score):
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [score])
        case Pruned(score, reason):
            storage.set_trial_intermediate_value(trial_id, 0, score)
            storage.set_trial_user_attr(trial_id, "reason", reason)
            storage.set_trial_state_values(trial_id, TrialState.PRUNED, None)
        case Infeasible(reason):
            storage.set_trial_user_attr(trial_id, "reason", reason)
            storage.set_trial_system_attr(trial_id, f"constraints:{CONSTRAINT}", 1.0)
            storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [float("inf")])


def told(trial: FrozenTrial) -> Outcome | None:
    """The outcome that was told for a trial, None while it runs.

    A broken constraint is the word that counts, also where the teller died before the end.
    """
    reason = str(trial.user_attrs.get("reason", ""))
    match trial.state:
        case _ if not is_feasible(trial):
            return Infeasible(reason)
        case TrialState.COMPLETE:
            return Completed(float(trial.values[0]))
        case TrialState.FAIL:
            return Infeasible(reason or "the trial was failed from outside")
        case TrialState.PRUNED:
            return Pruned(trial.intermediate_values.get(0, float("nan")), reason)
        case _:
            return None


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether the trial's network could be trained."""
    return all(value <= 0 for value in trial.constraints.values())


def quiet() -> None:
    """Keep Optuna's own log lines off the screen: hpo words what happens."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
