"""The network: a stack of LSTM layers, each with its own cells, and a linear head.

Shapes: B windows in a batch, T steps, F features, C cells, K outputs, P weights.
"""

import torch
from torch import Tensor, nn

from hpo.training.trainer import Shape, Weights
from hpo.training.weights import check_layout


class Dropout(nn.Module):
    """Inverted dropout: a value is kept with probability 1 - share and then divided by it.

    The masks come from a generator of its own: networks that train at once in several threads do
    not take each other's. Srivastava et al. 2014, JMLR 15.
    """

    def __init__(self, share: float, device: str, *, seed: int = 0) -> None:
        super().__init__()
        self.kept = 1 - share
        self.generator = torch.Generator(device).manual_seed(seed)

    def forward(self, h_BTC: Tensor) -> Tensor:
        if not self.training or self.kept == 1:
            return h_BTC
        mask_BTC = torch.empty_like(h_BTC).bernoulli_(self.kept, generator=self.generator)
        return h_BTC * mask_BTC.div_(self.kept)


class _Layer(nn.LSTM):
    """An LSTM layer that draws no weights of its own."""

    def reset_parameters(self) -> None:
        pass


class _Head(nn.Linear):
    """A linear layer that draws no weights of its own."""

    def reset_parameters(self) -> None:
        pass


class Network(nn.Module):
    """From windows x_BTF to outputs y_BK, read off a window's last step of the last layer.

    Its weights are whatever stood in memory until they are loaded.
    """

    def __init__(self, shape: Shape, *, device: str = "cpu") -> None:
        super().__init__()
        widths = (shape.inputs, *shape.cells)
        self.layers = nn.ModuleList(
            _Layer(below, cells, batch_first=True, device=device)
            for below, cells in zip(widths[:-1], shape.cells, strict=True)
        )
        self.dropout = Dropout(shape.dropout, device)
        self.head = _Head(shape.cells[-1], shape.outputs, device=device)

    def forward(self, x_BTF: Tensor, last_B: Tensor | int = -1) -> Tensor:
        """`last_B`: the last step of each window; what comes after it changes nothing."""
        h_BTC = x_BTF
        for layer in self.layers:
            h_BTC, _ = layer(h_BTC)
            h_BTC = self.dropout(h_BTC)
        if isinstance(last_B, Tensor):
            h_BC = h_BTC[torch.arange(len(last_B), device=last_B.device), last_B]
        else:
            h_BC = h_BTC[:, last_B]
        y_BK: Tensor = self.head(h_BC)
        return y_BK


def load(shape: Shape, weights: Weights, device: str) -> Network:
    """A network on `device` with these weights. Raises ValueError if names or shapes differ."""
    check_layout(shape, weights)
    network = Network(shape, device=device)
    network.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return network


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
