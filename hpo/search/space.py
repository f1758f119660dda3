"""The space of networks: Optuna's distributions, fixed for the life of a study."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hpo.data.prepare import Prepared
from hpo.sizing.bound import project
from hpo.spec.candidate import Candidate
from hpo.spec.study import Study

Params = dict[str, Any]

GRID_RATES = 3


def distributions(prepared: Prepared) -> dict[str, BaseDistribution]:
    """Every parameter of the study with its limits: `layers, cells_1.., learning_rate, ...`.

    All cells are always sampled, also those of layers a trial does not have: parameters that come
    and go would make TPE model each one by itself.
    """
    space, lookbacks = prepared.study.space, prepared.lookbacks
    found: dict[str, BaseDistribution] = {"layers": IntDistribution(*space.layers)}
    for layer in range(1, space.layers[1] + 1):
        found[f"cells_{layer}"] = IntDistribution(*space.cells, log=True)
    found["learning_rate"] = _rate(space.learning_rate)
    if isinstance(space.weight_decay, tuple):
        found["weight_decay"] = _rate(space.weight_decay)
    if isinstance(space.dropout, tuple):
        found["dropout"] = FloatDistribution(*space.dropout)
    if len(lookbacks) > 1:
        found["lookback"] = CategoricalDistribution(lookbacks)
    return found


def _rate(value: float | tuple[float, float]) -> FloatDistribution:
    low, high = value if isinstance(value, tuple) else (value, value)
    return FloatDistribution(low, high, log=True)


def to_candidate(params: Mapping[str, Any], study: Study, lookbacks: tuple[int, ...]) -> Candidate:
    """The network a trial's parameters stand for: the first `layers` of its cells count."""
    layers = int(params["layers"])
    return Candidate(
        cells=tuple(int(params[f"cells_{layer}"]) for layer in range(1, layers + 1)),
        learning_rate=float(params["learning_rate"]),
        weight_decay=float(params.get("weight_decay", fixed_or_first(study.space.weight_decay))),
        dropout=float(params.get("dropout", fixed_or_first(study.space.dropout))),
        lookback=int(params.get("lookback", lookbacks[-1])),
    )


def fixed_or_first(value: float | tuple[float, float]) -> float:
    """A value of the space that is not searched; the low end of one that is."""
    return value if not isinstance(value, tuple) else value[0]


def into_bound(params: Mapping[str, Any], prepared: Prepared) -> Params:
    """The parameters with their network shrunk, where it must, into the bound in force.

    A network loses cells in proportion, and its last layers where even the fewest cells do not
    fit; prepare() has made sure that the smallest network of the space does.
    """
    fewest = prepared.study.space.cells[0]
    cells = to_candidate(params, prepared.study, prepared.lookbacks).cells
    fitting = project(cells, prepared.limit, fewest=fewest)
    assert fitting is not None, "prepare() refuses studies whose bound leaves no network"
    projected = dict(params) | {"layers": len(fitting)}
    return projected | {f"cells_{layer}": c for layer, c in enumerate(fitting, start=1)}


def tuned_names(limits: Mapping[str, BaseDistribution]) -> list[str]:
    """The parameters beside the size: the learning rate first."""
    return [name for name in limits if name != "layers" and not name.startswith("cells_")]


def values_of(distribution: BaseDistribution) -> list[Any]:
    """The values of a parameter that a grid looks at, in ascending order."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if isinstance(distribution, IntDistribution):
        return list(range(int(low), int(high) + 1))
    spaced = np.geomspace if distribution.log else np.linspace
    values = (min(max(float(v), low), high) for v in spaced(low, high, num=GRID_RATES))
    return list(dict.fromkeys(values))  # one where low is high, whatever geomspace rounds it to


def first_guesses(prepared: Prepared) -> list[Params]:
    """Where every study starts: one layer with 2 and with 3 cells, at the middle of the rates."""
    study = prepared.study
    low, high = study.space.cells
    sizes = sorted({min(max(cells, low), high) for cells in (2, 3)})
    limits = distributions(prepared)
    middle = {name: _middle(distribution) for name, distribution in limits.items()}
    small = {name: low for name in middle if name.startswith("cells_")}
    layers = study.space.layers[0]
    return [
        into_bound(
            middle | small | {"layers": layers} | {f"cells_{n + 1}": c for n in range(layers)},
            prepared,
        )
        for c in sizes
    ]


def _middle(distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[-1]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    middle = math.sqrt(low * high) if distribution.log else (low + high) / 2
    return round(middle) if isinstance(distribution, IntDistribution) else min(middle, high)
