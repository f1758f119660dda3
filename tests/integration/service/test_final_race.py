"""The final race: rounds of fresh seeds while these decide, one test, and all of it resumable."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hpo.data.metrics import losses
from hpo.data.prepare import truth
from hpo.search.outcome import NetworkRecord
from hpo.service import results, studies
from hpo.service.answers import answer_of
from hpo.service.database import Database
from hpo.service.executor import InProcess
from hpo.service.final_race import FinalRace
from hpo.service.joining import join
from hpo.sizing.rounds import MOST_ROUNDS
from hpo.spec.answer import Answer
from hpo.spec.study import Study
from hpo.training.trainer import Diverged, Predictor, Shape, Weights
from tests.integration.service.stage import change, claim_of, look, opened, submit, work_on, worker
from tests.unit.search.fake_trainer import FakeTrainer, tiny_study

SEEDS, FOLDS = 2, 2
FRESH = "SELECT trial, count(*) FROM hpo_network WHERE fold < 2 AND seed >= 2 GROUP BY trial"
TAKES_SEEDS = {"validation": {"folds": FOLDS, "seeds": SEEDS}}


class SeedyTrainer(FakeTrainer):
    """Its forecasts are off by what a network's first weights, and so its seed, make of them."""

    def __init__(self, *, noise: float, before: Callable[[Shape], None] = lambda _: None) -> None:
        super().__init__(before=before)
        self.noise = noise

    def predictor(self, shape: Shape, weights: Weights) -> Predictor:
        """Always the same, far above the truth where the network's luck is bad."""
        luck = self.noise * abs(float(weights["layers.0.weight_ih_l0"].ravel()[0]))

        def predict(x_BTF: NDArray[np.float32]) -> NDArray[np.float32]:
            return np.full((len(x_BTF), shape.outputs), 3 + luck, dtype=np.float32)

        return predict


def study(**sections: dict[str, Any]) -> Study:
    return tiny_study(**(TAKES_SEEDS | sections))


def to_the_verdict(database: Database, trainer: FakeTrainer) -> None:
    """Work on all slots but the last."""
    one = worker(database, trainer)
    while (claim := claim_of(database, one.id)).kind != "verdict":
        work_on(one, [claim])
    results_of_slot = "UPDATE hpo_slot SET state = 'open', worker = NULL WHERE kind = 'verdict'"
    change(database.url, results_of_slot)


def raced(url: str, trainer: FakeTrainer, asked: Study | None = None) -> Answer:
    with opened(url) as database:
        submit(database, asked or study())
        worker(database, trainer).run()
        return answer_of(database, "tiny")


def test_where_seeds_decide_finalists_race_in_further_rounds(database_url: str) -> None:
    answer = raced(database_url, SeedyTrainer(noise=5.0))
    fresh = {trial: count // FOLDS for trial, count in look(database_url, FRESH)}

    assert SEEDS < max(fresh.values()) <= (1 + MOST_ROUNDS) * SEEDS
    assert {count % SEEDS for count in fresh.values()} == {0}
    assert answer.networks == look(database_url, "SELECT count(*) FROM hpo_network")[0][0]
    assert any("fresh seeds" in reason or "more seeds" in reason for reason in answer.reasons)


def test_where_seeds_decide_nothing_one_round_is_enough(sqlite_url: str) -> None:
    raced(sqlite_url, SeedyTrainer(noise=0.0))

    assert {count // FOLDS for _, count in look(sqlite_url, FRESH)} == {SEEDS}


def test_a_search_that_was_ended_early_gets_no_further_rounds(sqlite_url: str) -> None:
    trainer = SeedyTrainer(noise=5.0)
    with opened(sqlite_url) as database:
        submit(database, study())
        to_the_verdict(database, trainer)
        change(sqlite_url, "UPDATE hpo_study SET closed_by = 'time limit'")
        worker(database, trainer).run()
        answer = answer_of(database, "tiny")

    assert {count // FOLDS for _, count in look(sqlite_url, FRESH)} == {SEEDS}
    assert any("the time limit left no more rounds" in reason for reason in answer.reasons)


def test_a_race_that_was_interrupted_goes_on_where_it_was(
    database_url: str, empty_urls: Callable[[int], list[str]]
) -> None:
    [undisturbed_url] = empty_urls(1)
    expected = raced(undisturbed_url, SeedyTrainer(noise=5.0))
    stop, judging = threading.Event(), threading.Event()

    def stop_in_the_second_round(_: Shape) -> None:
        most = "SELECT max(seed) FROM hpo_network"
        if judging.is_set() and look(database_url, most)[0][0] >= 2 * SEEDS - 1:
            stop.set()

    trainer = SeedyTrainer(noise=5.0, before=stop_in_the_second_round)
    with opened(database_url) as database:
        submit(database, study())
        to_the_verdict(database, trainer)
        judging.set()
        worker(database, trainer, stop).run()
        assert studies.state(database, "tiny") == "running"
        again = SeedyTrainer(noise=5.0)
        worker(database, again).run()
        answer = answer_of(database, "tiny")
    apart = {"wall_s", "storage"}
    assert answer.model_dump(exclude=apart) == expected.model_dump(exclude=apart)
    assert answer.networks == len(trainer.trained) + len(again.trained)


def test_a_finalist_that_fails_in_a_further_round_stays_with_the_seeds_it_has(
    sqlite_url: str,
) -> None:
    judging = threading.Event()
    refused: list[tuple[int, ...]] = []

    def refuse_one_in_the_second_round(shape: Shape) -> None:
        most = look(sqlite_url, "SELECT max(seed) FROM hpo_network")[0][0]
        if judging.is_set() and most >= 2 * SEEDS - 1 and not refused:
            refused.append(shape.cells)
            raise Diverged("at step 3")

    trainer = SeedyTrainer(noise=5.0, before=refuse_one_in_the_second_round)
    with opened(sqlite_url) as database:
        submit(database, study())
        to_the_verdict(database, trainer)
        judging.set()
        worker(database, trainer).run()
        answer = answer_of(database, "tiny")
    assert answer.state == "done"
    [warning] = [w for w in answer.warnings if "got no more than" in w]
    assert warning.endswith("got no more than 2 fresh seeds: at step 3")


def refits(database: Database, name: str = "tiny") -> list[NetworkRecord]:
    found = [r for of in results.networks_of(database, name).values() for r in of.values()]
    return [record for record in found if record.fold == FOLDS]


def test_the_test_score_is_that_of_the_mean_forecast_of_the_refits(database_url: str) -> None:
    with opened(database_url) as database:
        submit(database, study())
        worker(database, SeedyTrainer(noise=5.0)).run()
        answer, kept = answer_of(database, "tiny"), refits(database)
        prepared = join(database, "tiny", InProcess(threads=1)).prepared
    forecasts = [record.forecasts_OH for record in kept if record.forecasts_OH is not None]
    assert len(forecasts) == len(kept) == SEEDS
    assert forecasts[0].shape == (len(prepared.test.origins_O), prepared.study.task.horizon)
    scale_O, truth_OH = prepared.test.scale_O, truth(prepared, prepared.test)
    expected_O = losses(truth_OH, np.mean(forecasts, axis=0), scale_O, answer.metric)
    assert answer.test_score == pytest.approx(expected_O.mean())
    assert answer.test_se is not None
    assert answer.effective_parameters == pytest.approx(
        np.median([record.effective_parameters or np.nan for record in kept])
    )


def test_a_refit_whose_forecasts_were_not_kept_is_trained_anew(sqlite_url: str) -> None:
    trainer = SeedyTrainer(noise=5.0)
    expected = raced(sqlite_url, trainer)
    before = len(trainer.trained)
    change(sqlite_url, f"UPDATE hpo_network SET forecasts = NULL WHERE fold = {FOLDS}")  # noqa: S608
    reopen(sqlite_url)
    with opened(sqlite_url) as database:
        worker(database, trainer).run()
        answer = answer_of(database, "tiny")
    assert len(trainer.trained) == before + SEEDS
    assert answer.test_score == expected.test_score


def reopen(url: str) -> None:
    """As if hpo 0.1 had been upgraded just before the study's verdict was kept."""
    change(url, "UPDATE hpo_study SET state = 'running', answer = NULL, ended_at = NULL")
    change(url, "UPDATE hpo_slot SET state = 'open', outcome = NULL WHERE kind = 'verdict'")


def test_what_a_network_tells_beside_its_errors_is_kept(database_url: str) -> None:
    forecasts_OH = np.arange(6.0).reshape(2, 3)
    told: Sequence[dict[str, Any]] = [
        {"valid_loss": 0.25, "forecasts_OH": forecasts_OH, "effective_parameters": 7.5},
        {},
    ]
    with opened(database_url) as database:
        submit(database)
        claim = claim_of(database)
        networks = [
            NetworkRecord(
                fold=fold,
                seed=0,
                losses_O=np.zeros(2),
                steps=1,
                train_loss=1.0,
                watch_loss=1.0,
                wall_s=1.0,
                engine="fake",
                device="cpu",
                **values,
            )
            for fold, values in enumerate(told)
        ]
        results.record_networks(database, [claim], [(0, network) for network in networks])
        kept = results.networks_of(database, "tiny")[0]
    assert (kept[0, 0].valid_loss, kept[0, 0].effective_parameters) == (0.25, 7.5)
    np.testing.assert_array_equal(kept[0, 0].forecasts_OH, forecasts_OH)
    assert np.isnan(kept[1, 0].valid_loss)
    assert (kept[1, 0].forecasts_OH, kept[1, 0].effective_parameters) == (None, None)


def test_a_target_is_answered_from_the_trials_of_the_study(sqlite_url: str) -> None:
    asked = study(verdict={"target_score": 1e6})
    answer = raced(sqlite_url, SeedyTrainer(noise=5.0), asked)

    assert answer.target_score is not None
    assert answer.target_score.layers == 1
    assert answer.target_score.cells is not None
    with opened(sqlite_url) as database:
        joined = join(database, "tiny", InProcess(threads=1))
        stored = studies.find(database, "tiny")
        race = FinalRace(database, stored, joined.prepared, lambda _jobs: {})
    entrants = race.entrants(joined.prepared.limit)
    smallest = min(entrants, key=lambda entrant: entrant.weights)
    assert answer.target_score.cells == smallest.cells
    assert any(reason.startswith("For MASE 1.1e+06") for reason in answer.reasons)


def test_a_target_that_nothing_reaches_is_answered_with_nulls(sqlite_url: str) -> None:
    answer = raced(sqlite_url, SeedyTrainer(noise=5.0), study(verdict={"target_score": 1e-6}))

    assert answer.target_score is not None
    assert (answer.target_score.target, answer.target_score.cells) == (1e-6, None)
    assert any(reason.startswith("No network of this study") for reason in answer.reasons)


def test_an_answer_tells_what_the_choice_is_worth_and_what_it_could_have_seen(
    sqlite_url: str,
) -> None:
    answer = raced(sqlite_url, SeedyTrainer(noise=5.0), study(budget={"trials": 12}))

    assert answer.score_corrected is not None
    assert answer.best_benchmark_corrected is not None
    assert answer.detectable_difference is not None
    assert answer.importance is not None
    assert sum(answer.importance.values()) == pytest.approx(1, abs=1e-5)
    assert answer.target_score is None
