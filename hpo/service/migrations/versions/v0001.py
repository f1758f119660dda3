"""The tables of hpo 0.1.0, which counted versions in a table of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table("hpo_schema", sa.Column("version", sa.Integer, primary_key=True))
    op.bulk_insert(sa.table("hpo_schema", sa.column("version", sa.Integer)), [{"version": 1}])
    _create_study()
    _create_slot()
    _create_network()
    _create_benchmark()
    _create_worker()


def _study_key() -> sa.ForeignKey:
    return sa.ForeignKey("hpo_study.name", ondelete="CASCADE")


def _create_study() -> None:
    op.create_table(
        "hpo_study",
        sa.Column("name", sa.String(120), primary_key=True),
        sa.Column("optuna_id", sa.Integer, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("data_fingerprint", sa.String(64), nullable=False),
        sa.Column("data_parquet", sa.LargeBinary, nullable=False),
        sa.Column("versions", sa.Text, nullable=False),
        sa.Column("engine", sa.String(20), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double),
        sa.Column("timed_out", sa.Integer, nullable=False),
        sa.Column("benchmark_warnings", sa.Text),
        sa.Column("answer", sa.Text),
    )


def _create_slot() -> None:
    op.create_table(
        "hpo_slot",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("trial", sa.Integer),
        sa.Column("worker", sa.String(120)),
        sa.Column("token", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(12)),
        sa.Column("score", sa.Double),
        sa.Column("reason", sa.Text),
    )
    op.create_index("hpo_slot_by_state", "hpo_slot", ["study", "state", "number"])


def _create_network() -> None:
    op.create_table(
        "hpo_network",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("trial", sa.Integer, primary_key=True),
        sa.Column("fold", sa.Integer, primary_key=True),
        sa.Column("seed", sa.Integer, primary_key=True),
        sa.Column("losses", sa.LargeBinary, nullable=False),
        sa.Column("steps", sa.Integer, nullable=False),
        sa.Column("train_loss", sa.Double),
        sa.Column("watch_loss", sa.Double),
        sa.Column("wall_s", sa.Double, nullable=False),
        sa.Column("engine", sa.String(20), nullable=False),
        sa.Column("device", sa.String(60), nullable=False),
    )


def _create_benchmark() -> None:
    op.create_table(
        "hpo_benchmark",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("fold", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("losses", sa.LargeBinary, nullable=False),
    )


def _create_worker() -> None:
    op.create_table(
        "hpo_worker",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("study", sa.String(120), _study_key()),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("device", sa.String(60), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("last_beat", sa.Double, nullable=False),
    )
