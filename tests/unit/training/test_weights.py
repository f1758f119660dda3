"""A network's weights are those of its layout, as arrays or as one vector."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo.sizing.bound import parameters
from hpo.training.trainer import Shape
from hpo.training.weights import initial_weights, join, layout, split

SHAPE = Shape(inputs=1, outputs=1, cells=(2,))
shapes = st.builds(
    Shape,
    inputs=st.integers(1, 5),
    outputs=st.integers(1, 5),
    cells=st.lists(st.integers(1, 9), min_size=1, max_size=4).map(tuple),
)


def test_the_protocol_and_the_weights_need_no_torch() -> None:
    probe = "import sys, hpo.training.trainer, hpo.training.weights; print('torch' in sys.modules)"
    seen = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "False"


@given(shapes)
@settings(max_examples=50, deadline=None)
def test_a_layout_has_as_many_weights_as_the_bound_counts(shape: Shape) -> None:
    count = sum(math.prod(size) for _, size in layout(shape))
    assert count == parameters(shape.cells, shape.inputs, shape.outputs)


@given(shapes)
@settings(max_examples=50, deadline=None)
def test_fresh_weights_are_float32_in_the_order_of_the_layout(shape: Shape) -> None:
    weights = initial_weights(shape, np.random.default_rng(0))
    assert [(name, array.shape) for name, array in weights.items()] == list(layout(shape))
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


def test_fresh_weights_stay_those_of_their_seed() -> None:
    """Drawn array by array in the layout's order: what was trained once can be trained again."""
    generator = np.random.default_rng(0)
    weights = initial_weights(Shape(inputs=1, outputs=1, cells=(4,)), np.random.default_rng(0))
    for name in ("weight_ih_l0", "weight_hh_l0"):
        array = weights[f"layers.0.{name}"]
        drawn = generator.uniform(-0.5, 0.5, size=array.shape).astype(np.float32)
        np.testing.assert_array_equal(array, drawn)
    generator.uniform(size=16)  # the biases
    drawn = generator.uniform(-0.5, 0.5, size=(1, 4)).astype(np.float32)
    np.testing.assert_array_equal(weights["head.weight"], drawn)


@given(shapes, st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_a_split_vector_joins_to_itself(shape: Shape, seed: int) -> None:
    count = parameters(shape.cells, shape.inputs, shape.outputs)
    flat_P = np.random.default_rng(seed).normal(size=count).astype(np.float32)
    weights = split(shape, flat_P)
    np.testing.assert_array_equal(join(shape, weights), flat_P)
    assert [(name, array.shape) for name, array in weights.items()] == list(layout(shape))


def test_a_vector_holds_the_arrays_row_by_row_in_the_layouts_order() -> None:
    weights = split(SHAPE, np.arange(43, dtype=np.float32))  # 8 + 16 + 8 + 8 + 2 + 1
    assert weights["layers.0.weight_ih_l0"][:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert weights["layers.0.weight_hh_l0"][:2].tolist() == [[8, 9], [10, 11]]
    assert weights["head.weight"].tolist() == [[40, 41]]
    assert weights["head.bias"].tolist() == [42]


def test_neither_vector_nor_arrays_follow_the_other() -> None:
    flat_P = np.zeros(43, dtype=np.float32)
    weights = split(SHAPE, flat_P)
    flat_P[:] = 1
    assert not any(array.any() for array in weights.values())
    joined_P = join(SHAPE, weights)
    weights["head.bias"][:] = 1
    assert not joined_P.any()


def test_a_vector_is_float32_whatever_the_arrays_are() -> None:
    weights = initial_weights(SHAPE, np.random.default_rng(0))
    assert join(SHAPE, weights).dtype == np.float32
    wide = {name: np.asfortranarray(array.astype(np.float64)) for name, array in weights.items()}
    np.testing.assert_array_equal(join(SHAPE, wide), join(SHAPE, weights))  # type: ignore[arg-type]


def test_a_missing_array_is_named() -> None:
    weights = initial_weights(SHAPE, np.random.default_rng(0))
    del weights["layers.0.weight_hh_l0"]
    said = r"weight_hh_l0 is missing: a network of 1 inputs, \(2,\) cells and 1 outputs .* \(8, 2\)"
    with pytest.raises(ValueError, match=said):
        join(SHAPE, weights)


def test_an_array_too_many_is_named() -> None:
    weights = initial_weights(Shape(inputs=1, outputs=1, cells=(2, 2)), np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"layers\.1\.bias_hh_l0, .* has no such weights"):
        join(SHAPE, weights)


def test_an_array_of_another_shape_is_named_with_both() -> None:
    weights = initial_weights(SHAPE, np.random.default_rng(0))
    weights["head.bias"] = np.zeros((1, 1), dtype=np.float32)
    with pytest.raises(ValueError, match=r"head\.bias has shape \(1, 1\), .* outputs \(1,\)"):
        join(SHAPE, weights)


@pytest.mark.parametrize("size", [(42,), (44,), (1, 43)])
def test_a_vector_of_another_length_is_refused(size: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"flat_P has shape .* 1 outputs 43 weights"):
        split(SHAPE, np.zeros(size, dtype=np.float32))
