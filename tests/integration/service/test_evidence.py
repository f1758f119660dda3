"""The evidence of a study that is done is what its verdict rested on, without training again."""

import numpy as np
import pytest

from hpo.data.metrics import losses
from hpo.errors import UsageError
from hpo.service.evidence import evidence_of
from hpo.sizing.metric import score
from tests.integration.service.stage import change, opened, submit
from tests.integration.service.test_final_race import SeedyTrainer, raced, study


def test_the_race_run_again_from_its_records_is_the_one_that_was_judged(database_url: str) -> None:
    answer = raced(database_url, SeedyTrainer(noise=5.0))
    with opened(database_url) as database:
        evidence = evidence_of(database, "tiny")

    [chosen] = [f for f in evidence.finalists if f.trial == answer.trial]
    assert (chosen.cells, chosen.score) == (answer.cells, answer.score)
    assert chosen.is_tied
    tied = [sum(f.cells) for f in evidence.finalists if f.is_tied]
    assert answer.cells_tied is not None
    assert min(tied) == answer.cells_tied[0]
    assert min(f.behind for f in evidence.finalists) == 0
    refuted = {f.cells for f in evidence.finalists if not f.is_tied}
    assert refuted, "else this shows nothing"
    known = {s.cells for s in evidence.sizes} - refuted
    assert answer.cells_tied[1] in {sum(cells) for cells in known}
    for size in evidence.sizes:
        [trial] = [t for t in evidence.trials if t.number == size.trial]
        assert (trial.cells, trial.ending) == (size.cells, "complete")
        assert size.score == pytest.approx(trial.score)
    best = min(evidence.sizes, key=lambda size: size.score)
    assert best.behind_se == 0


def test_the_forecasts_of_the_test_span_are_those_that_were_scored(sqlite_url: str) -> None:
    answer = raced(sqlite_url, SeedyTrainer(noise=5.0))
    with opened(sqlite_url) as database:
        evidence = evidence_of(database, "tiny")

    test = evidence.test
    assert test is not None
    assert test.benchmark_OH is not None
    for forecast_OH, expected in (
        (test.network_OH, answer.test_score),
        (test.benchmark_OH, answer.benchmarks_test[answer.best_benchmark or ""]),
    ):
        loss_O = losses(test.truth_OH, forecast_OH, test.fold.scale_O, answer.metric)
        assert score(float(loss_O.mean()), answer.metric) == pytest.approx(expected)
    assert [shown.fold.number for shown in evidence.folds] == [0, 1]
    assert np.isfinite([shown.network_OH for shown in evidence.folds]).all()


def test_what_an_earlier_hpo_did_not_keep_is_left_out(sqlite_url: str) -> None:
    raced(sqlite_url, SeedyTrainer(noise=0.0))
    change(sqlite_url, "UPDATE hpo_network SET forecasts = NULL")
    change(sqlite_url, "UPDATE hpo_benchmark SET forecasts = NULL")
    with opened(sqlite_url) as database:
        evidence = evidence_of(database, "tiny")
    assert (evidence.folds, evidence.test) == ([], None)
    assert "kept no forecasts" in evidence.missing
    assert evidence.finalists


def test_without_its_data_a_study_still_tells_its_trials_and_why(sqlite_url: str) -> None:
    raced(sqlite_url, SeedyTrainer(noise=0.0))
    change(
        sqlite_url,
        "UPDATE hpo_data SET parquet = NULL, uri = 'file:///nowhere/sales.csv', sha256 = 'x'",
    )
    with opened(sqlite_url) as database:
        evidence = evidence_of(database, "tiny")
    assert evidence.prepared is None
    assert "/nowhere/sales.csv" in evidence.missing
    assert evidence.trials
    assert (evidence.sizes, evidence.finalists, evidence.test) == ((), (), None)


def test_a_study_without_a_verdict_has_no_evidence_yet(sqlite_url: str) -> None:
    with opened(sqlite_url) as database:
        submit(database, study())
        with pytest.raises(UsageError, match="'tiny' is queued and has no verdict yet"):
            evidence_of(database, "tiny")
