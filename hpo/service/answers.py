"""The answer of a study as it stands: the verdict, or what is known before it."""

import numpy as np

from hpo.service import results, studies
from hpo.service.database import Database, without_password
from hpo.service.status import progress
from hpo.sizing.metric import finite_scores
from hpo.spec.answer import Answer


def answer_of(database: Database, name: str) -> Answer:
    """The verdict when the study is done; before, its state and what is known so far.

    Raises UnknownStudy.
    """
    stored = studies.find(database, name)
    if stored.answer is not None:
        return stored.answer
    spec, now = stored.spec, progress(database, name)
    return Answer(
        study=name,
        state=stored.state,
        task=spec.task.model_dump(mode="json"),
        horizon=spec.task.horizon,
        alpha=spec.bound.alpha,
        metric=spec.task.metric,
        benchmarks=benchmark_scores(database, stored),
        warnings=stored.benchmark_warnings,
        trials=now.trials,
        networks=now.networks,
        seed=spec.search.seed,
        fingerprint=stored.fingerprint,
        versions=stored.versions,
        storage=without_password(database.url),
    )


def benchmark_scores(database: Database, stored: studies.Stored) -> dict[str, float]:
    """Scores over the folds' origins of the benchmarks whose forecasts are finite numbers.

    Empty before they are known.
    """
    errors = results.benchmarks_of(database, stored.name)
    means = {name: np.concatenate(per_fold[:-1]).mean() for name, per_fold in errors.items()}
    return finite_scores(means, stored.spec.task.metric)
