"""A network's weights: their names and shapes, as one vector, and fresh ones.

They travel as a plain state dict of float32 arrays, by name: `layers.0.weight_ih_l0` (4C, inputs),
`layers.0.weight_hh_l0` (4C, C), `layers.0.bias_ih_l0` (4C), `layers.0.bias_hh_l0` (4C), ...,
`head.weight` (K, C), `head.bias` (K); gates in PyTorch's order i, f, g, o.
Shapes: C cells of a layer, K outputs, P weights in all.
"""

import math

import numpy as np
from numpy.typing import NDArray

from hpo.training.trainer import Shape, Weights


def layout(shape: Shape) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """The names and shapes of the arrays, in the order of the state dict.

    >>> for name, size in layout(Shape(inputs=1, outputs=3, cells=(2,))):
    ...     print(name, size)
    layers.0.weight_ih_l0 (8, 1)
    layers.0.weight_hh_l0 (8, 2)
    layers.0.bias_ih_l0 (8,)
    layers.0.bias_hh_l0 (8,)
    head.weight (3, 2)
    head.bias (3,)
    """
    entries: list[tuple[str, tuple[int, ...]]] = []
    below = shape.inputs
    for number, cells in enumerate(shape.cells):
        entries += [
            (f"layers.{number}.weight_ih_l0", (4 * cells, below)),
            (f"layers.{number}.weight_hh_l0", (4 * cells, cells)),
            (f"layers.{number}.bias_ih_l0", (4 * cells,)),
            (f"layers.{number}.bias_hh_l0", (4 * cells,)),
        ]
        below = cells
    return (*entries, ("head.weight", (shape.outputs, below)), ("head.bias", (shape.outputs,)))


def initial_weights(shape: Shape, generator: np.random.Generator) -> Weights:
    """Fresh weights, the same for every engine: uniform in +-1/sqrt(cells), forget bias 1.

    A forget bias of 1 (Gers et al. 2000; Jozefowicz et al. 2015) lets a cell remember from the
    start; it stands in bias_ih, bias_hh's share and the head's bias are 0.
    """
    weights: Weights = {}
    cells_of = (*shape.cells, shape.cells[-1])  # the head's reach is its layer's
    for place, (name, size) in enumerate(layout(shape)):
        cells = cells_of[place // 4]
        if name.endswith(("bias_hh_l0", "head.bias")):
            weights[name] = np.zeros(size, dtype=np.float32)
        else:
            reach = 1 / np.sqrt(cells)
            weights[name] = generator.uniform(-reach, reach, size=size).astype(np.float32)
        if name.endswith("bias_ih_l0"):
            weights[name][cells : 2 * cells] = 1.0
    return weights


def join(shape: Shape, weights: Weights) -> NDArray[np.float32]:
    """All P weights as one vector of its own, in the order of `layout`.

    Raises ValueError where an array is missing, unknown to this network or of another shape.
    """
    check_layout(shape, weights)
    return np.concatenate(
        [weights[name].reshape(-1) for name, _ in layout(shape)], dtype=np.float32
    )


def split(shape: Shape, flat_P: NDArray[np.float32]) -> Weights:
    """The arrays of `layout`, each a float32 copy of its piece of the vector; `join` undone.

    Raises ValueError where the vector is not as long as the network has weights.
    """
    entries = layout(shape)
    ends = np.cumsum([math.prod(size) for _, size in entries])
    if flat_P.shape != (ends[-1],):
        raise ValueError(
            f"flat_P has shape {flat_P.shape}, a network of {_words(shape)} {ends[-1]} weights"
        )
    pieces = np.split(flat_P, ends[:-1])
    return {
        name: piece.reshape(size).astype(np.float32)
        for (name, size), piece in zip(entries, pieces, strict=True)
    }


def check_layout(shape: Shape, weights: Weights) -> None:
    """Raise ValueError where an array is missing, unknown to this network or of another shape."""
    expected = dict(layout(shape))
    for name, size in expected.items():
        if name not in weights:
            raise ValueError(f"{name} is missing: a network of {_words(shape)} has it as {size}")
        if weights[name].shape != size:
            found = weights[name].shape
            raise ValueError(f"{name} has shape {found}, a network of {_words(shape)} {size}")
    if unknown := sorted(weights.keys() - expected.keys()):
        raise ValueError(f"{', '.join(unknown)}: a network of {_words(shape)} has no such weights")


def _words(shape: Shape) -> str:
    return f"{shape.inputs} inputs, {shape.cells} cells and {shape.outputs} outputs"
