"""What the trials that have ended show: the best is what a new one is compared with."""

from collections.abc import Sequence

from optuna.trial import FrozenTrial

from hpo.data.prepare import Prepared
from hpo.search.known import Known, KnownTrials, known_trials
from hpo.search.outcome import Rival
from hpo.search.pruning import seed_spread
from hpo.service import results
from hpo.service.database import Database
from hpo.service.trials import is_complete


class Rivals:
    """What the complete trials have shown, which stays as it is: each is read once."""

    def __init__(self, database: Database, prepared: Prepared) -> None:
        self.database, self.prepared = database, prepared
        self._known: dict[int, Known] = {}

    def best(self, history: Sequence[FrozenTrial]) -> Rival | None:
        """The best complete trial of the study's trials, None when there is none yet."""
        known = self.known(history)
        if not known:
            return None
        losses = [known[number].losses_SO for number in sorted(known)]
        best_SO = min(losses, key=lambda losses_SO: float(losses_SO.mean()))
        spread = seed_spread(losses, self.prepared.study.task.metric)
        return Rival(losses_SO=best_SO, seed_sd=spread)

    def known(self, history: Sequence[FrozenTrial]) -> KnownTrials:
        """What the complete ones of these trials have shown."""
        complete = [trial.number for trial in history if is_complete(trial)]
        self._read([number for number in complete if number not in self._known])
        return {number: self._known[number] for number in complete if number in self._known}

    def _read(self, new: Sequence[int]) -> None:
        if not new:
            return
        recorded = results.networks_of(self.database, self.prepared.study.name, new)
        self._known |= known_trials(recorded, new, self.prepared)
