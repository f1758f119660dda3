"""A worker takes a study up, or refuses what is not for its version or not for its machine."""

from dataclasses import dataclass
from importlib.metadata import version

from hpo.data.prepare import Prepared
from hpo.errors import UsageError
from hpo.service.database import Database
from hpo.service.executor import Asked, Executor, GoOn, always
from hpo.service.rivals import Rivals
from hpo.service.studies import Stored, data_of, find


@dataclass(frozen=True)
class Joined:
    """A study as one worker sees it."""

    study: Stored
    prepared: Prepared
    rivals: Rivals
    device: str


def join(database: Database, name: str, executor: Executor, go_on: GoOn = always) -> Joined:
    """The study, taken up by the executor.

    Raises UnknownStudy, UsageError or DataError to refuse it, and what the executor raises.
    """
    stored = find(database, name)
    database.forget(stored.optuna_id)
    _refuse_other_version(stored)
    data = data_of(database, name)
    asked = Asked(stored.spec, stored.engine, data, stored.data_fingerprint)
    begun = executor.begin(asked, go_on)
    return Joined(stored, begun.prepared, Rivals(database, begun.prepared), begun.device)


def _refuse_other_version(stored: Stored) -> None:
    """Studies go on within a minor version: 0.3.1 takes up what 0.3.0 has written."""
    here, there = version("hpo"), stored.versions["hpo"]
    if here.split(".")[:2] != there.split(".")[:2]:
        raise UsageError(
            f"{stored.name} is a study of hpo {there}, this worker is hpo {here}",
            remedy=f"let workers of hpo {'.'.join(there.split('.')[:2])} carry it on",
        )
    if stored.spec.fingerprint() != stored.fingerprint:
        raise UsageError(
            f"the values of {stored.name} mean something else to this hpo {here} than to hpo"
            f" {there}, which wrote them",
            remedy="use that version",
        )
