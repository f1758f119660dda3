"""Whatever happens to a study, in whatever order, its slots and its state follow a small model."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.engine import Connection

from hpo.errors import StudyConflict, StudyFailed, UnknownStudy, UsageError
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Outcome, Pruned
from hpo.service import deletion, life, registry, submission, trials
from hpo.service.claims import Claim, LeaseLost, Settlement, beat, release, settle
from hpo.service.database import Database
from hpo.service.failures import record_failure
from hpo.service.results import record_networks
from hpo.service.study_data import StudyData
from hpo.service.taking import take
from hpo.spec.answer import Answer
from hpo.spec.study import Study
from tests.integration.service.databases import opened
from tests.unit.search.fake_trainer import tiny_study

SETTINGS = settings(
    max_examples=40,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
NETWORK = NetworkRecord(
    fold=0,
    seed=0,
    losses_O=np.array([0.5]),
    steps=7,
    train_loss=1.0,
    watch_loss=1.0,
    wall_s=0.5,
    engine="fake",
    device="cpu",
)
DATA = StudyData(parquet=b"PAR1")
OUTCOMES = st.lists(st.sampled_from(["complete", "pruned", "infeasible"]), min_size=4, max_size=4)
OUTCOMES_BY_NAME: dict[str, Outcome] = {
    "complete": Completed(1.0),
    "pruned": Pruned(2.0, "clearly worse"),
    "infeasible": Infeasible("the loss is not a finite number"),
}
ANSWER = Answer(
    study="tiny",
    state="done",
    task={},
    horizon=1,
    alpha=2.0,
    metric="mase",
    seed=0,
    fingerprint="0" * 64,
).model_dump_json()
MOST = st.integers(1, 4)
WORKERS = ("ann", "bob", "cyd")
TRACES = ("KeyError: 'sales'", "ValueError: no rows")
MOST_EQUAL = 3
AT_WORK = ("queued", "running", "stopping")
PAUSABLE = ("queued", "running")
STOPPABLE = (*PAUSABLE, "paused")
OPEN = (*STOPPABLE, "stopping")
VERBS = (
    *("submit", "submit_other_values", "submit_other_data", "pause", "stop", "cancel", "delete"),
    *("submit", "resume", "resume", "resume"),
)
REFUSALS = (UsageError, StudyFailed, LeaseLost)
Row = tuple[Any, ...]
Seen = tuple[str | None, list[Row], list[int], list[str]]
NAMES = (f"study-{place}" for place in itertools.count())


@dataclass
class Slot:
    """One unit of work as the model knows it."""

    number: int
    kind: str
    state: str = "open"
    token: int = 0
    trial: int | None = None
    worker: str | None = None
    expiries: int = 0
    crashes: int = 0
    outcome: str | None = None
    has_expired: bool = False

    @property
    def may_be_taken(self) -> bool:
        return self.state == "open" or self.has_expired


@dataclass(frozen=True)
class Batch:
    """Slots that were taken together, of the study as it was submitted for the n-th time."""

    claims: tuple[Claim, ...]
    generation: int


@dataclass
class Model:
    """A study that is one value: each verb does what the database must do, or refuses."""

    trials: int = 3
    data: str = "data"
    generation: int = 0
    state: str | None = None
    has_begun: bool = False
    slots: list[Slot] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    networks: set[int] = field(default_factory=set)
    optunas: list[str] = field(default_factory=list)  # the states of Optuna's trials

    def of_trials(self, *outcomes: str) -> list[Slot]:
        found = [slot for slot in self.slots if slot.kind == "trial"]
        return [slot for slot in found if not outcomes or slot.outcome in outcomes]

    def submit(self, *, trials: int, data: str) -> bool:
        if self.state is None:
            kinds = ["benchmark", *["trial"] * trials, "verdict"]
            self.slots = [Slot(number, kind) for number, kind in enumerate(kinds)]
            self.trials, self.data, self.traces = trials, data, []
            self.state, self.has_begun = "queued", False
            self.generation += 1
            return True
        if (trials, data) != (self.trials, self.data):
            raise StudyConflict("other values")
        if self.state == "cancelled":
            raise StudyFailed("cancelled")
        if self.state == "failed":
            self._reopen()
        return False

    def _reopen(self) -> None:
        if len(self.of_trials("pruned", "infeasible")) == self.trials:
            raise StudyFailed("every trial was tried")
        for slot in self.slots:
            if slot.outcome == "skipped" or slot.kind == "verdict":
                slot.state, slot.outcome, slot.worker, slot.has_expired = "open", None, None, False
            if slot.state != "ended":
                slot.crashes = slot.expiries = 0
        self.state, self.traces = "queued", []

    def takeable(self) -> list[Slot]:
        """The slots of which the next may be taken: benchmarks, else trials, else the verdict."""
        if self.state not in AT_WORK:
            return []
        kind = next(slot.kind for slot in self.slots if slot.state != "ended")
        return [slot for slot in self.slots if slot.kind == kind and slot.may_be_taken]

    def take(self, worker: str, numbers: Sequence[int]) -> None:
        for slot in (self.slots[number] for number in numbers):
            slot.expiries += slot.state == "taken"
            slot.state, slot.worker, slot.has_expired = "taken", worker, False
            slot.token += 1
        if numbers and self.state == "queued":
            self.state, self.has_begun = "running", True

    def held(self, batch: Batch, *states: str) -> list[Slot]:
        """The slots of which the batch has the latest token, in these states."""
        if self.state is None or batch.generation != self.generation:
            return []
        mine = [(self.slots[claim.number], claim.token) for claim in batch.claims]
        return [slot for slot, token in mine if slot.token == token and slot.state in states]

    def refuse_lost(self, batch: Batch, *states: str) -> list[Slot]:
        found = self.held(batch, *states)
        if len(found) < len(batch.claims):
            raise LeaseLost
        return found

    def make(self, batch: Batch) -> dict[int, int | None]:
        found = self.refuse_lost(batch, "taken")
        if self.state not in OPEN:
            raise LeaseLost
        for slot in found:
            if slot.trial is None:
                slot.trial = len(self.optunas)
                self.optunas.append("RUNNING")
        return {slot.number: slot.trial for slot in found}

    def record(self, batch: Batch, numbers: Sequence[int]) -> None:
        self.refuse_lost(batch, "taken")
        self.networks |= set(numbers)

    def beat(self, batch: Batch) -> tuple[str | None, bool]:
        found = self.held(batch, "taken")
        all_held = len(found) == len(batch.claims)
        for slot in found if all_held else ():
            slot.has_expired = False
        return self.state, all_held

    def settle(self, batch: Batch, outcomes: Sequence[str]) -> None:
        found = self.refuse_lost(batch, "taken", "ended")
        if found[0].state == "ended":
            return
        if found[0].kind == "verdict":
            if self.state not in OPEN:
                raise LeaseLost
            self.state = "done"
            self.fail_running()
        for slot, outcome in zip(found, outcomes, strict=True):
            slot.state, slot.has_expired = "ended", False
            slot.outcome = outcome if slot.trial is None else self.tell(slot.trial, outcome)

    def tell(self, trial: int, outcome: str) -> str:
        if self.optunas[trial] == "RUNNING":
            self.optunas[trial] = "PRUNED" if outcome == "pruned" else "COMPLETE"
            return outcome
        if self.state in ("done", "cancelled", "failed"):
            raise LeaseLost
        return "infeasible"

    def fail_running(self) -> None:
        self.optunas = ["FAIL" if state == "RUNNING" else state for state in self.optunas]

    def release(self, batch: Batch, *, crashed: bool) -> bool:
        found = self.held(batch, "taken")
        for slot in found:
            slot.state, slot.worker, slot.has_expired = "open", None, False
            slot.crashes += crashed
        return bool(found)

    def record_failure(self, batch: Batch, trace: str) -> bool:
        if not self.release(batch, crashed=False):
            return False
        self.traces.append(trace)
        return self.traces.count(trace) >= MOST_EQUAL and self.fail()

    def fail(self) -> bool:
        may_fail = self.state in OPEN
        self.state = "failed" if may_fail else self.state
        return may_fail

    def change(self, state: str, *, after: Sequence[str]) -> None:
        if self.state is None:
            raise UnknownStudy("absent")
        if self.state not in (*after, state):
            raise UsageError(f"{self.state} cannot become {state}")
        self.state = state

    def resume(self) -> None:
        if self.state not in PAUSABLE:
            self.change("running" if self.has_begun else "queued", after=["paused"])

    def stop(self) -> int:
        self.change("stopping", after=STOPPABLE)
        waiting = [slot for slot in self.of_trials() if slot.state == "open"]
        runs = any(slot.state == "taken" for slot in self.of_trials())
        skipped = waiting if runs or self.of_trials("complete") else waiting[1:]
        for slot in skipped:
            slot.state, slot.outcome = "ended", "skipped"
        return len(skipped)

    def cancel(self) -> None:
        self.change("cancelled", after=OPEN)
        self.fail_running()

    def delete(self) -> None:
        if self.state is None:
            raise UnknownStudy("absent")
        self.state, self.slots, self.traces, self.networks = None, [], [], set()
        self.optunas = []

    def seen(self) -> Seen:
        rows = [tuple(vars(slot).values()) for slot in self.slots]
        return self.state, rows, sorted(self.networks), self.optunas


class Cut(BaseException):
    """The process is gone, or its connection."""


@dataclass(frozen=True)
class Breakable(Database):
    """A database of which one transaction to come is cut, before or after its commit."""

    cuts: list[tuple[int, str]] = field(default_factory=list)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        after, moment = self.cuts.pop() if self.cuts else (-1, "")
        if after > 0:
            self.cuts.append((after - 1, moment))
        with super().transaction() as connection:
            yield connection
            if (after, moment) == (0, "before"):
                raise Cut
        if after == 0:
            raise Cut


def outcome_of(operation: Callable[[], Any]) -> Any:
    """What it returns, or the kind of its refusal."""
    try:
        return operation()
    except REFUSALS as refusal:
        return type(refusal)


class Service(RuleBasedStateMachine):
    """A study, its workers and those who command it, on a real database and on the model."""

    batches = Bundle("batches")  # of the workers that live: held, lost, settled, of deleted studies

    def __init__(self, database: Breakable) -> None:
        super().__init__()
        self.database, self.name = database, next(NAMES)
        self.model = Model()
        self.made: dict[tuple[int, int], FrozenTrial] = {}  # by generation and slot
        self.before: tuple[int, list[Row]] = (0, [])

    def _both(self, operation: Callable[[], Any], expected: Callable[[Model], Any]) -> Any:
        """The database does as the model; what is cut is done wholly or not at all."""
        before, after = self.model, deepcopy(self.model)
        wanted = outcome_of(lambda: expected(after))
        try:
            found = outcome_of(operation)
        except Cut:
            seen = self._seen()
            possible = [m for m in (before, after) if m.seen() == seen]
            assert possible, f"half done: {seen}"
            self.model = possible[0]
            return None
        assert found == wanted
        self.model = after
        return found

    def _seen(self) -> Seen:
        """The study's state, slots and networks' trials, and Optuna's trials: from the tables."""
        columns = "number, kind, state, token, trial, worker, expiries, crashes, outcome"
        expired = "coalesce(expires_at < 2, false)"
        slots = f"SELECT {columns}, {expired} FROM hpo_slot WHERE study = :name ORDER BY number"  # noqa: S608
        with self.database.engine.connect() as connection:
            state = sa.text("SELECT state FROM hpo_study WHERE name = :name")
            found = connection.execute(state, {"name": self.name}).scalar_one_or_none()
            rows = connection.execute(sa.text(slots), {"name": self.name}).all()
            networks = sa.text("SELECT trial FROM hpo_network WHERE study = :name ORDER BY trial")
            trained = list(connection.execute(networks, {"name": self.name}).scalars())
            of_optuna = [row.state for row in self._optunas(connection)]
        return found, [(*row[:-1], bool(row[-1])) for row in rows], trained, of_optuna

    def _optunas(self, connection: Connection) -> Sequence[Any]:
        """Optuna's trials of the study by number."""
        query = (
            "SELECT trials.trial_id, trials.state FROM trials JOIN studies USING (study_id)"
            " WHERE study_name = :name ORDER BY trials.number"
        )
        return connection.execute(sa.text(query), {"name": self.name}).all()

    def _study(self, trials: int) -> Study:
        return tiny_study(self.name, budget={"trials": trials})

    def _identity(self, worker: str) -> str:
        """A worker of the machine that is not the same process for a study submitted anew."""
        return f"{worker}-{self.name}-{self.model.generation}"

    @initialize(target=batches, trials=st.sampled_from([3, 5]), is_benchmarked=st.booleans())
    def begin(self, trials: int, is_benchmarked: bool) -> Any:
        self._submit(trials, "data")
        return self.work("eve", 1, ["complete"]) if is_benchmarked else multiple()

    def _submit(self, trials: int, data: str) -> None:
        study = self._study(trials)
        self._both(
            lambda: submission.submit(
                self.database, study, data=DATA, data_fingerprint=data, engine="torch"
            ),
            lambda model: model.submit(trials=trials, data=data),
        )

    @rule(worker=st.sampled_from(WORKERS), comes=st.booleans())
    def come_or_go(self, worker: str, comes: bool) -> None:
        identity = self._identity(worker)
        if comes:
            self._unlike_model(lambda: registry.enroll(self.database, identity))
            self._unlike_model(lambda: registry.join(self.database, identity, self.name, "cpu"))
        else:
            self._unlike_model(lambda: registry.leave(self.database, identity))

    def _unlike_model(self, operation: Callable[[], None]) -> None:
        """What changes nothing of the study."""
        self._both(operation, lambda _: None)

    @rule(target=batches, worker=st.sampled_from(WORKERS), most=MOST)
    def take(self, worker: str, most: int) -> Any:
        return self._take(self._identity(worker), most)

    def _take(self, worker: str, most: int) -> Any:
        share = self._share(worker)
        try:
            claims = take(self.database, self.name, worker, most=most)
        except Cut:  # taken by a worker that does not know it, or not at all
            tokens = [row[3] for row in self._seen()[1]]
            self.model.take(
                worker, [s.number for s in self.model.slots if tokens[s.number] > s.token]
            )
            return multiple()
        numbers = [claim.number for claim in claims]
        self._refuse_wrongly_taken(numbers, min(most, share))
        self.model.take(worker, numbers)
        for claim, slot in ((claim, self.model.slots[claim.number]) for claim in claims):
            same = ("kind", "token", "worker", "trial", "expiries", "crashes")
            assert [getattr(claim, key) for key in same] == [getattr(slot, key) for key in same]
        return Batch(tuple(claims), self.model.generation) if claims else multiple()

    def _share(self, worker: str) -> int:
        """How many of the open trials are this worker's, the others that live being as many."""
        query = "SELECT count(*) FROM hpo_worker WHERE study = :name AND id != :worker"
        with self.database.engine.connect() as connection:
            values = {"name": self.name, "worker": worker}
            others: int = connection.execute(sa.text(query), values).scalar_one()
        waiting = [slot for slot in self.model.of_trials() if slot.state == "open"]
        return max(1, -(-len(waiting) // (others + 1)))

    def _refuse_wrongly_taken(self, numbers: Sequence[int], most: int) -> None:
        """Something is taken wherever something may be; what killed or failed comes alone."""
        takeable = self.model.takeable()
        assert set(numbers) <= {slot.number for slot in takeable}
        assert bool(numbers) == bool(takeable)
        assert len(numbers) <= most
        chosen = [self.model.slots[number] for number in numbers]
        for slot in chosen if len(chosen) > 1 else ():
            assert (slot.state, slot.expiries, slot.crashes) == ("open", 0, 0)
            assert not (self.model.traces and slot.token)

    @rule(batch=batches)
    def make(self, batch: Batch) -> None:
        """The trials of a batch are written."""
        if batch.claims[0].kind != "trial":
            return
        made = self._both(lambda: self._make(batch), lambda model: model.make(batch))
        if isinstance(made, dict):
            with self.database.engine.connect() as connection:
                ids = [row.trial_id for row in self._optunas(connection)]
            for slot, number in made.items():
                trial = create_trial(state=TrialState.RUNNING)
                trial.number, trial._trial_id = number, ids[number]
                self.made[batch.generation, slot] = trial

    def _make(self, batch: Batch) -> dict[int, int]:
        templates = {claim.number: create_trial(state=TrialState.RUNNING) for claim in batch.claims}
        try:
            return trials.make(self.database, batch.claims, templates)
        except UnknownStudy:
            raise LeaseLost from None

    def _trials(self, batch: Batch) -> list[FrozenTrial]:
        """Those that were written for these slots, now or before; none where one is missing."""
        keys = [(batch.generation, claim.number) for claim in batch.claims]
        return [self.made[key] for key in keys] if set(keys) <= set(self.made) else []

    @rule(batch=batches)
    def record(self, batch: Batch) -> None:
        """A network of each trial."""
        if not (found := self._trials(batch)):
            return
        numbers = [trial.number for trial in found]
        trained = [(number, NETWORK) for number in numbers]
        self._both(
            lambda: record_networks(self.database, batch.claims, trained),
            lambda model: model.record(batch, numbers),
        )

    @rule(place=st.integers(0, 4))
    def fail_from_outside(self, place: int) -> None:
        """Somebody's Optuna takes a trial for stale."""
        if place < len(self.model.optunas) and self.model.optunas[place] == "RUNNING":
            self.model.optunas[place] = "FAIL"
            with self.database.engine.begin() as connection:
                failed = {"id": self._optunas(connection)[place].trial_id}
                change = sa.text("UPDATE trials SET state = 'FAIL' WHERE trial_id = :id")
                connection.execute(change, failed)

    @rule(batch=batches, worker=st.sampled_from(WORKERS))
    def beat(self, batch: Batch, worker: str) -> None:
        self._both(
            lambda: beat(self.database, self._identity(worker), "working", batch.claims)[:2],
            lambda model: model.beat(batch),
        )

    @rule(worker=st.sampled_from(["", *WORKERS]))
    def expire(self, worker: str) -> None:
        """The lease time of one worker has passed, or of all."""
        for slot in self.model.slots:
            if slot.state == "taken" and worker in ("", str(slot.worker).split("-")[0]):
                slot.has_expired = True
                self._change("UPDATE hpo_slot SET expires_at = 1 WHERE number = :n", n=slot.number)

    def _change(self, statement: str, **values: object) -> None:
        with self.database.engine.begin() as connection:
            connection.execute(
                sa.text(f"{statement} AND study = :name"), {"name": self.name, **values}
            )

    @rule(target=batches, worker=st.sampled_from(WORKERS), most=MOST, outcomes=OUTCOMES)
    def work(self, worker: str, most: int, outcomes: list[str]) -> Any:
        """What workers do mostly."""
        batch = self.take(worker, most)
        if isinstance(batch, Batch):
            self.make(batch)
            self.record(batch)
            self.settle(batch, outcomes)
        return batch

    @rule(target=batches, worker=st.sampled_from(WORKERS), most=MOST, trace=st.sampled_from(TRACES))
    def fail_at_once(self, worker: str, most: int, trace: str) -> Any:
        """What a broken study makes of all workers."""
        batch = self.take(worker, most)
        if isinstance(batch, Batch):
            self.record_failure(batch, trace)
        return batch

    @rule(batch=batches, outcomes=OUTCOMES)
    def settle(self, batch: Batch, outcomes: list[str]) -> None:
        {"benchmark": self._settle, "trial": self._end_trials, "verdict": self._conclude}[
            batch.claims[0].kind
        ](batch, outcomes[: len(batch.claims)])

    def _settle(self, batch: Batch, outcomes: Sequence[str]) -> None:
        settlements = [
            Settlement(claim=claim, outcome=outcome)
            for claim, outcome in zip(batch.claims, outcomes, strict=True)
        ]
        self._both(
            lambda: settle(self.database, settlements), lambda model: model.settle(batch, outcomes)
        )

    def _end_trials(self, batch: Batch, outcomes: Sequence[str]) -> None:
        if not (found := self._trials(batch)):
            return
        ended = [
            (claim, trial, OUTCOMES_BY_NAME[outcome])
            for claim, trial, outcome in zip(batch.claims, found, outcomes, strict=True)
        ]
        self._both(
            lambda: trials.end(self.database, ended) and None,
            lambda model: model.settle(batch, outcomes),
        )

    def _conclude(self, batch: Batch, _: Sequence[str]) -> None:
        """Answer, or fail where no trial is complete: as a worker does."""
        if self.model.of_trials("complete"):
            self._both(
                lambda: self._end_study(batch), lambda model: model.settle(batch, ["complete"])
            )
        elif self._release(batch, crashed=False):
            self._both(
                lambda: life.fail(self.database, self.name, "no trial"), lambda model: model.fail()
            )

    def _end_study(self, batch: Batch) -> None:
        try:
            trials.end_study(self.database, batch.claims[0], ANSWER)
        except UnknownStudy:
            raise LeaseLost from None

    @rule(batch=batches, crashed=st.booleans())
    def release(self, batch: Batch, crashed: bool) -> None:
        self._release(batch, crashed=crashed)

    def _release(self, batch: Batch, *, crashed: bool) -> Any:
        return self._both(
            lambda: release(self.database, batch.claims, crashed=crashed),
            lambda model: model.release(batch, crashed=crashed),
        )

    @rule(batch=batches, trace=st.sampled_from(TRACES))
    def record_failure(self, batch: Batch, trace: str) -> None:
        self._both(
            lambda: record_failure(self.database, batch.claims, trace),
            lambda model: model.record_failure(batch, trace),
        )

    @rule(batch=consumes(batches))
    def crash(self, batch: Batch) -> None:
        """The worker is gone, its leases are left."""

    @rule(after=st.integers(0, 2), moment=st.sampled_from(["before", "after"]))
    def cut(self, after: int, moment: str) -> None:
        """One of the next transactions is cut, before or after its commit."""
        self.database.cuts[:] = [(after, moment)]

    @rule(verb=st.sampled_from(VERBS))
    def command(self, verb: str) -> None:
        """What users do; most of it lets the study go on."""
        getattr(self, verb)()

    def submit(self) -> None:
        self._submit(self.model.trials, self.model.data)

    def submit_other_values(self) -> None:
        self._submit(8 - self.model.trials, self.model.data)

    def submit_other_data(self) -> None:
        self._submit(self.model.trials, f"not {self.model.data}")

    def pause(self) -> None:
        self._both(
            lambda: life.pause(self.database, self.name),
            lambda model: model.change("paused", after=PAUSABLE),
        )

    def resume(self) -> None:
        self._both(lambda: life.resume(self.database, self.name), lambda model: model.resume())

    def stop(self) -> None:
        self._both(lambda: life.stop(self.database, self.name), lambda model: model.stop())

    def cancel(self) -> None:
        self._both(
            lambda: life.cancel(self.database, self.name),
            lambda model: model.cancel(),
        )

    def delete(self) -> None:
        self._both(
            lambda: deletion.delete(self.database, self.name),
            lambda model: model.delete(),
        )

    @invariant()
    def tables_are_as_the_model(self) -> None:
        assert self._seen() == self.model.seen()

    @invariant()
    def promises_are_kept(self) -> None:
        """The budget is exact, tokens only rise, what has ended stays, the verdict comes last."""
        rows = self._seen()[1]
        assert [row[1] for row in rows].count("trial") == (self.model.trials if rows else 0)
        bound = [row[4] for row in rows if row[4] is not None]
        assert len(set(bound)) == len(bound)
        is_judged = bool(rows) and rows[-1][2] != "open"
        assert not is_judged or all(row[2] == "ended" for row in rows[:-1])
        generation, before = self.before
        for old, new in zip(before, rows, strict=False):
            if generation == self.model.generation:
                self._refuse_going_back(old, new)
        self.before = (self.model.generation, rows)

    def _refuse_going_back(self, old: Row, new: Row) -> None:
        assert new[3] >= old[3]
        assert old[4] in (None, new[4])
        if old[8] in ("complete", "pruned", "infeasible") and old[1] == "trial":
            assert new == old

    def teardown(self) -> None:
        """From wherever it is, the study comes to its end, and can be removed without a trace."""
        self.database.cuts.clear()
        if self.model.state is None:
            return
        if self.model.state == "paused":
            self.resume()
        if self.model.state == "failed":
            self._submit(self.model.trials, self.model.data)
        for _ in self.model.slots:
            self._end_next()
        assert self.model.state in ("done", "cancelled", "failed")
        self.delete()
        self._refuse_left_over()

    def _refuse_left_over(self) -> None:
        """Nothing of the deleted study is in any table."""
        with self.database.engine.connect() as connection:
            for table in ("hpo_slot", "hpo_failure", "hpo_network", "hpo_checkpoint"):
                left = sa.text(f"SELECT count(*) FROM {table} WHERE study = :name")  # noqa: S608
                assert connection.execute(left, {"name": self.name}).scalar_one() == 0
            optunas = sa.text("SELECT count(*) FROM studies WHERE study_name = :name")
            assert connection.execute(optunas, {"name": self.name}).scalar_one() == 0

    def _end_next(self) -> None:
        """All workers die, and another one takes what there is and ends it."""
        self.expire("")
        if isinstance(batch := self._take(self._identity("dan"), 4), Batch):
            self.make(batch)
            self.settle(batch, ["complete"] * 4)
            self.tables_are_as_the_model()


@pytest.fixture
def breakable(database_url: str) -> Iterator[Breakable]:
    """A database of which transactions can be cut."""
    trials.quiet()
    with opened(database_url) as database:
        yield Breakable(**vars(database))


def test_a_study_follows_the_model_to_its_end(breakable: Breakable) -> None:
    machine: Any = partial(Service, breakable)  # any factory will do, not only a class
    run_state_machine_as_test(machine, settings=SETTINGS)


def test_a_claim_of_a_deleted_study_is_worth_nothing_in_a_new_one_of_its_name(
    breakable: Breakable,
) -> None:
    one = Service(breakable)
    one.begin(3, is_benchmarked=False)
    late = one.take("ann", 1)
    one.delete()
    one.submit()
    one.take("bob", 1)
    one.beat(late, "ann")
    one.settle(late, ["complete"])
    one.tables_are_as_the_model()


def test_a_verdict_that_is_ready_after_the_cancel_does_not_undo_it(breakable: Breakable) -> None:
    one = Service(breakable)
    one.begin(3, is_benchmarked=True)
    for _ in range(3):
        one.work("ann", 1, ["complete"])
    verdict = one.take("ann", 1)
    one.cancel()
    one.settle(verdict, ["complete"])
    one.tables_are_as_the_model()
