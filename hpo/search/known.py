"""What the networks of a complete trial have shown, as the search uses it.

Shapes: S seeds, O origins of all folds one after another, F folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.prepare import Prepared
from hpo.search.outcome import NetworkRecord, stack_losses

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """Losses per origin; the loss that was trained, on training and on validation windows."""

    losses_SO: Floats
    train_SF: Floats
    valid_SF: Floats


KnownTrials = Mapping[int, Known]
"""By the number of the trial."""


def known_trials(
    recorded: Mapping[int, Mapping[tuple[int, int], NetworkRecord]],
    numbers: Sequence[int],
    prepared: Prepared,
) -> dict[int, Known]:
    """What the networks of these trials show; without those of which a network lacks."""
    folds = [fold.number for fold in prepared.folds]
    seeds = range(prepared.study.validation.seeds)
    shown = {number: _known_of(recorded.get(number, {}), folds, seeds) for number in numbers}
    return {number: known for number, known in shown.items() if known is not None}


def _known_of(
    records: Mapping[tuple[int, int], NetworkRecord], folds: Sequence[int], seeds: Sequence[int]
) -> Known | None:
    """What these records by (fold, seed) show."""
    losses_SO = stack_losses(records, folds, seeds)
    if losses_SO is None:
        return None
    return Known(
        losses_SO=losses_SO,
        train_SF=np.array([[records[f, s].train_loss for f in folds] for s in seeds]),
        valid_SF=np.array([[records[f, s].valid_loss for f in folds] for s in seeds]),
    )
