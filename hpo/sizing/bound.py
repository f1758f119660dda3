"""The alpha rule: how large a network the data can carry.

Symbols, as in the rule of thumb: N_s training samples, N_i inputs per time step (target and
covariates), N_o outputs, alpha the samples per degree of freedom (dimensionless, usually 2 to 10),
L layers of h cells, P free parameters. A rule of thumb, not a theorem: see docs/decisions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, isqrt

from hpo.errors import SpecError

UNBOUNDED = 2**31 - 1
RULES = ("formula", "freedom", "strict", "off")
TABLE_LAYERS = (1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One reading of the alpha rule and the numbers that decide it.

    Raises SpecError where a number or the rule's name leaves no meaning.
    """

    rule: str
    samples: int
    inputs: int
    outputs: int
    alpha: float

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise SpecError(f"unknown bound rule {self.rule!r}", remedy=f"use {', '.join(RULES)}")
        _check_numbers(self.samples, self.inputs, self.outputs, self.alpha)


def _check_numbers(samples: int, inputs: int, outputs: int, alpha: float) -> None:
    least = {"samples": (samples, 0), "inputs": (inputs, 1), "outputs": (outputs, 1)}
    for name, (value, fewest) in least.items():
        if value < fewest:
            raise SpecError(f"{name}={value} must be at least {fewest}")
    if not (isfinite(alpha) and alpha > 0):
        raise SpecError(f"alpha={alpha} must be a number above 0", remedy="2 to 10 is usual")


def max_cells(samples: int, inputs: int, outputs: int, *, alpha: float) -> int:
    """Most hidden cells in all layers together: floor(N_s / (alpha (N_i + N_o))).

    Source: the neurons rule N_h = N_s / (alpha (N_i + N_o)) for feed-forward networks, a rule of
    thumb read here as a count of LSTM cells. alpha counts as the decimal number it prints as.
    Raises SpecError for alpha <= 0, inputs or outputs < 1, samples < 0.

    >>> max_cells(1_000, inputs=1, outputs=1, alpha=5)
    100
    >>> max_cells(97, inputs=1, outputs=12, alpha=2), max_cells(108, inputs=1, outputs=1, alpha=2)
    (3, 27)
    """
    _check_numbers(samples, inputs, outputs, alpha)
    return int(Fraction(samples, inputs + outputs) / _decimal(alpha))


def parameters(cells: Sequence[int], inputs: int, outputs: int) -> int:
    """Free parameters P of LSTM layers of these cells with a linear head, as PyTorch counts them.

    A layer of h cells with n inputs holds 4 h (n + h + 2): four gates, each with input and
    recurrent weights and two biases (torch.nn.LSTM); the head holds (h_L + 1) N_o.

    >>> parameters([2], inputs=1, outputs=1), parameters([50], inputs=1, outputs=1)
    (43, 10651)
    >>> parameters([2, 2], inputs=1, outputs=1)
    91
    """
    assert min(cells, default=0) >= 1, f"a network needs layers of at least one cell, not {cells}"
    below = (inputs, *cells[:-1])
    layers = sum(4 * h * (n + h + 2) for n, h in zip(below, cells, strict=True))
    return layers + (cells[-1] + 1) * outputs


def degrees_of_freedom(samples: int, inputs: int, outputs: int) -> int:
    """Degrees of freedom of the data: N_s (N_i + N_o).

    >>> degrees_of_freedom(1_000, inputs=1, outputs=1)
    2000
    """
    return samples * (inputs + outputs)


def fits(cells: Sequence[int], limit: Limit) -> bool:
    """Whether a network of these cells per layer is within the limit.

    >>> strict = Limit(rule="strict", samples=1_000, inputs=1, outputs=1, alpha=2)
    >>> fits([9], strict), fits([10], strict)  # P = 442 and 531 of at most 500
    (True, False)
    """
    match limit.rule:
        case "off":
            return True
        case "formula":
            return sum(cells) <= capacity(limit)
        case _:
            return parameters(cells, limit.inputs, limit.outputs) <= capacity(limit)


def largest_equal_cells(layers: int, limit: Limit) -> int | None:
    """Most cells per layer where all `layers` are alike; None where not even one cell fits.

    For freedom and strict: the root of P = (8L-4) h^2 + (4 N_i + 8L + N_o) h + N_o, in integers.
    Returns UNBOUNDED for the rule "off".

    >>> def largest(rule: str) -> list[int | None]:
    ...     limit = Limit(rule=rule, samples=1_000, inputs=1, outputs=1, alpha=2)
    ...     return [largest_equal_cells(layers, limit) for layers in (1, 2, 3)]
    >>> largest("formula"), largest("freedom"), largest("strict")
    ([250, 125, 83], [14, 8, 6], [9, 5, 4])
    """
    assert layers >= 1, f"a network needs at least one layer, not {layers}"
    match limit.rule:
        case "off":
            return UNBOUNDED
        case "formula":
            cells = capacity(limit) // layers
        case _:
            square = 8 * layers - 4
            linear = 4 * limit.inputs + 8 * layers + limit.outputs
            room = capacity(limit) - limit.outputs
            cells = (isqrt(max(linear**2 + 4 * square * room, 0)) - linear) // (2 * square)
    return cells if cells >= 1 else None


def project(cells: Sequence[int], limit: Limit, *, fewest: int) -> tuple[int, ...] | None:
    """The nearest network of the same proportions within the limit, each layer >= `fewest` cells.

    What fits stays as it is. Otherwise the widest layer is cut to the most cells with which all
    layers, cut by the same factor (rounded down, never below `fewest`), fit; where none does, the
    top layer goes. None: not even one layer of `fewest` cells fits.

    >>> formula = Limit(rule="formula", samples=48, inputs=1, outputs=1, alpha=2)  # 12 cells
    >>> project([4, 4], formula, fewest=2), project([20, 10], formula, fewest=2)
    ((4, 4), (8, 4))
    >>> project([9, 9, 9], formula, fewest=5), project([9], formula, fewest=13)
    ((6, 6), None)
    """
    asked = tuple(max(c, fewest) for c in cells)
    if fits(asked, limit):
        return asked
    for layers in range(len(asked), 0, -1):
        kept = asked[:layers]
        if fits((fewest,) * layers, limit):
            return _shrink(kept, limit, fewest)
    return None


def table(
    samples: int, inputs: int, outputs: int, *, alpha: float
) -> dict[str, dict[str, dict[str, int | None]] | int]:
    """Largest equal cells per rule and number of layers, and the data's degrees of freedom.

    Raises SpecError for numbers out of their range.

    >>> found = table(1_000, inputs=1, outputs=1, alpha=2)
    >>> found["degrees_of_freedom"], found["rules"]["freedom"]
    (2000, {'1': 14, '2': 8, '3': 6})
    """
    if samples < 1:
        raise SpecError(f"samples={samples} must be at least 1")
    limits = [
        Limit(rule=rule, samples=samples, inputs=inputs, outputs=outputs, alpha=alpha)
        for rule in RULES
        if rule != "off"
    ]
    rules = {m.rule: {str(n): largest_equal_cells(n, m) for n in TABLE_LAYERS} for m in limits}
    return {
        "rules": rules,
        "degrees_of_freedom": degrees_of_freedom(samples, inputs, outputs),
    }


def capacity(limit: Limit) -> int:
    """What the limit allows: cells in all layers (formula) or free parameters (freedom, strict).

    Not for rule "off".

    >>> numbers = dict(samples=1_000, inputs=1, outputs=1, alpha=2)
    >>> [capacity(Limit(rule=rule, **numbers)) for rule in ("formula", "freedom", "strict")]
    [250, 1000, 500]
    """
    n_i, n_o = limit.inputs, limit.outputs
    match limit.rule:
        case "formula":
            return max_cells(limit.samples, n_i, n_o, alpha=limit.alpha)
        case "freedom":
            return int(degrees_of_freedom(limit.samples, n_i, n_o) / _decimal(limit.alpha))
        case _:
            return int(limit.samples / _decimal(limit.alpha))


def _decimal(alpha: float) -> Fraction:
    return Fraction(str(float(alpha)))


def _shrink(cells: tuple[int, ...], limit: Limit, fewest: int) -> tuple[int, ...]:
    """The largest proportional cut of `cells` that fits; all layers at `fewest` are known to."""
    widest = max(cells)

    def cut(to: int) -> tuple[int, ...]:
        return tuple(max(fewest, c * to // widest) for c in cells)

    fitting, too_wide = fewest, widest + 1
    while too_wide - fitting > 1:
        middle = (fitting + too_wide) // 2
        fitting, too_wide = (middle, too_wide) if fits(cut(middle), limit) else (fitting, middle)
    return cut(fitting)
