"""Simulated losses of networks: by origins, by size, and by chance in every fold and seed."""

from collections.abc import Sequence

import numpy as np
from scipy.signal import lfilter

from hpo.sizing.race import Entrant
from hpo.sizing.resampling import Floats, Origins

FOLD_O = np.repeat(np.arange(4), 20)
ORIGINS = Origins(fold_O=FOLD_O, series_O=np.zeros_like(FOLD_O), horizon=1)


def noise(rng: np.random.Generator, *shape: int) -> Floats:
    """Noise of unit variance and autocorrelation 0.5 along the last axis."""
    shocks = rng.standard_normal((*shape[:-1], shape[-1] + 50))
    walk: Floats = lfilter([np.sqrt(0.75)], [1, -0.5], shocks, axis=-1)[..., 50:]
    return walk


def losses_of_sizes(
    rng: np.random.Generator,
    base_O: Floats,
    behind: Sequence[float],
    *,
    own_sd: float,
    network_sd: float,
    seeds: int = 12,
) -> list[Floats]:
    """losses_SO of each size: so far behind, with errors of its own and those of each network."""
    found = []
    for one in behind:
        own_O = own_sd * noise(rng, FOLD_O.size)
        networks_SO = network_sd * rng.standard_normal((seeds, 4))[:, FOLD_O]
        rest_SO = 0.05 * rng.standard_normal((seeds, FOLD_O.size))
        found.append(base_O + one + own_O + networks_SO + rest_SO)
    return found


def entrants_of(losses: Sequence[Floats], seeds: Sequence[int]) -> list[Entrant]:
    """Networks of 1, 2, 3 .. cells, each with the first so many seeds of its losses."""
    return [
        Entrant(trial=n, cells=(n + 1,), weights=10 * (n + 1), losses_SO=losses_SO[:count])
        for n, (losses_SO, count) in enumerate(zip(losses, seeds, strict=True))
    ]
