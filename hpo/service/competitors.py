"""The recommended network and every benchmark beside each other, each with its standard errors.

Shape: O origins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.data.folds import Fold
from hpo.errors import DataError
from hpo.search.objective import origins_of
from hpo.service import results, studies
from hpo.service.answers import answer_of
from hpo.service.database import Database
from hpo.service.preparing import prepared_of
from hpo.sizing.race import Entrant, run_race
from hpo.spec.answer import Answer
from hpo.spec.study import Study

LSTM = "lstm"
Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Competitor:
    """The `lstm` or a benchmark: its scores and their standard errors over blocks of origins.

    None: not known (yet), or not to be told where the study's data are not at hand.
    """

    name: str
    score: float | None
    score_se: float | None = None
    test_score: float | None = None
    test_se: float | None = None


def competitors_of(database: Database, name: str) -> tuple[Answer, list[Competitor]]:
    """The answer as it stands, and its competitors, the best on the folds first.

    Raises UnknownStudy.
    """
    answer, stored = answer_of(database, name), studies.find(database, name)
    found = [
        Competitor(name=n, score=score, test_score=answer.benchmarks_test.get(n))
        for n, score in answer.benchmarks.items()
    ]
    found = _with_errors(database, stored, found)
    if answer.score is not None:
        ours = Competitor(
            name=LSTM,
            score=answer.score,
            score_se=answer.score_se,
            test_score=answer.test_score,
            test_se=answer.test_se,
        )
        found.append(ours)
    return answer, sorted(found, key=lambda one: np.inf if one.score is None else one.score)


def _with_errors(
    database: Database, stored: studies.Stored, benchmarks: Sequence[Competitor]
) -> list[Competitor]:
    try:
        prepared = prepared_of(database, stored)
    except DataError:
        return list(benchmarks)
    losses = results.benchmarks_of(database, stored.name)
    return [
        replace(
            one,
            score_se=_error(prepared.folds, losses[one.name][:-1], stored.spec),
            test_se=None
            if one.test_score is None
            else _error([prepared.test], losses[one.name][-1:], stored.spec),
        )
        for one in benchmarks
    ]


def _error(folds: Sequence[Fold], losses: Sequence[Losses], spec: Study) -> float:
    """As that of a network: by the block bootstrap over the folds' origins."""
    alone = Entrant(trial=0, cells=(), weights=0, losses_SO=np.concatenate(losses)[None, :])
    origins, rng = origins_of(folds, spec.task.horizon), np.random.default_rng(spec.search.seed)
    return run_race([alone], origins, metric=spec.task.metric, rng=rng).se(0)
