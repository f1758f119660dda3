"""A worker of plain Optuna, as its documentation advises: `optimize` on a shared database.

`python benchmarks/plain_optuna.py TASK`, where TASK is a `Task` as JSON. Optuna's heartbeat fails
trials whose worker died and queues them again; MaxTrialsCallback ends the worker at the budget. The
parameters are those of this project's default study; a training is a sleep.
"""

import json
import random
import sys
import time
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Any

import optuna
from counting import Counts
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, TrialState

NETWORK = "network "  # begins the name of a user attribute: the result of one training
STUDY = "plain"


@dataclass(frozen=True, kw_only=True)
class Task:
    """`trials` trainings of about `training_s`; without `beats` nobody notices a worker's death."""

    storage: str
    trials: int
    training_s: float
    seed: int
    beats: bool = True
    beat_s: int = 1
    grace_s: int = 10

    @property
    def words(self) -> list[str]:
        """The command that runs a worker on this task."""
        return [sys.executable, __file__, json.dumps(asdict(self))]


@dataclass(frozen=True)
class Trials:
    """What became of a study: its trials by state, and results that were recorded once more."""

    complete: int
    failed: int
    running: int
    networks: int
    recorded_twice: int


def create(task: Task) -> None:
    """An empty study, made before its workers start."""
    optuna.create_study(study_name=STUDY, storage=_storage(task))


class TimedStudy(optuna.Study):
    """A study that notes how long it takes to be given a trial."""

    counts: Counts

    def ask(self, *arguments: Any, **named: Any) -> optuna.Trial:
        """See optuna.Study."""
        began = monotonic()
        trial = super().ask(*arguments, **named)
        self.counts.claims_s.append(monotonic() - began)
        return trial


def work(task: Task) -> Counts:
    """Take part in the study until its budget is spent."""
    study = TimedStudy(STUDY, _storage(task), sampler=TPESampler(seed=task.seed))
    study.counts = counts = Counts()

    def objective(trial: optuna.Trial) -> float:
        value = _suggest(trial)
        counts.start_training()
        began = monotonic()
        time.sleep(random.uniform(0.5, 1.5) * task.training_s)
        counts.training_s += monotonic() - began
        if task.beats:  # a result is kept where it would be told apart from its repetition
            trial.set_user_attr(f"{NETWORK}{uuid.uuid4().hex}", value)
        return value

    budget = MaxTrialsCallback(task.trials, states=(TrialState.COMPLETE, TrialState.PRUNED))
    counts.begin()
    study.optimize(objective, callbacks=[budget, lambda *_: counts.end_trial()])
    return counts


def _storage(task: Task) -> RDBStorage:
    is_sqlite = task.storage.startswith("sqlite")
    return RDBStorage(
        task.storage,
        engine_kwargs={"connect_args": {"timeout": 60}} if is_sqlite else {},
        heartbeat_interval=task.beat_s if task.beats else None,
        grace_period=task.grace_s if task.beats else None,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback() if task.beats else None,
    )


def _suggest(trial: optuna.Trial) -> float:
    """Parameters of a network, and an error that a search can make smaller."""
    layers = trial.suggest_int("layers", 1, 3)
    cells = [trial.suggest_int(f"cells_{layer}", 2, 128, log=True) for layer in (1, 2, 3)]
    rate = trial.suggest_float("learning_rate", 1e-3, 1e-1, log=True)
    return abs(sum(cells[:layers]) - 40) / 40 + abs(rate - 0.01)


def trials_of(task: Task) -> Trials:
    """What the database knows of the study; a trial queued again counts as its original."""
    trials = optuna.load_study(study_name=STUDY, storage=_storage(task)).get_trials(deepcopy=False)
    recorded: dict[int, set[str]] = {}
    for trial in trials:
        original = trial.system_attrs.get("failed_trial", trial.number)
        found = {name for name in trial.user_attrs if name.startswith(NETWORK)}
        recorded.setdefault(original, set()).update(found)
    networks = sum(map(len, recorded.values()))
    return Trials(
        complete=_count(trials, TrialState.COMPLETE),
        failed=_count(trials, TrialState.FAIL),
        running=_count(trials, TrialState.RUNNING),
        networks=networks,
        recorded_twice=networks - sum(1 for names in recorded.values() if names),
    )


def _count(trials: Sequence[FrozenTrial], state: TrialState) -> int:
    return sum(trial.state == state for trial in trials)


def quiet() -> None:
    """Leave stdout and stderr to what is asked for and to errors."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.simplefilter("ignore", ExperimentalWarning)


def main() -> int:
    """Work on the task that the command line gives, then tell what it took."""
    quiet()
    work(Task(**json.loads(sys.argv[1]))).tell()
    return 0


if __name__ == "__main__":
    sys.exit(main())
