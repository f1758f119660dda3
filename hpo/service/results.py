"""What was measured: networks and benchmarks as rows, their errors per origin as plain bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hpo.search.outcome import NetworkRecord
from hpo.service.claims import Claim, held
from hpo.service.database import Database
from hpo.service.tables import benchmarks, networks

LOSSES = np.dtype("<f8")
Losses = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Which engine on which device trained a network."""

    engine: str
    device: str


def record_network(
    database: Database, claim: Claim, trial: int, network: NetworkRecord, made_by: Origin
) -> None:
    """Keep one network's errors. Raises LeaseLost when the claim is not held any more."""
    row = {
        "study": claim.study,
        "trial": trial,
        "fold": network.fold,
        "seed": network.seed,
        "losses": network.losses_O.astype(LOSSES).tobytes(),
        "steps": network.steps,
        "train_loss": _or_null(network.train_loss),
        "watch_loss": _or_null(network.watch_loss),
        "wall_s": network.wall_s,
        "engine": made_by.engine,
        "device": made_by.device,
    }
    with database.transaction() as connection:
        held(connection, claim)
        connection.execute(networks.insert().values(row))


def networks_of(
    database: Database, study: str, trial: int | None = None
) -> dict[int, dict[tuple[int, int], NetworkRecord]]:
    """The recorded networks, by trial and then by (fold, seed); of one trial or of all."""
    query = sa.select(networks).where(networks.c.study == study)
    if trial is not None:
        query = query.where(networks.c.trial == trial)
    found: dict[int, dict[tuple[int, int], NetworkRecord]] = {}
    with database.transaction() as connection:
        rows = connection.execute(query).mappings().all()
    for row in rows:
        found.setdefault(row["trial"], {})[row["fold"], row["seed"]] = NetworkRecord(
            fold=row["fold"],
            seed=row["seed"],
            losses_O=np.frombuffer(row["losses"], dtype=LOSSES),
            steps=row["steps"],
            train_loss=_or_nan(row["train_loss"]),
            watch_loss=_or_nan(row["watch_loss"]),
            wall_s=row["wall_s"],
        )
    return found


def losses_of(
    database: Database, study: str, trial: int, folds: Sequence[int], seeds: Sequence[int]
) -> Losses | None:
    """losses_SO of a trial, the folds' origins one after another; None when a network lacks."""
    return stack_losses(networks_of(database, study, trial).get(trial, {}), folds, seeds)


def stack_losses(
    records: Mapping[tuple[int, int], NetworkRecord], folds: Sequence[int], seeds: Sequence[int]
) -> Losses | None:
    """losses_SO of a trial's records, the folds one after another; None when a network lacks."""
    if any((fold, seed) not in records for fold in folds for seed in seeds):
        return None
    return np.stack([np.concatenate([records[f, s].losses_O for f in folds]) for s in seeds])


def made_by(database: Database, study: str) -> list[Origin]:
    """The engines and devices that trained the study's networks."""
    query = sa.select(networks.c.engine, networks.c.device).where(networks.c.study == study)
    with database.transaction() as connection:
        rows = connection.execute(query.distinct()).all()
    return [Origin(engine=engine, device=device) for engine, device in sorted(map(tuple, rows))]


def count_networks(database: Database, study: str) -> int:
    """How many networks the study has trained so far."""
    query = sa.select(sa.func.count()).select_from(networks).where(networks.c.study == study)
    with database.transaction() as connection:
        return int(connection.execute(query).scalar_one())


def record_benchmarks(
    database: Database, claim: Claim, errors: Mapping[str, Sequence[Losses]]
) -> None:
    """Keep the benchmarks' errors, one array per fold and the test span. Raises LeaseLost."""
    rows = [
        {
            "study": claim.study,
            "name": name,
            "fold": fold,
            "place": place,
            "losses": losses_O.astype(LOSSES).tobytes(),
        }
        for place, (name, per_fold) in enumerate(errors.items())
        for fold, losses_O in enumerate(per_fold)
    ]
    with database.transaction() as connection:
        held(connection, claim)
        connection.execute(benchmarks.delete().where(benchmarks.c.study == claim.study))
        connection.execute(benchmarks.insert(), rows)


def benchmarks_of(database: Database, study: str) -> dict[str, list[Losses]]:
    """The benchmarks' errors in their order: one array per fold, lastly the test span's."""
    query = (
        sa.select(benchmarks)
        .where(benchmarks.c.study == study)
        .order_by(benchmarks.c.place, benchmarks.c.fold)
    )
    found: dict[str, list[Losses]] = {}
    with database.transaction() as connection:
        rows = connection.execute(query).mappings().all()
    for row in rows:
        found.setdefault(row["name"], []).append(np.frombuffer(row["losses"], dtype=LOSSES))
    return found


def _or_null(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
