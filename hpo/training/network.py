"""The network: a stack of LSTM layers, each with its own cells, and a linear head.

Its weights travel as a plain state dict of float32 arrays, by name: `layers.0.weight_ih_l0`
(4C, inputs), `layers.0.weight_hh_l0` (4C, C), `layers.0.bias_ih_l0` (4C), `layers.0.bias_hh_l0`
(4C), ..., `head.weight` (K, C), `head.bias` (K); gates in PyTorch's order i, f, g, o.
Shapes: B windows in a batch, T steps, F features, C cells, K outputs.
"""

import numpy as np
import torch
from torch import Tensor, nn

from hpo.training.trainer import Shape, Weights


class Network(nn.Module):
    """From windows x_BTF to outputs y_BK, read off the last step of the last layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = (shape.inputs, *shape.cells)
        self.layers = nn.ModuleList(
            nn.LSTM(below, cells, batch_first=True)
            for below, cells in zip(widths[:-1], shape.cells, strict=True)
        )
        self.dropout = nn.Dropout(shape.dropout)
        self.head = nn.Linear(shape.cells[-1], shape.outputs)

    def forward(self, x_BTF: Tensor) -> Tensor:
        h_BTC = x_BTF
        for layer in self.layers:
            h_BTC, _ = layer(h_BTC)
            h_BTC = self.dropout(h_BTC)
        y_BK: Tensor = self.head(h_BTC[:, -1])
        return y_BK


def initial_weights(shape: Shape, generator: np.random.Generator) -> Weights:
    """Fresh weights, the same for every engine: uniform in +-1/sqrt(cells), forget bias 1.

    A forget bias of 1 (Gers et al. 2000; Jozefowicz et al. 2015) lets a cell remember from the
    start; it stands in bias_ih, bias_hh's share is 0.
    """
    weights: Weights = {}
    below = shape.inputs
    for number, cells in enumerate(shape.cells):
        reach = 1 / np.sqrt(cells)
        name = f"layers.{number}."
        weights[name + "weight_ih_l0"] = _uniform(generator, reach, 4 * cells, below)
        weights[name + "weight_hh_l0"] = _uniform(generator, reach, 4 * cells, cells)
        bias = _uniform(generator, reach, 4 * cells)
        bias[cells : 2 * cells] = 1.0
        weights[name + "bias_ih_l0"] = bias
        weights[name + "bias_hh_l0"] = np.zeros(4 * cells, dtype=np.float32)
        below = cells
    reach = 1 / np.sqrt(below)
    weights["head.weight"] = _uniform(generator, reach, shape.outputs, below)
    weights["head.bias"] = np.zeros(shape.outputs, dtype=np.float32)
    return weights


def load(shape: Shape, weights: Weights, device: str) -> Network:
    """A network on `device` with these weights. Raises RuntimeError if names or shapes differ."""
    network = Network(shape)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return network.to(device)


def flatten(network: Network) -> Tensor:
    """One leaf of all P weights, with a gradient; the network's weights and gradients become views.

    A step then zeroes, clips and updates one tensor instead of five a layer: a fifth of its time.
    """
    weights = list(network.parameters())
    flat_P = torch.cat([w.detach().reshape(-1) for w in weights]).requires_grad_()
    flat_P.grad = torch.zeros_like(flat_P)
    sizes = [w.numel() for w in weights]
    pieces = zip(torch.split(flat_P.detach(), sizes), torch.split(flat_P.grad, sizes), strict=True)
    for weight, (values, gradients) in zip(weights, pieces, strict=True):
        weight.data = values.view_as(weight)
        weight.grad = gradients.view_as(weight)
    return flat_P


def unload(network: Network) -> Weights:
    """The network's weights as float32 arrays of their own."""
    return {name: t.detach().cpu().numpy().copy() for name, t in network.state_dict().items()}


def _uniform(generator: np.random.Generator, reach: float, *shape: int) -> np.ndarray:
    return generator.uniform(-reach, reach, size=shape).astype(np.float32)
