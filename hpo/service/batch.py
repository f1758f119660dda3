"""The life of one batch of claimed trials: suggested, trained in step, told and settled together.

With one worker process all of it is a function of the study's seed: how many trials are in a batch
follows from the study's engine, never from the number of threads.
"""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic

from optuna.trial import FrozenTrial

from hpo import events
from hpo.data.prepare import Prepared
from hpo.errors import UnknownStudy
from hpo.fitting.pool import Job, Saved
from hpo.search.objective import Networks, run_trials
from hpo.search.outcome import Infeasible, NetworkRecord, Outcome
from hpo.search.phases import standing
from hpo.search.space import to_candidate
from hpo.search.suggestion import wanted_rungs
from hpo.service import checkpoints, results, trials
from hpo.service.claims import Claim
from hpo.service.database import Database
from hpo.service.executor import Broken, Executor, ExecutorDied, Made
from hpo.service.heart import Hold
from hpo.service.joining import Joined
from hpo.training.engine import wants_native
from hpo.training.trainer import Stopped

RECORD_S = 1.0  # as much training may be lost with a worker
NATIVE_TRIALS_AT_ONCE = 4  # fast networks: the cost of a batch is shared, no thread waits long
TORCH_TRIALS_AT_ONCE = 1  # slow networks: each suggestion knows all trials before it
MOST_CRASHES = 3  # training processes that died of a trial
MOST_EXPIRIES = 20  # workers that fell silent while they had it: machines do, but not so often


def trials_at_once(policy: str) -> int:
    """How many trials a worker takes at once under a study's engine policy."""
    return NATIVE_TRIALS_AT_ONCE if wants_native(policy) else TORCH_TRIALS_AT_ONCE


def wanted_at_once(joined: Joined) -> int:
    """How many trials a worker should take now: no more than the ladder wants to know."""
    most = trials_at_once(joined.study.engine)
    if joined.prepared.study.search.sampler != "ladder":
        return most
    try:
        history = trials.all_trials(joined.rivals.database, joined.study.optuna_id)
    except UnknownStudy:  # what is taken then tells it again
        return most
    ended, running = trials.parted(history)
    climb = standing(joined.prepared, ended, joined.rivals.known(ended)).climb
    wanted = wanted_rungs(joined.prepared, climb, running, ahead=False) if climb else ()
    return min(most, max(1, len(wanted)))


class Training:
    """Trains networks for claims while they are held, and keeps what comes of them.

    `halted`: the trials of which halted trainings are kept.
    """

    def __init__(
        self,
        database: Database,
        executor: Executor,
        hold: Hold,
        hear: events.Hear,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.database, self.executor, self.hold, self.hear = database, executor, hold, hear
        self.halted: set[int] = set()
        self._clock = clock
        self._waiting: list[results.Trained] = []
        self._recorded_s = clock()

    @property
    def claims(self) -> Sequence[Claim]:
        """The claims that are worked on."""
        return self.hold.claims

    def __call__(self, jobs: Sequence[Job]) -> dict[Job, Made]:
        """What came of every job; networks are recorded at most a second later, or by `record`.

        Raises LeaseLost, Stopped, ExecutorDied, Broken, DatabaseError.
        """
        found: dict[Job, Made] = {}

        def on_made(new: Mapping[Job, Made]) -> None:
            found.update(new)
            self._waiting += [
                (job.trial, made) for job, made in new.items() if isinstance(made, NetworkRecord)
            ]
            if self._clock() - self._recorded_s > RECORD_S:
                self.record()

        try:
            if jobs:
                self.executor.train(
                    jobs, go_on=self.hold.go_on, on_made=on_made, on_saved=self._save
                )
        except (Stopped, ExecutorDied, Broken):
            self.record()
            raise
        return {job: found[job] for job in jobs}

    def at_once(self, jobs: Sequence[Job]) -> dict[Job, Made]:
        """The same, and all networks are recorded when it returns."""
        made = self(jobs)
        self.record()
        return made

    def record(self) -> None:
        """Record the networks that wait for it. Raises LeaseLost, DatabaseError."""
        if not self._waiting:
            return
        rows, self._waiting, self._recorded_s = self._waiting, [], self._clock()
        results.record_networks(self.database, self.claims, rows)
        study, worker = self.claims[0].study, self.claims[0].worker
        training_s = sum(record.wall_s for _, record in rows)
        self.hear(events.NetworksTrained(study, worker, len(rows), training_s))

    def _save(self, job: Job, saved: Saved) -> None:
        self.halted.add(job.trial)
        checkpoints.keep(self.database, self.claims, job, saved)
        study, worker = self.claims[0].study, self.claims[0].worker
        self.hear(
            events.TrainingCheckpointed(
                study, worker, job.trial, job.fold, job.seed, len(saved.state)
            )
        )


def run_batch(joined: Joined, training: Training) -> None:
    """Run the trials of the training's claims to their end.

    Raises LeaseLost, Stopped, SearchEnded, ExecutorDied, Broken, DatabaseError.
    """
    database, claims = training.database, training.claims
    batch = trials.batch_of(
        database, joined.study.optuna_id, claims, joined.prepared, joined.rivals.known
    )
    rival = joined.rivals.best(batch.history)
    ended: dict[int, Outcome | None] = {
        trial.number: trials.FROM_OUTSIDE if trial.state.is_finished() else _deadly(claim)
        for claim, trial in zip(claims, batch.trials, strict=True)
    }
    unended = [trial for trial in batch.trials if ended[trial.number] is None]
    running = _networks(training, joined.prepared, unended, known=len(batch.history))
    outcomes = run_trials(running, training, rival)
    ended |= {n.trial: o for n, o in zip(running, outcomes, strict=True)}
    training.hold.refuse_if_lost()
    end_trials(training, [(t, ended[t.number]) for t in batch.trials])


def end_infeasible(joined: Joined, training: Training, reason: str) -> None:
    """End the trial of the training's only claim: it cannot be trained here. Raises LeaseLost."""
    batch = trials.batch_of(
        training.database, joined.study.optuna_id, training.claims, joined.prepared
    )
    end_trials(training, [(trial, Infeasible(reason)) for trial in batch.trials])


def end_trials(training: Training, ended: Sequence[tuple[FrozenTrial, Outcome | None]]) -> None:
    """End the trials of the training's claims, and settle their slots. Raises LeaseLost."""
    training.record()
    endings = []
    for claim, (trial, outcome) in zip(training.claims, ended, strict=True):
        assert outcome is not None, "every trial of the batch has ended by now"
        endings.append((claim, trial, outcome))
    settlements = trials.end(training.database, endings, forget=sorted(training.halted))
    for settled, (trial, _) in zip(settlements, ended, strict=True):
        training.hear(
            events.TrialEnded(
                settled.claim.study,
                trial.number,
                settled.claim.worker,
                settled.outcome,
                settled.score,
            )
        )


def _networks(
    training: Training, prepared: Prepared, running: Sequence[FrozenTrial], *, known: int
) -> list[Networks]:
    study = prepared.study
    old = [t.number for t in running if t.number < known]  # new ones have no networks yet
    recorded = results.networks_of(training.database, study.name, old) if old else {}
    saved = checkpoints.saved_of(training.database, study.name, old) if old else {}
    training.halted.update(saved)
    return [
        Networks(
            prepared,
            trial.number,
            to_candidate(trial.params, study, prepared.lookbacks),
            recorded.get(trial.number, {}),
            folds=prepared.folds,
            limit_s=study.budget.trial_timeout_s,
            saved=saved.get(trial.number, {}),
        )
        for trial in running
    ]


def _deadly(claim: Claim) -> Infeasible | None:
    """A trial that its training dies of is not tried for ever."""
    if claim.crashes >= MOST_CRASHES:
        return Infeasible(f"its training process died {claim.crashes} times")
    if claim.expiries >= MOST_EXPIRIES:
        return Infeasible(f"{claim.expiries} workers fell silent while they had it")
    return None
