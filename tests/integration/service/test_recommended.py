"""What a study recommends is read with the forecasts that its final race kept."""

import numpy as np
import pytest

from hpo.errors import UnknownStudy, UsageError
from hpo.export.intervals import make_intervals
from hpo.service import results, studies
from hpo.service.recommended import recommended
from tests.integration.service.stage import change, opened, submit, worker
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study

SEEDS = 2
STUDY = tiny_study(validation={"folds": 2, "seeds": SEEDS})


def test_the_recommended_network_comes_with_the_mean_forecasts_of_fresh_seeds(
    database_url: str,
) -> None:
    with opened(database_url) as database:
        submit(database, STUDY)
        worker(database).run()
        found = recommended(database, "tiny")
        answer = studies.find(database, "tiny").answer
        assert answer is not None
        assert answer.trial is not None
        records = results.networks_of(database, "tiny")[answer.trial]
    assert found.answer == answer
    assert (found.candidate.cells, found.candidate.lookback) == (answer.cells, answer.lookback)
    assert found.engine == "torch"
    assert list(found.seeds) == [2, 3]
    folds = (*found.prepared.folds, found.prepared.test)
    assert sorted(found.forecasts) == [fold.number for fold in folds]
    for fold in folds:
        kept = [records[fold.number, seed].forecasts_OH for seed in found.seeds]
        assert found.forecasts[fold.number].shape == (len(fold.origins_O), 1)
        expected_OH = np.mean([forecasts for forecasts in kept if forecasts is not None], axis=0)
        np.testing.assert_array_equal(found.forecasts[fold.number], expected_OH)


def test_a_study_without_an_answer_recommends_nothing_yet(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        with pytest.raises(UnknownStudy):
            recommended(database, "tiny")
        submit(database, STUDY)
        with pytest.raises(UsageError, match="'tiny' is queued and has no verdict yet"):
            recommended(database, "tiny")


def test_an_answer_of_an_earlier_hpo_is_refused_with_the_way_out(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, STUDY)
        worker(database, FakeTrainer()).run()
        change(
            sqlite_url, "UPDATE hpo_study SET answer = json_set(answer, '$.trial', json('null'))"
        )
        with pytest.raises(UsageError, match="run the study again"):
            recommended(database, "tiny")


def test_where_forecasts_of_folds_were_not_kept_there_are_no_intervals(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, STUDY)
        worker(database, FakeTrainer()).run()
        change(sqlite_url, "UPDATE hpo_network SET forecasts = NULL WHERE fold < 2")
        found = recommended(database, "tiny")
    assert sorted(found.forecasts) == [2]
    assert make_intervals(found.prepared, {}, found.forecasts[2]) is None
