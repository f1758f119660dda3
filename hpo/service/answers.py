"""The answer of a study as it stands: the verdict, or what is known before it."""

from hpo.service import results, studies
from hpo.service.database import Database, without_password
from hpo.service.status import progress
from hpo.sizing.metric import score
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
    """The benchmarks' scores over the folds' origins, by name; empty before they are known."""
    metric = stored.spec.task.metric
    found = {}
    for name, per_fold in results.benchmarks_of(database, stored.name).items():
        losses = [loss for losses_O in per_fold[:-1] for loss in losses_O]
        found[name] = float(score(sum(losses) / len(losses), metric))
    return found
