"""Loss curves at a fixed seed stay as they were, whichever engine trains: torch's are the files.

The rate is low enough that a rounding stays one: at three times this rate, one rounding of the
first weights can grow to a tenth of the loss. Here it moves a curve by at most 2e-6 (the last test
shows it), so that float32 engines, which differ by roundings, must agree to ten times that.

Where all engines are meant to train differently, write the curves anew and say why in the commit:

    python -m tests.golden.test_loss_curves
"""

import json
from pathlib import Path

import numpy as np
import pytest

from hpo.training.device import use_threads
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Plan, Samples, Shape, Trained, Trainer
from hpo.training.weights import initial_weights
from tests.contract.engines import ENGINES, engine

FOLDER = Path(__file__).parent
EPSILON = float(np.finfo(np.float32).eps)
MOVED_BY_A_ROUNDING = 2e-6  # relative
RELATIVE_TOLERANCE = 10 * MOVED_BY_A_ROUNDING
STEPS, CHECK_EVERY, BATCH = 160, 16, 16

CASES = {
    "one-layer": (Shape(inputs=1, outputs=1, cells=(4,)), "absolute", True),
    "two-unequal-layers": (Shape(inputs=2, outputs=3, cells=(6, 3)), "squared", False),
    "three-layers": (Shape(inputs=2, outputs=1, cells=(3, 3, 3)), "absolute", True),
}


def train(case: str, trainer: Trainer, roundings: np.random.Generator | None = None) -> Trained:
    """Train the case's network on a noisy sine with a covariate.

    `roundings`: draws the rounding that each first weight is moved by, if any.
    """
    shape, loss, anchored = CASES[case]
    generator = np.random.default_rng(20)
    values_RF = generator.normal(scale=0.2, size=(200, shape.inputs))
    values_RF[:, 0] += np.sin(2 * np.pi * np.arange(200) / 12)
    inner, watch = (
        Samples(
            values_RF=values_RF.astype(np.float32),
            starts_N=np.arange(*span),
            lookback=12,
            outputs=shape.outputs,
            anchored=anchored,
        )
        for span in ((0, 140), (155, 180))
    )
    plan = Plan(
        order_SB=generator.integers(0, 140, size=(STEPS, BATCH)),
        rates_S=np.full(STEPS, 0.002, dtype=np.float32),
        loss="squared" if loss == "squared" else "absolute",
        clip_norm=1.0,
        weight_decay=0.01,
        check_every=CHECK_EVERY,
        patience=STEPS,
        dropout_seed=0,
    )
    weights = initial_weights(shape, generator)
    if roundings is not None:
        for array in weights.values():
            array *= 1 + roundings.choice([-EPSILON, 0, EPSILON], array.shape)
    return trainer.train(shape, weights, inner, plan, watch, lambda *_: True)


def curve(trained: Trained) -> dict[str, list[float]]:
    return {
        "train_loss": [check.train_loss for check in trained.checks],
        "watch_loss": [check.watch_loss for check in trained.checks],
    }


def write_anew() -> None:
    """Write every case's curve as it is now."""
    for case in CASES:
        text = json.dumps(curve(train(case, TorchTrainer("cpu"))), indent=1)
        (FOLDER / f"{case}.json").write_text(text + "\n", encoding="utf-8")


def known_curve(case: str) -> dict[str, list[float]]:
    known: dict[str, list[float]] = json.loads(
        (FOLDER / f"{case}.json").read_text(encoding="utf-8")
    )
    return known


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("case", CASES)
def test_a_loss_curve_is_the_one_it_was(case: str, name: str) -> None:
    use_threads(1)
    known, found = known_curve(case), curve(train(case, engine(name)))
    assert len(known["train_loss"]) == STEPS // CHECK_EVERY
    for losses, expected in known.items():
        np.testing.assert_allclose(found[losses], expected, rtol=RELATIVE_TOLERANCE, err_msg=losses)


def test_every_curve_belongs_to_a_case_and_shows_learning() -> None:
    files = {path.stem: path for path in FOLDER.glob("*.json")}
    assert set(files) == set(CASES)
    for case in CASES:
        losses = known_curve(case)["train_loss"]
        assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES)
def test_a_rounding_of_the_first_weights_does_not_move_a_loss_curve(case: str, seed: int) -> None:
    use_threads(1)
    known = known_curve(case)
    found = curve(train(case, TorchTrainer("cpu"), np.random.default_rng(seed)))
    assert found != known
    for name, losses in known.items():
        np.testing.assert_allclose(found[name], losses, rtol=MOVED_BY_A_ROUNDING, err_msg=name)


if __name__ == "__main__":
    write_anew()
