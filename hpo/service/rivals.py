"""The best of the trials that have ended: what a new one is compared with."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from hpo.data.prepare import Prepared
from hpo.search.outcome import Rival, stack_losses
from hpo.search.pruning import seed_spread
from hpo.service import results
from hpo.service.database import Database
from hpo.service.trials import is_complete


class Rivals:
    """The errors of the complete trials, which stay as they are: each is read once."""

    def __init__(self, database: Database, prepared: Prepared) -> None:
        self.database, self.prepared = database, prepared
        self.losses: dict[int, NDArray[np.float64]] = {}

    def best(self, history: Sequence[FrozenTrial]) -> Rival | None:
        """The best complete trial of the study's trials, None when there is none yet."""
        self._read([t.number for t in history if is_complete(t)])
        if not self.losses:
            return None
        best = min(sorted(self.losses), key=lambda number: float(self.losses[number].mean()))
        known = [self.losses[number] for number in sorted(self.losses)]
        spread = seed_spread(known, self.prepared.study.task.metric)
        return Rival(losses_SO=self.losses[best], seed_sd=spread)

    def _read(self, complete: Sequence[int]) -> None:
        new = [number for number in complete if number not in self.losses]
        if not new:
            return
        study = self.prepared.study
        folds = [fold.number for fold in self.prepared.folds]
        recorded = results.networks_of(self.database, study.name, new)
        for number in new:
            networks = recorded.get(number, {})
            found_SO = stack_losses(networks, folds, range(study.validation.seeds))
            if found_SO is not None:
                self.losses[number] = found_SO
