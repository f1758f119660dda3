"""The answer of a study as it stands: the verdict, or what is known before it."""

from pathlib import Path
from typing import Literal

import numpy as np
import sqlalchemy as sa

from hpo.service import results, studies
from hpo.service.database import Database, without_password
from hpo.service.status import progress
from hpo.service.tables import studies as studies_table
from hpo.sizing.metric import finite_scores
from hpo.spec.answer import Answer


def answer_of(database: Database, name: str) -> Answer:
    """The verdict when the study is done; before, its state and what is known so far.

    Places that are not on this machine are null. Raises UnknownStudy.
    """
    stored = studies.find(database, name)
    if stored.answer is not None:
        return _with_places_that_are_here(stored.answer)
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


def note_place(database: Database, name: str, key: Literal["model", "report"], path: Path) -> None:
    """Keep in the answer where the study's model or report was written.

    Nothing is kept where there is no verdict (any more).
    """
    row = studies_table.c.name == name
    with database.transaction() as connection:
        kept = connection.execute(
            sa.select(studies_table.c.answer).where(row).with_for_update()
        ).scalar()
        if kept:
            answer = Answer.model_validate_json(kept)
            noted = answer.model_copy(update={key: str(path.resolve())})
            update = studies_table.update().where(row)
            connection.execute(update.values(answer=noted.model_dump_json()))


def _with_places_that_are_here(answer: Answer) -> Answer:
    places = {"model": answer.model, "report": answer.report}
    return answer.model_copy(
        update={key: path if path and Path(path).exists() else None for key, path in places.items()}
    )


def benchmark_scores(database: Database, stored: studies.Stored) -> dict[str, float]:
    """Scores over the folds' origins of the benchmarks whose forecasts are finite numbers.

    Empty before they are known.
    """
    errors = results.benchmarks_of(database, stored.name)
    means = {name: np.concatenate(per_fold[:-1]).mean() for name, per_fold in errors.items()}
    return finite_scores(means, stored.spec.task.metric)
