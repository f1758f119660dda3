"""The network has the weights that its size says, and they travel without change."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.sizing.bound import parameters
from hpo.training.network import Dropout, Network, load, unload
from hpo.training.trainer import Shape
from hpo.training.weights import initial_weights, layout
from tests.contract.tasks import forward

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
def test_the_layout_is_that_of_the_state_dict(shape: Shape) -> None:
    state = Network(shape).state_dict()
    assert list(layout(shape)) == [(name, tuple(tensor.shape)) for name, tensor in state.items()]


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


def test_weights_of_another_network_are_refused() -> None:
    shape = Shape(inputs=1, outputs=1, cells=(2,))
    weights = initial_weights(shape, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"layers\.0\.weight_ih_l0 has shape \(8, 1\)"):
        load(Shape(inputs=1, outputs=1, cells=(3,)), weights, "cpu")
    del weights["head.bias"]
    with pytest.raises(ValueError, match=r"head\.bias is missing"):
        load(shape, weights, "cpu")


def test_the_network_computes_what_the_equations_say() -> None:
    shape = Shape(inputs=2, outputs=1, cells=(3, 2))
    weights = initial_weights(shape, np.random.default_rng(0))
    x_BTF = np.random.default_rng(1).normal(size=(4, 3, 2)).astype(np.float32)
    with torch.inference_mode():
        y_BK = load(shape, weights, "cpu")(torch.from_numpy(x_BTF)).numpy()
    np.testing.assert_allclose(y_BK, forward(shape, weights, x_BTF), rtol=1e-5, atol=1e-6)


def test_steps_behind_a_windows_last_add_nothing_to_output_or_gradient() -> None:
    """A batch of padded sequences has the outputs and the summed gradients of each alone."""
    shape = Shape(inputs=2, outputs=3, cells=(4, 3))
    weights = initial_weights(shape, np.random.default_rng(0))
    padded, alone = load(shape, weights, "cpu"), load(shape, weights, "cpu")
    x_BTF = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 9, 2)).astype(np.float32))
    lengths_B = torch.tensor([9, 1, 5])
    y_BK = padded(x_BTF, lengths_B - 1)
    single = [alone(x_BTF[b : b + 1, :length]) for b, length in enumerate(lengths_B.tolist())]
    torch.testing.assert_close(y_BK, torch.cat(single))
    torch.autograd.backward([y_BK.square().sum(), torch.cat(single).square().sum()])
    for one, other in zip(padded.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_dropout_keeps_its_share_and_divides_by_it() -> None:
    dropout = Dropout(0.25, seed=0, device="cpu")
    ones = torch.ones(100, 10, 10)
    dropped = dropout(ones)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.75])
    assert (dropped > 0).float().mean().item() == pytest.approx(0.75, abs=0.02)
    assert torch.equal(dropout.eval()(ones), ones)


def test_dropout_follows_its_seed_alone() -> None:
    ones = torch.ones(5, 4, 3)
    one, same, other = (Dropout(0.5, seed=s, device="cpu")(ones) for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
