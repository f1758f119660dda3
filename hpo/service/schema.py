"""The versions of the tables, Optuna's and ours: made whole, compared with this code's, upgraded.

Everything here happens on one connection, in the caller's transaction and under its lock: behind a
pooler with few connections a second one could wait for ever for the first. Optuna's tables are
migrated by Optuna's own scripts; the version of ours is kept in a table of our own.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import optuna
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.storages._rdb import models
from sqlalchemy.engine import Connection

from hpo.errors import DatabaseError
from hpo.service import tables

FIRST_VERSION_TABLE = "hpo_schema"  # of hpo 0.1.0
_LOCK = 0x68706F  # "hpo": the key of PostgreSQL's advisory lock around what is made or upgraded


@dataclass(frozen=True)
class Lineage:
    """The tables of one owner: as this code knows them, and the scripts that lead there."""

    owner: str
    metadata: sa.MetaData
    folder: Path
    version_table: str

    @cached_property
    def scripts(self) -> ScriptDirectory:
        """The migrations, one a version."""
        return ScriptDirectory(str(self.folder))

    @property
    def head(self) -> str:
        """The version that this code knows how to use."""
        [head] = self.scripts.get_heads()
        return head

    def leads_from(self, version: str) -> bool:
        """Whether the scripts know this version."""
        return version in {script.revision for script in self.scripts.walk_revisions()}

    def version(self, connection: Connection) -> str | None:
        """The version of the tables in this database; None where there are none."""
        return self._context(connection).get_current_revision()

    def stamp(self, connection: Connection, version: str) -> None:
        """Note of which version the tables are."""
        self._context(connection).stamp(self.scripts, version)

    def migrate(self, connection: Connection, to: str = "head") -> None:
        """Run the scripts that were not yet run here."""
        with EnvironmentContext(
            Config(), self.scripts, fn=lambda at, _: self.scripts._upgrade_revs(to, at)
        ) as environment:
            environment.configure(connection=connection, version_table=self.version_table)
            environment.run_migrations()

    def _context(self, connection: Connection) -> MigrationContext:
        return MigrationContext.configure(connection, opts={"version_table": self.version_table})


class Ours(Lineage):
    """Our tables."""

    def version(self, connection: Connection) -> str | None:
        """The version in our own table, or what hpo 0.1.0 left in its."""
        kept = super().version(connection)
        if kept is None and sa.inspect(connection).has_table(FIRST_VERSION_TABLE):
            return self.scripts.get_base()
        return kept

    def migrate(self, connection: Connection, to: str = "head") -> None:
        """Run the scripts that were not yet run here, on hpo 0.1.0's tables those after its."""
        if (version := self.version(connection)) is not None:
            self.stamp(connection, version)
        super().migrate(connection, to)


OURS = Ours("hpo", tables.metadata, Path(__file__).parent / "migrations", "hpo_version")
OPTUNAS = Lineage(
    "Optuna",
    models.BaseModel.metadata,
    Path(models.__file__).parent / "alembic",
    "alembic_version",
)
_LINEAGES = (OPTUNAS, OURS)


def is_whole(connection: Connection, shown_url: str) -> bool:
    """Whether all tables are here, in the versions of this code.

    Raises DatabaseError for tables of other versions.
    """
    versions = [(lineage, lineage.version(connection)) for lineage in _LINEAGES]
    for lineage, version in versions:
        if version not in (None, lineage.head):
            raise _other_version(lineage, str(version), shown_url)
    return all(version is not None for _, version in versions)


def lock(connection: Connection) -> None:
    """Keep others from making or upgrading tables until this transaction ends.

    SQLite's transactions have that lock from their beginning.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


def make(connection: Connection) -> None:
    """Create what is not yet here, in the versions of this code."""
    for lineage in _LINEAGES:
        if lineage.version(connection) is None:
            lineage.metadata.create_all(connection)
            lineage.stamp(connection, "head")
            if lineage is OPTUNAS:
                connection.execute(sa.insert(models.VersionInfoModel).values(_optunas_release()))


def upgrade(connection: Connection, shown_url: str) -> tuple[str, str]:
    """Bring all tables to the versions of this code: the versions before and after, as a text.

    Raises DatabaseError for tables of a later version.
    """
    before = _described(connection)
    for lineage in _LINEAGES:
        version = lineage.version(connection)
        if version is not None and not lineage.leads_from(version):
            raise _other_version(lineage, version, shown_url)
        if version not in (None, lineage.head):
            lineage.migrate(connection)
            if lineage is OPTUNAS:
                connection.execute(sa.update(models.VersionInfoModel).values(_optunas_release()))
    make(connection)
    return before, _described(connection)


def _described(connection: Connection) -> str:
    """The versions in this database, ours first.

    A database without tables is of version "none".
    """
    ours, optunas = OURS.version(connection), OPTUNAS.version(connection)
    return f"{ours or 'none'} (Optuna {optunas or 'none'})"


def _optunas_release() -> dict[str, object]:
    """What Optuna itself writes beside its tables."""
    return {
        "schema_version": models.SCHEMA_VERSION,
        "library_version": optuna.__version__,
    }


def _other_version(lineage: Lineage, version: str, shown_url: str) -> DatabaseError:
    """An old version can be upgraded; one that no script leads to must be a later one."""
    owner = lineage.owner
    way_out = f"run hpo db upgrade --storage {shown_url}"
    return DatabaseError(
        f"{owner}'s tables are of version {version}, this {owner} knows version {lineage.head}",
        where=shown_url,
        remedy=way_out if lineage.leads_from(version) else f"use a newer {owner}",
    )
