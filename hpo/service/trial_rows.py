"""Optuna's rows of trials, written in our own transactions together with the slots they belong to.

Optuna's storage writes every trial, and every word about it, in a transaction of its own, which
cannot be one with a slot's. These are the rows that it would write, through its own tables
(tests/integration/service/test_trial_rows.py); docs/decisions/0010 says why.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from optuna.distributions import distribution_to_json
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.engine import Connection

from hpo.errors import UnknownStudy
from hpo.search.outcome import Completed, Infeasible, Outcome, Pruned
from hpo.service.database import INSERTS

CONSTRAINT = "constraints:infeasible"  # where Optuna keeps a trial's constraints
REASON = "reason"
Row = dict[str, Any]


def _table(model: type[Any]) -> sa.Table:
    found: sa.Table = model.__table__
    return found


STUDIES, TRIALS = _table(models.StudyModel), _table(models.TrialModel)
PARAMS = _table(models.TrialParamModel)
VALUES = _table(models.TrialValueModel)
INTERMEDIATE = _table(models.TrialIntermediateValueModel)
USER_ATTRS = _table(models.TrialUserAttributeModel)
SYSTEM_ATTRS = _table(models.TrialSystemAttributeModel)
KEYS = ("trial_id", "objective", "step", "key")  # of the rows of a trial, each in its table


def id_of(study: str) -> sa.Select[Any]:
    """Asks for Optuna's id of the study of this name."""
    return sa.select(STUDIES.c.study_id).where(STUDIES.c.study_name == study)


def lock(connection: Connection, study: str) -> int:
    """Let nobody else add trials to this study before the transaction's end; Optuna's id of it.

    Optuna's own way to number trials one after the other. By name: SQLite gives the ids of deleted
    studies again. Raises UnknownStudy.
    """
    found: int | None = connection.execute(id_of(study).with_for_update()).scalar_one_or_none()
    if found is None:
        raise UnknownStudy("the study was deleted")
    return found


def add(connection: Connection, optuna_id: int, templates: Sequence[FrozenTrial]) -> None:
    """Write running trials of a study that is locked; each template gets its number and id.

    Only under that lock do ids become visible in ascending order: Optuna's storage does not look
    for new trials below the highest id that it has seen to be finished.
    """
    of_study = sa.select(sa.func.count()).select_from(TRIALS).where(TRIALS.c.study_id == optuna_id)
    first, began = connection.execute(of_study).scalar_one(), _now()
    for number, trial in enumerate(templates, start=first):
        trial.number = number
    running = {"study_id": optuna_id, "state": TrialState.RUNNING, "datetime_start": began}
    ids = connection.execute(
        TRIALS.insert().returning(TRIALS.c.trial_id, sort_by_parameter_order=True),
        [running | {"number": trial.number} for trial in templates],
    ).scalars()
    for trial, trial_id in zip(templates, ids, strict=True):
        trial._trial_id = trial_id
    _insert(connection, PARAMS, [row for trial in templates for row in _params(trial)])
    _insert(connection, USER_ATTRS, [row for trial in templates for row in _user_attrs(trial)])


def _params(trial: FrozenTrial) -> list[Row]:
    return [
        {
            "trial_id": trial._trial_id,
            "param_name": name,
            "param_value": trial.distributions[name].to_internal_repr(value),
            "distribution_json": distribution_to_json(trial.distributions[name]),
        }
        for name, value in trial.params.items()
    ]


def _user_attrs(trial: FrozenTrial) -> list[Row]:
    return [_attribute(trial._trial_id, key, value) for key, value in trial.user_attrs.items()]


def end(connection: Connection, study: str, outcomes: Mapping[int, Outcome]) -> set[int]:
    """End trials of a study, by id; the ids of those that do not run, which stay as they are.

    Infeasible is COMPLETE with an infinite value and a broken constraint: samplers learn from that,
    while FAIL would be invisible to them.
    """
    running = _lock_running(connection, study, TRIALS.c.trial_id.in_(outcomes))
    rows: dict[sa.Table, list[Row]] = {
        VALUES: [],
        INTERMEDIATE: [],
        USER_ATTRS: [],
        SYSTEM_ATTRS: [],
    }
    states: dict[TrialState, list[int]] = {}
    for trial_id in running:
        match outcomes[trial_id]:
            case Completed(score):
                state = TrialState.COMPLETE
                rows[VALUES].append(_value(trial_id, score))
            case Pruned(score, reason):
                state = TrialState.PRUNED
                rows[INTERMEDIATE].append(_intermediate_value(trial_id, score))
                rows[USER_ATTRS].append(_attribute(trial_id, REASON, reason))
            case Infeasible(reason):
                state = TrialState.COMPLETE
                rows[VALUES].append(_value(trial_id, float("inf")))
                rows[USER_ATTRS].append(_attribute(trial_id, REASON, reason))
                rows[SYSTEM_ATTRS].append(_attribute(trial_id, CONSTRAINT, 1.0))
        states.setdefault(state, []).append(trial_id)
    for state, ids in states.items():
        _set_state(connection, state, ids)
    for table, new in rows.items():
        _put(connection, table, new)
    return set(outcomes).difference(running)


def fail_running(connection: Connection, study: str) -> None:
    """Fail the trials of a study that run, and let no more be added before the transaction's end.

    Raises UnknownStudy.
    """
    lock(connection, study)
    _set_state(connection, TrialState.FAIL, _lock_running(connection, study))


def delete(connection: Connection, study: str) -> None:
    """Remove all rows of Optuna's study and its trials. Raises UnknownStudy."""
    of_study = lock(connection, study)
    its_trials = sa.select(TRIALS.c.trial_id).where(TRIALS.c.study_id == of_study)
    for table in reversed(models.BaseModel.metadata.sorted_tables):  # what refers to others first
        if "study_id" in table.c:
            connection.execute(table.delete().where(table.c.study_id == of_study))
        elif "trial_id" in table.c:
            connection.execute(table.delete().where(table.c.trial_id.in_(its_trials)))


def _lock_running(connection: Connection, study: str, *which: sa.ColumnElement[bool]) -> list[int]:
    """The ids of those trials that run, in the order in which all transactions lock them."""
    query = sa.select(TRIALS.c.trial_id).where(
        TRIALS.c.study_id == id_of(study).scalar_subquery(),
        TRIALS.c.state == TrialState.RUNNING,
        *which,
    )
    return list(connection.execute(query.order_by(TRIALS.c.trial_id).with_for_update()).scalars())


def _set_state(connection: Connection, state: TrialState, trials: Sequence[int]) -> None:
    connection.execute(
        TRIALS.update()
        .where(TRIALS.c.trial_id.in_(trials))
        .values(state=state, datetime_complete=_now())
    )


def _insert(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    if rows:
        connection.execute(table.insert(), rows)


def _put(connection: Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows, in the place of those of the same keys: somebody may have told half of them."""
    if not rows:
        return
    insert = INSERTS[connection.dialect.name](table)
    new = {name: insert.excluded[name] for name in rows[0]}
    keys = [name for name in new if name in KEYS]
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=new), rows)


def _value(trial_id: int, score: float) -> Row:
    value, kind = models.TrialValueModel.value_to_stored_repr(score)
    return {"trial_id": trial_id, "objective": 0, "value": value, "value_type": kind}


def _intermediate_value(trial_id: int, score: float) -> Row:
    value, kind = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr(score)
    return {
        "trial_id": trial_id,
        "step": 0,
        "intermediate_value": value,
        "intermediate_value_type": kind,
    }


def _attribute(trial_id: int, key: str, value: object) -> Row:
    return {"trial_id": trial_id, "key": key, "value_json": json.dumps(value)}


def _now() -> datetime:
    """As Optuna keeps times: in UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None)
