"""A network on a fold that is stopped and gone on with is the one that was never stopped."""

import numpy as np
import pytest

from hpo.data.metrics import losses
from hpo.data.prepare import truth
from hpo.fitting.fit import Fitted, fit_network, shape_of
from hpo.fitting.material import Material
from hpo.spec.candidate import Candidate
from hpo.training.state import TrainingState
from hpo.training.trainer import OnCheck, Stopped
from hpo.training.weights import join
from tests.contract.engines import ENGINES, engine
from tests.contract.tasks import assert_same, go_on
from tests.unit.search.fake_trainer import tiny_prepared

PREPARED = tiny_prepared()
CANDIDATE = Candidate(
    cells=(3, 2),
    learning_rate=0.01,
    weight_decay=0.0,
    dropout=0.2,
    lookback=PREPARED.lookbacks[-1],
)


def fit(
    name: str,
    on_check: OnCheck = go_on,
    *,
    candidate: Candidate = CANDIDATE,
    steps: int = 0,
    state: TrainingState | None = None,
) -> Fitted:
    return fit_network(
        Material(PREPARED),
        PREPARED.folds[0],
        candidate,
        seed=1,
        trainer=engine(name, quiet_s=0),
        on_check=on_check,
        steps=steps,
        state=state,
    )


def stopped(name: str, after: int, steps: int = 0) -> TrainingState:
    with pytest.raises(Stopped) as caught:
        fit(name, lambda step, _: step != after, steps=steps)
    assert caught.value.state is not None
    return TrainingState.from_bytes(caught.value.state.to_bytes())


@pytest.mark.parametrize("steps", [0, 30], ids=["watched", "refit"])
@pytest.mark.parametrize("name", ENGINES)
def test_a_network_that_was_stopped_is_the_one_that_was_not(name: str, steps: int) -> None:
    expected = fit(name, steps=steps)
    found = fit(name, steps=steps, state=stopped(name, 13, steps))
    assert_same(found.weights, expected.weights)
    np.testing.assert_array_equal(found.losses_O, expected.losses_O)
    assert (found.steps, found.train_loss) == (expected.steps, expected.train_loss)
    np.testing.assert_equal(found.watch_loss, expected.watch_loss)


@pytest.mark.parametrize("name", ENGINES)
def test_the_state_of_another_network_is_refused(name: str) -> None:
    state = stopped(name, 5)
    with pytest.raises(ValueError, match="the state's widths is"):
        fit(name, candidate=CANDIDATE.model_copy(update={"cells": (2, 3)}), state=state)
    with pytest.raises(ValueError, match="the state's plan_steps is"):
        fit(name, steps=30, state=state)


@pytest.mark.parametrize("name", ENGINES)
def test_the_valid_loss_is_the_trained_loss_on_the_folds_scored_windows(name: str) -> None:
    fitted, fold = fit(name), PREPARED.folds[0]
    scored = Material(PREPARED).scored(fold, CANDIDATE.lookback)
    ends_N = scored.starts_N + scored.lookback - 1
    np.testing.assert_array_equal(ends_N, fold.origins_O)
    shape = shape_of(PREPARED, CANDIDATE)
    assert fitted.valid_loss == engine(name).loss(shape, fitted.weights, scored, "absolute")
    assert np.isfinite(fitted.valid_loss)
    assert fitted.valid_loss != fitted.train_loss


@pytest.mark.parametrize("name", ENGINES)
def test_only_final_refits_tell_their_effective_parameters(name: str) -> None:
    fitted, refitted, fold = fit(name), fit(name, steps=30), PREPARED.folds[0]
    assert fitted.effective_parameters is None
    assert refitted.effective_parameters is not None
    assert (
        0
        < refitted.effective_parameters
        < join(shape_of(PREPARED, CANDIDATE), refitted.weights).size
    )
    metric = PREPARED.study.task.metric
    again_O = losses(truth(PREPARED, fold), refitted.forecast_OH, fold.scale_O, metric)
    np.testing.assert_array_equal(refitted.losses_O, again_O)
