"""Loss curves at a fixed seed stay as they were: a refactoring of an engine must reproduce them.

Where an engine is meant to train differently, write the curves anew and say why in the commit:

    python -m tests.golden.test_loss_curves
"""

import json
from pathlib import Path

import numpy as np
import pytest

from hpo.training.device import use_threads
from hpo.training.torch_trainer import TorchTrainer
from hpo.training.trainer import Plan, Samples, Shape, Trained
from hpo.training.weights import initial_weights

FOLDER = Path(__file__).parent
RELATIVE_TOLERANCE = 1e-3
STEPS, CHECK_EVERY, BATCH = 160, 16, 16

CASES = {
    "one-layer": (Shape(inputs=1, outputs=1, cells=(4,)), "absolute", True),
    "two-unequal-layers": (Shape(inputs=2, outputs=3, cells=(6, 3)), "squared", False),
    "three-layers": (Shape(inputs=2, outputs=1, cells=(3, 3, 3)), "absolute", True),
}


def train(case: str) -> Trained:
    """Train the case's network on a noisy sine with a covariate."""
    shape, loss, anchored = CASES[case]
    generator = np.random.default_rng(20)
    values_RF = generator.normal(scale=0.3, size=(200, shape.inputs))
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
        rates_S=np.full(STEPS, 0.006, dtype=np.float32),
        loss="squared" if loss == "squared" else "absolute",
        clip_norm=1.0,
        weight_decay=0.01,
        check_every=CHECK_EVERY,
        patience=STEPS,
        dropout_seed=0,
    )
    weights = initial_weights(shape, generator)
    return TorchTrainer("cpu").train(shape, weights, inner, plan, watch, lambda *_: True)


def curve(trained: Trained) -> dict[str, list[float]]:
    return {
        "train_loss": [check.train_loss for check in trained.checks],
        "watch_loss": [check.watch_loss for check in trained.checks],
    }


def write_anew() -> None:
    """Write every case's curve as it is now."""
    for case in CASES:
        text = json.dumps(curve(train(case)), indent=1)
        (FOLDER / f"{case}.json").write_text(text + "\n", encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_a_loss_curve_is_the_one_it_was(case: str) -> None:
    use_threads(1)
    known = json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))
    found = curve(train(case))
    assert len(known["train_loss"]) == STEPS // CHECK_EVERY
    for name, losses in known.items():
        np.testing.assert_allclose(found[name], losses, rtol=RELATIVE_TOLERANCE, err_msg=name)


def test_every_curve_belongs_to_a_case_and_shows_learning() -> None:
    files = {path.stem: path for path in FOLDER.glob("*.json")}
    assert set(files) == set(CASES)
    for path in files.values():
        losses = json.loads(path.read_text(encoding="utf-8"))["train_loss"]
        assert losses[-1] < 0.8 * losses[0]


if __name__ == "__main__":
    write_anew()
