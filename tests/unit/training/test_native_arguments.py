"""What does not belong together is refused at the native module's entry, with what and which value.

Arrays are given as they are: nothing behind the entry checks an index again.
"""

from typing import Any

import numpy as np
import pytest

from tests.unit.training.reference import LOSSES, SINGLE, native

KERNEL = SINGLE[-1]  # runs on every processor
SQUARED, CROSS_ENTROPY = LOSSES.index("squared"), LOSSES.index("cross_entropy")
ROWS, WINDOWS, WEIGHTS = 20, 6, 4 * 3 * (2 + 3 + 2) + 2 * (3 + 1)
HUGE = 2**62
MOMENTS = ("mean", "square", "best")


def reals(count: int) -> Any:
    return np.zeros(count, dtype=np.float32)


def ints(*values: int) -> Any:
    return np.array(values, dtype=np.int64)


def locked(array: Any) -> Any:
    array.flags.writeable = False
    return array


class Call:
    """The arguments of a call of each function, all of them right but those that are changed."""

    def __init__(self, **changes: Any) -> None:
        given: dict[str, Any] = {
            "kernel": KERNEL,
            "cells": ints(3),
            "inputs": 2,
            "outputs": 2,
            "dropout": 0.0,
            "weights": reals(WEIGHTS),
            "values": reals(ROWS * 2),
            "starts": np.arange(WINDOWS),
            "lengths": None,
            "labels": None,
            "lookback": 5,
            "order": np.arange(4),
            "rates": reals(2),
            "batch": 2,
            "loss": SQUARED,
            "check_every": 1,
            "patience": 1,
            "checks": np.zeros(9),
            "mean": reals(WEIGHTS),
            "square": reals(WEIGHTS),
            "best": reals(WEIGHTS),
            "step": 0,
            "best_check": 0,
            "watch": None,
            "outputs_to": reals(WINDOWS * 2),
            "gradient": reals(WEIGHTS),
        }
        assert not changes.keys() - given.keys()
        of = {**given, **changes}
        self.of = of
        self.network = tuple(
            of[name] for name in ("kernel", "cells", "inputs", "outputs", "dropout", "weights")
        )
        self.samples = (
            *(of[n] for n in ("values", "starts", "lengths", "labels", "lookback")),
            False,
        )

    def train(self) -> Any:
        of = self.of
        how = (of["batch"], of["loss"], 1.0, 0.0, of["check_every"], of["patience"], 1e6, 0, 1e9)
        steps = (of["order"], of["rates"])
        arrays = (of[name] for name in ("checks", "mean", "square", "best"))
        course = (*arrays, of["step"], of["best_check"], 1.0, 0.0)
        return native.train(self.network, self.samples, of["watch"], *steps, *how, course, None)

    def run(self) -> Any:
        return native.run(self.network, self.samples, self.of["loss"], self.of["outputs_to"])

    def gradient(self) -> Any:
        of = self.of
        batch = (of["order"], of["loss"], 0, of["gradient"])
        return native.gradient(self.network, self.samples, *batch)


def sequences(**changes: Any) -> dict[str, Any]:
    """Sequences with classes in place of windows to forecast."""
    given = {"lengths": ints(1, 2, 3, 4, 5, 6), "labels": ints(0, 1, 0, 1, 0, 1)}
    return {**given, "loss": CROSS_ENTROPY, "lookback": 1, **changes}


@pytest.mark.parametrize("changes", [{}, sequences()], ids=["windows", "sequences"])
def test_what_belongs_together_is_taken(changes: dict[str, Any]) -> None:
    call = Call(**changes)
    assert np.isfinite(call.run())
    assert np.isfinite(call.gradient())
    assert call.train()[:3] == (0, 2, 2)


# What every function is given

NETWORK = [
    ({"kernel": "sse9"}, "kernel sse9 is not among"),
    ({"cells": ints()}, "number of layers is 0, it must be 1 to 64"),
    ({"cells": np.ones(65, dtype=np.int64)}, "number of layers is 65, it must be 1 to 64"),
    ({"cells": ints(0)}, "cells of a layer is 0, it must be 1 to 1048576"),
    ({"cells": ints(3, -1)}, "cells of a layer is -1, it must be 1 to 1048576"),
    ({"cells": ints(HUGE)}, f"cells of a layer is {HUGE}, it must be 1 to 1048576"),
    ({"cells": ints(2**20)}, "weights has 92 entries, this network 4398065385474 weights"),
    ({"cells": np.array([3], dtype=np.int32)}, "cells must be int64, not of format 'i'"),
    ({"inputs": 0}, "inputs is 0, it must be at least 1"),
    ({"inputs": -2}, "inputs is -2, it must be at least 1"),
    ({"inputs": 2**31 - 1}, "weights has 92 entries, this network 25769803"),
    ({"outputs": 0}, "outputs is 0, it must be at least 1"),
    ({"outputs": 2**31 - 1}, "weights has 92 entries, this network 8589934672 weights"),
    ({"dropout": -0.1}, "dropout is -0.1, it must be at least 0 and below 1"),
    ({"dropout": 1.0}, "dropout is 1.0, it must be at least 0 and below 1"),
    ({"dropout": np.nan}, "dropout is nan, it must be at least 0 and below 1"),
    ({"weights": reals(WEIGHTS - 1)}, "weights has 91 entries, this network 92 weights"),
    ({"weights": reals(WEIGHTS + 1)}, "weights has 93 entries, this network 92 weights"),
    ({"weights": np.zeros(WEIGHTS)}, "weights must be float32, not of format 'd'"),
    ({"weights": np.zeros(WEIGHTS, dtype=">f4")}, "weights must be float32, not of format '>f'"),
    ({"kernel": "double"}, "weights must be float64, not of format 'f'"),
]
SAMPLES = [
    ({"values": reals(ROWS * 2 - 1)}, "count of values is 39, it must be rows x inputs"),
    ({"values": np.zeros(ROWS * 2)}, "values must be float32, not of format 'd'"),
    ({"starts": ints()}, "number of windows is 0, it must be at least 1"),
    ({"starts": ints(-1)}, "first row of a window is -1, it must be such"),
    ({"starts": ints(0, -HUGE)}, f"first row of a window is -{HUGE}, it must be such"),
    ({"starts": ints(0, 14)}, "first row of a window is 14, it must be such"),
    (
        {"starts": ints(0, 2**63 - 1)},
        "first row of a window is 9223372036854775807, it must be such",
    ),
    ({"starts": np.zeros(2, dtype=np.uint64)}, "starts must be int64, not of format 'L'"),
    ({"lookback": 0}, "steps of a window is 0, it must be 1 to 16777216"),
    ({"lookback": -1}, "steps of a window is -1, it must be 1 to 16777216"),
    ({"lookback": 19}, "first row of a window is 0, it must be such"),
    ({"lookback": 2**24}, "first row of a window is 0, it must be such"),
    ({"lookback": HUGE}, f"steps of a window is {HUGE}, it must be 1 to 16777216"),
    (sequences(lengths=ints(1, 2)), "number of lengths is 2, it must be that of starts"),
    (sequences(labels=ints(0, 1)), "number of labels is 2, it must be that of starts"),
    (sequences(lengths=ints(1, 1, 1, 1, 1, 0)), "steps of a window is 0, it must be 1 to"),
    (sequences(lengths=ints(1, 1, 1, 1, 1, -HUGE)), f"steps of a window is -{HUGE}, it must be"),
    (sequences(lengths=ints(1, 1, 1, 1, 1, 16)), "first row of a window is 5, it must be such"),
    (sequences(lengths=reals(6)), "lengths must be int64, not of format 'f'"),
    (
        sequences(labels=ints(0, 0, 0, 0, 0, 2)),
        "a label is 2, it must be 0 to the number of outputs",
    ),
    (sequences(labels=ints(0, 0, 0, 0, -1, 0)), "a label is -1, it must be 0 to the number of"),
    (sequences(labels=np.zeros(6)), "labels must be int64, not of format 'd'"),
]
LOSS = [
    ({"loss": 3}, "loss is 3, it must be 0, 1 or 2"),
    ({"loss": CROSS_ENTROPY}, "loss is 2, it must be 2 with labels, 0 or 1 without"),
    (sequences(loss=SQUARED), "loss is 1, it must be 2 with labels, 0 or 1 without"),
]


def name(changes: object) -> str | None:
    """What is changed, for the test's id; None leaves it to pytest."""
    return ",".join(changes) if isinstance(changes, dict) else None


@pytest.mark.parametrize("function", ["train", "run", "gradient"])
@pytest.mark.parametrize(("changes", "said"), [*NETWORK, *SAMPLES, *LOSS], ids=name)
def test_wrong_networks_samples_and_losses_are_refused(
    function: str, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        getattr(Call(**changes), function)()


# What each function is given besides


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"order": ints(0, 1, 2, WINDOWS)},
            "a window in order is 6, it must be one of the samples'",
        ),
        ({"order": ints(0, 1, 2, -1)}, "a window in order is -1, it must be one of the samples'"),
        ({"order": ints(0, 1, 2)}, "length of order is 3, it must be steps x batch"),
        ({"order": ints()}, "length of order is 0, it must be steps x batch"),
        ({"order": np.zeros(4, dtype=np.int32)}, "order must be int64, not of format 'i'"),
        ({"batch": 0}, "batch is 0, it must be at least 1"),
        ({"batch": -2}, "batch is -2, it must be at least 1"),
        ({"batch": HUGE}, "length of order is 4, it must be steps x batch"),
        ({"rates": reals(0)}, "length of order is 4, it must be steps x batch"),
        ({"rates": reals(3)}, "length of order is 4, it must be steps x batch"),
        ({"rates": np.zeros(2)}, "rates must be float32, not of format 'd'"),
        ({"check_every": 0}, "check_every is 0, it must be at least 1"),
        ({"patience": 0}, "patience is 0, it must be at least 1"),
        ({"checks": np.zeros(8)}, "length of checks is 8, it must be 3 x"),
        ({"checks": reals(9)}, "checks must be float64, not of format 'f'"),
        *(({array: reals(WEIGHTS - 1)}, f"{array} has 91 entries, this") for array in MOMENTS),
        *(({array: reals(WEIGHTS + 1)}, f"{array} has 93 entries, this") for array in MOMENTS),
        *(({array: np.zeros(WEIGHTS)}, f"{array} must be float32, not of") for array in MOMENTS),
        ({"step": -1}, "number of steps taken is -1, it must be 0 to that of all"),
        ({"step": 2}, "number of steps taken is 2, it must be 0 to that of all"),
        ({"step": HUGE}, f"number of steps taken is {HUGE}, it must be 0 to that of all"),
        ({"best_check": -1}, "the best check is -1, it must be one of those made"),
        ({"best_check": 1}, "the best check is 1, it must be one of those made"),
        ({"step": 1, "best_check": 1}, "the best check is 1, it must be one of those made"),
        ({"step": 1, "best_check": HUGE}, f"the best check is {HUGE}, it must be one of"),
    ],
    ids=name,
)
def test_a_wrong_plan_or_course_of_a_training_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Call(**changes).train()


@pytest.mark.parametrize(("changes", "said"), SAMPLES, ids=name)
def test_wrong_watched_samples_are_refused(changes: dict[str, Any], said: str) -> None:
    right = sequences() if "lengths" in changes else {}
    with pytest.raises(ValueError, match=said):
        Call(**right, watch=Call(**changes).samples).train()


def test_watched_samples_of_the_other_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="loss is 1, it must be 2 with labels, 0 or 1 without"):
        Call(watch=Call(**sequences()).samples).train()
    with pytest.raises(ValueError, match="loss is 2, it must be 2 with labels, 0 or 1 without"):
        Call(**sequences(), watch=Call().samples).train()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"order": ints(0, WINDOWS)}, "a window in order is 6, it must be one of the samples'"),
        ({"order": ints(0, -HUGE)}, "a window in order is -.*, it must be one of the samples'"),
        ({"order": ints()}, "length of order is 0, it must be at least 1"),
        ({"gradient": reals(WEIGHTS - 1)}, "length of gradient is 91, it must be that of weights"),
        ({"gradient": np.zeros(WEIGHTS)}, "gradient must be float32, not of format 'd'"),
    ],
    ids=name,
)
def test_a_wrong_batch_or_room_for_its_gradient_is_refused(
    changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Call(**changes).gradient()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outputs_to": reals(11)}, "length of outputs is 11, it must be windows x outputs"),
        ({"outputs_to": np.zeros(12)}, "outputs must be float32, not of format 'd'"),
    ],
    ids=name,
)
def test_wrong_room_for_outputs_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Call(**changes).run()


def test_outputs_alone_need_no_rows_of_targets() -> None:
    last = ints(ROWS - 5)
    room = {"starts": last, "outputs_to": reals(2)}
    Call(**room, loss=-1).run()
    with pytest.raises(ValueError, match="first row of a window is 15"):
        Call(**room).run()


# What is no such array, or no such tuple

EVERY_ARRAY = ["cells", "weights", "values", "starts", "order", "rates", "checks", *MOMENTS]


@pytest.mark.parametrize("array", EVERY_ARRAY)
def test_an_array_with_gaps_is_refused(array: str) -> None:
    with_gaps = np.resize(Call().of[array], 18)[::2]
    with pytest.raises(
        TypeError, match=f"{array} must be a C-contiguous array .* 'ndarray' is not"
    ):
        Call(**{array: with_gaps}).train()


@pytest.mark.parametrize(
    ("function", "array"),
    [
        *(("train", array) for array in ("weights", "checks", *MOMENTS)),
        ("run", "outputs_to"),
        ("gradient", "gradient"),
    ],
)
def test_an_array_to_write_to_that_cannot_be_written_is_refused(function: str, array: str) -> None:
    said = f"{array.removesuffix('_to')} must be .* that is not read-only"
    with pytest.raises(TypeError, match=said):
        getattr(Call(**{array: locked(Call().of[array])}), function)()


def test_weights_that_are_only_read_may_be_locked() -> None:
    call = Call(weights=locked(reals(WEIGHTS)))
    assert np.isfinite(call.run())
    assert np.isfinite(call.gradient())


@pytest.mark.parametrize("array", EVERY_ARRAY)
def test_what_is_no_array_is_refused(array: str) -> None:
    with pytest.raises(TypeError, match=f"{array} must be a C-contiguous array .* 'list' is not"):
        Call(**{array: [0.0, 1.0]}).train()


@pytest.mark.parametrize("missing", ["network", "samples"])
def test_what_is_no_network_and_no_samples_is_refused(missing: str) -> None:
    call = Call()
    setattr(call, missing, getattr(call, missing)[:-1])
    for function in (call.train, call.run, call.gradient):
        with pytest.raises(TypeError, match=r"(a network is|samples are) \(.*\)"):
            function()


def test_what_is_refused_leaves_the_weights_as_they_were() -> None:
    weights = np.random.default_rng(0).normal(size=WEIGHTS).astype(np.float32)
    given = weights.copy()
    with pytest.raises(ValueError, match="a window in order is 6"):
        Call(weights=given, order=ints(0, 1, 2, WINDOWS), rates=reals(2) + 1).train()
    np.testing.assert_array_equal(given, weights)


def test_labels_without_lengths_are_refused() -> None:
    with pytest.raises(TypeError, match="labels must be None where lengths is None"):
        Call(labels=ints(0, 1, 0, 1, 0, 1)).train()
