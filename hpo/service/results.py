"""What was measured: networks and benchmarks as rows, their errors per origin as plain bytes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from hpo.data.benchmarks import BenchmarkErrors
from hpo.search.outcome import NetworkRecord
from hpo.service.claims import Claim, held
from hpo.service.database import INSERTS, Database
from hpo.service.patience import patient
from hpo.service.tables import benchmarks, networks

LOSSES = np.dtype("<f8")
Losses = NDArray[np.float64]
Trained = tuple[int, NetworkRecord]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What trained `networks` of a trial: which engine, on which device."""

    trial: int
    engine: str
    device: str
    networks: int


@patient
def record_networks(
    database: Database,
    claims: Sequence[Claim],
    networks_of_trials: Sequence[Trained],
) -> None:
    """Keep the errors of networks, each with its trial's number.

    Raises LeaseLost, and keeps none, when one of the claims is not held any more. To keep once more
    what was kept, as after a lost connection, does nothing.
    """
    rows = [
        {
            "study": claims[0].study,
            "trial": trial,
            "fold": network.fold,
            "seed": network.seed,
            "losses": network.losses_O.astype(LOSSES).tobytes(),
            "steps": network.steps,
            "train_loss": _or_null(network.train_loss),
            "watch_loss": _or_null(network.watch_loss),
            "wall_s": network.wall_s,
            "engine": network.engine,
            "device": network.device,
            "valid_loss": _or_null(network.valid_loss),
            "forecasts": _bytes_or_null(network.forecasts_OH),
            "effective_parameters": network.effective_parameters,
        }
        for trial, network in networks_of_trials
    ]
    with database.transaction() as connection:
        held(connection, claims)
        insert = INSERTS[connection.dialect.name](networks)
        connection.execute(insert.on_conflict_do_nothing(), rows)


@patient
def networks_of(
    database: Database, study: str, trials: Sequence[int] | None = None
) -> dict[int, dict[tuple[int, int], NetworkRecord]]:
    """The recorded networks, by trial and then by (fold, seed); of some trials or of all."""
    query = sa.select(networks).where(networks.c.study == study)
    if trials is not None:
        query = query.where(networks.c.trial.in_(trials))
    found: dict[int, dict[tuple[int, int], NetworkRecord]] = {}
    with database.reading() as connection:
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
            engine=row["engine"],
            device=row["device"],
            valid_loss=_or_nan(row["valid_loss"]),
            forecasts_OH=_forecasts(
                row["forecasts"], origins=len(row["losses"]) // LOSSES.itemsize
            ),
            effective_parameters=row["effective_parameters"],
        )
    return found


@patient
def made_by(database: Database, study: str) -> list[Origin]:
    """The engines and devices that trained the networks of the study's trials."""
    made = (networks.c.trial, networks.c.engine, networks.c.device)
    query = (
        sa.select(*made, sa.func.count())
        .where(networks.c.study == study)
        .group_by(*made)
        .order_by(*made)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    return [Origin(trial=t, engine=e, device=d, networks=n) for t, e, d, n in rows]


@patient
def count_networks(database: Database, study: str) -> int:
    """How many networks the study has trained so far."""
    query = sa.select(sa.func.count()).select_from(networks).where(networks.c.study == study)
    with database.reading() as connection:
        return int(connection.execute(query).scalar_one())


@patient
def record_benchmarks(database: Database, claim: Claim, report: BenchmarkErrors) -> None:
    """Keep the benchmarks' errors, and their forecasts of the test span. Raises LeaseLost."""
    rows = [
        {
            "study": claim.study,
            "name": name,
            "fold": fold,
            "place": place,
            "losses": losses_O.astype(LOSSES).tobytes(),
            "forecasts": _bytes_or_null(
                report.test_forecasts[name] if fold == len(per_fold) - 1 else None
            ),
        }
        for place, (name, per_fold) in enumerate(report.losses.items())
        for fold, losses_O in enumerate(per_fold)
    ]
    with database.transaction() as connection:
        held(connection, [claim])
        connection.execute(benchmarks.delete().where(benchmarks.c.study == claim.study))
        connection.execute(benchmarks.insert(), rows)


@patient
def benchmarks_of(database: Database, study: str) -> dict[str, list[Losses]]:
    """The benchmarks' errors in their order: one array per fold, lastly the test span's."""
    query = (
        sa.select(benchmarks)
        .where(benchmarks.c.study == study)
        .order_by(benchmarks.c.place, benchmarks.c.fold)
    )
    found: dict[str, list[Losses]] = {}
    with database.reading() as connection:
        rows = connection.execute(query).mappings().all()
    for row in rows:
        found.setdefault(row["name"], []).append(np.frombuffer(row["losses"], dtype=LOSSES))
    return found


@patient
def benchmark_forecasts_of(database: Database, study: str) -> dict[str, Losses]:
    """What the benchmarks forecast over the test span (float64, O x H), on the target's own scale.

    Without those that an earlier hpo forecast.
    """
    query = (
        sa.select(benchmarks.c.name, benchmarks.c.losses, benchmarks.c.forecasts)
        .where(benchmarks.c.study == study, benchmarks.c.forecasts.is_not(None))
        .order_by(benchmarks.c.place)
    )
    with database.reading() as connection:
        rows = connection.execute(query).all()
    found = {n: _forecasts(f, origins=len(o) // LOSSES.itemsize) for n, o, f in rows}
    return {name: forecasts_OH for name, forecasts_OH in found.items() if forecasts_OH is not None}


def _bytes_or_null(forecasts_OH: Losses | None) -> bytes | None:
    return None if forecasts_OH is None else forecasts_OH.astype(LOSSES).tobytes()


def _forecasts(kept: bytes | None, *, origins: int) -> Losses | None:
    return None if kept is None else np.frombuffer(kept, dtype=LOSSES).reshape(origins, -1)


def _or_null(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else value
