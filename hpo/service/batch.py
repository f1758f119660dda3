"""The life of one batch of claimed trials: suggested, trained in step, told and settled together.

With one worker process all of it is a function of the study's seed: how many trials are in a batch
follows from the study's engine, never from the number of threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from optuna.trial import FrozenTrial

from hpo.data.prepare import Prepared
from hpo.fitting.fit import Fitted
from hpo.fitting.pool import Failure, Job, Pool, Result
from hpo.search.objective import Networks, record_of, run_trials
from hpo.search.outcome import Completed, Infeasible, NetworkRecord, Outcome, Pruned
from hpo.search.space import to_candidate
from hpo.service import results, trials
from hpo.service.claims import Claim, Settlement, settle
from hpo.service.database import Database
from hpo.service.heart import Heart
from hpo.service.rivals import Rivals
from hpo.service.studies import Stored
from hpo.training.engine import wants_native

NATIVE_TRIALS_AT_ONCE = 4  # fast networks: the cost of a batch is shared, no thread waits long
TORCH_TRIALS_AT_ONCE = 1  # slow networks: each suggestion knows all trials before it
MOST_DEATHS = 3


def trials_at_once(policy: str) -> int:
    """How many trials a worker takes at once under a study's engine policy."""
    return NATIVE_TRIALS_AT_ONCE if wants_native(policy) else TORCH_TRIALS_AT_ONCE


@dataclass(frozen=True, kw_only=True)
class Training:
    """Trains networks for claims while their heart beats, and keeps what comes of them."""

    database: Database
    pool: Pool
    claims: Sequence[Claim]
    heart: Heart

    def __call__(self, jobs: Sequence[Job]) -> dict[Job, NetworkRecord | Failure]:
        """What came of every job; networks are recorded about once a second and at the end.

        Raises LeaseLost, Stopped, DatabaseError.
        """
        made: dict[Job, NetworkRecord | Failure] = {}

        def keep(new: Mapping[Job, Result]) -> None:
            rows = []
            for job, result in new.items():
                made[job] = record_of(job, result) if isinstance(result, Fitted) else result
                if isinstance(record := made[job], NetworkRecord):
                    rows.append((job.trial, record))
            if rows:
                results.record_networks(self.database, self.claims, rows)

        self.pool.run(jobs, go_on=self.heart.go_on, on_results=keep)
        return {job: made[job] for job in jobs}


def run_batch(study: Stored, prepared: Prepared, rivals: Rivals, training: Training) -> None:
    """Run the trials of the training's claims to their end. Raises LeaseLost, Stopped."""
    database, claims = training.database, training.claims
    history = trials.all_trials(database, study.optuna_id)
    rival = rivals.best(history)
    batch = trials.trials_of(database, study.optuna_id, claims, prepared, history)
    ended = {
        trial.number: trials.told(trial) or _deadly(claim)
        for claim, trial in zip(claims, batch, strict=True)
    }
    unended = [trial for trial in batch if ended[trial.number] is None]
    running = _networks(database, prepared, unended, known=len(history))
    outcomes = run_trials(running, training, rival)
    ended |= {n.trial: o for n, o in zip(running, outcomes, strict=True)}
    training.heart.refuse_if_lost()
    settlements = []
    for claim, trial in zip(claims, batch, strict=True):
        outcome = ended[trial.number]
        assert outcome is not None, "every trial of the batch has ended by now"
        settlements.append(_settlement(claim, trials.tell(database, trial, outcome)))
    settle(database, settlements)


def _networks(
    database: Database, prepared: Prepared, running: Sequence[FrozenTrial], *, known: int
) -> list[Networks]:
    study = prepared.study
    old = [t.number for t in running if t.number < known]  # new ones have no networks yet
    recorded = results.networks_of(database, study.name, old) if old else {}
    return [
        Networks(
            prepared,
            trial.number,
            to_candidate(trial.params, study, prepared.lookbacks),
            recorded.get(trial.number, {}),
            folds=prepared.folds,
            limit_s=study.budget.trial_timeout_s,
        )
        for trial in running
    ]


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


def _deadly(claim: Claim) -> Infeasible | None:
    """A trial whose workers die, of memory for instance, is not tried for ever."""
    if claim.deaths < MOST_DEATHS:
        return None
    return Infeasible(f"its worker died {claim.deaths} times while training it")
