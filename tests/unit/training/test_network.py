"""The network has the weights that its size says, and they travel without change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hpo.sizing.bound import parameters
from hpo.training.network import Network, initial_weights, load, unload
from hpo.training.trainer import Shape

shapes = st.builds(
    Shape,
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    cells=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
)


@given(shapes)
@settings(max_examples=50, deadline=None)
def test_a_network_has_as_many_parameters_as_the_bound_counts(shape: Shape) -> None:
    count = sum(p.numel() for p in Network(shape).parameters())
    assert count == parameters(shape.cells, shape.inputs, shape.outputs)


@given(shapes)
@settings(max_examples=50, deadline=None)
def test_fresh_weights_have_the_names_shapes_and_kind_of_the_state_dict(shape: Shape) -> None:
    weights = initial_weights(shape, np.random.default_rng(0))
    state = Network(shape).state_dict()
    assert {name: array.shape for name, array in weights.items()} == {
        name: tuple(tensor.shape) for name, tensor in state.items()
    }
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_fresh_weights_are_within_one_over_the_root_of_the_cells() -> None:
    shape = Shape(inputs=3, outputs=2, cells=(16, 4))
    weights = initial_weights(shape, np.random.default_rng(0))
    for name, reach in [("layers.0", 0.25), ("layers.1", 0.5), ("head", 0.5)]:
        for part in ("weight", "weight_ih_l0", "weight_hh_l0"):
            if (array := weights.get(f"{name}.{part}")) is not None:
                assert 0.5 * reach < np.abs(array).max() <= reach


def test_the_forget_gates_start_open() -> None:
    weights = initial_weights(Shape(inputs=1, outputs=1, cells=(3, 2)), np.random.default_rng(0))
    for layer, cells in enumerate((3, 2)):
        bias = weights[f"layers.{layer}.bias_ih_l0"]
        assert (bias[cells : 2 * cells] == 1).all()
        assert (np.abs(bias[:cells]) < 1).all()
        assert not weights[f"layers.{layer}.bias_hh_l0"].any()


def test_fresh_weights_follow_from_the_generator_alone() -> None:
    shape = Shape(inputs=2, outputs=1, cells=(4,))
    one, same, other = (initial_weights(shape, np.random.default_rng(s)) for s in (0, 0, 1))
    for name, array in one.items():
        np.testing.assert_array_equal(array, same[name])
    assert (one["head.weight"] != other["head.weight"]).any()


@given(shapes, st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_weights_come_back_as_they_were_loaded(shape: Shape, seed: int) -> None:
    weights = initial_weights(shape, np.random.default_rng(seed))
    back = unload(load(shape, weights, "cpu"))
    assert list(back) == list(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(back[name], array)


def test_unloaded_weights_do_not_follow_the_network() -> None:
    shape = Shape(inputs=1, outputs=1, cells=(2,))
    network = load(shape, initial_weights(shape, np.random.default_rng(0)), "cpu")
    before = unload(network)
    with torch.no_grad():
        network.head.bias.add_(1)
    assert unload(network)["head.bias"][0] == before["head.bias"][0] + 1


def test_loading_does_not_tie_the_network_to_the_arrays() -> None:
    shape = Shape(inputs=1, outputs=1, cells=(2,))
    weights = initial_weights(shape, np.random.default_rng(0))
    network = load(shape, weights, "cpu")
    weights["head.bias"] += 1
    assert unload(network)["head.bias"][0] == 0


@pytest.mark.parametrize("lost", ["head.bias", "layers.0.weight_hh_l0"])
def test_weights_of_another_network_are_refused(lost: str) -> None:
    shape = Shape(inputs=1, outputs=1, cells=(2,))
    weights = initial_weights(shape, np.random.default_rng(0))
    with pytest.raises(RuntimeError, match="size mismatch"):
        load(Shape(inputs=1, outputs=1, cells=(3,)), weights, "cpu")
    del weights[lost]
    with pytest.raises(RuntimeError, match="Missing key"):
        load(shape, weights, "cpu")


def test_one_cell_computes_what_the_equations_say() -> None:
    """h = o tanh(c), c = f c + i g, by hand in numpy over three steps."""
    shape = Shape(inputs=2, outputs=1, cells=(3,))
    weights = initial_weights(shape, np.random.default_rng(0))
    x_BTF = np.random.default_rng(1).normal(size=(4, 3, 2)).astype(np.float32)
    w_ih, w_hh = weights["layers.0.weight_ih_l0"], weights["layers.0.weight_hh_l0"]
    bias = weights["layers.0.bias_ih_l0"] + weights["layers.0.bias_hh_l0"]
    h_BC = c_BC = np.zeros((4, 3))
    for step in range(3):
        gates_B4C = x_BTF[:, step] @ w_ih.T + h_BC @ w_hh.T + bias
        i_BC, f_BC, g_BC, o_BC = np.split(gates_B4C, 4, axis=1)
        c_BC = _sigmoid(f_BC) * c_BC + _sigmoid(i_BC) * np.tanh(g_BC)
        h_BC = _sigmoid(o_BC) * np.tanh(c_BC)
    expected_BK = h_BC @ weights["head.weight"].T + weights["head.bias"]
    with torch.inference_mode():
        y_BK = load(shape, weights, "cpu")(torch.from_numpy(x_BTF)).numpy()
    np.testing.assert_allclose(y_BK, expected_BK, rtol=1e-5, atol=1e-6)


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-z)))
