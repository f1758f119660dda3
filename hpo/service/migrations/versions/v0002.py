"""Large data by reference, checkpoints, failures one by one, workers that serve any study."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Keep every study and result; only the list of workers, who must start anew, begins empty."""
    op.drop_table("hpo_schema")
    _move_data()
    _alter_study()
    _alter_slot()
    _create_checkpoint()
    _create_failure()
    _create_refusal()
    _renew_worker()


def _study_key() -> sa.ForeignKey:
    return sa.ForeignKey("hpo_study.name", ondelete="CASCADE")


def _move_data() -> None:
    op.create_table(
        "hpo_data",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("parquet", sa.LargeBinary),
        sa.Column("uri", sa.Text),
        sa.Column("sha256", sa.String(64)),
    )
    op.execute("INSERT INTO hpo_data (study, parquet) SELECT name, data_parquet FROM hpo_study")


def _alter_study() -> None:
    with op.batch_alter_table("hpo_study") as study:
        study.drop_column("data_parquet")
        study.add_column(sa.Column("closed_by", sa.String(12)))
    op.execute("UPDATE hpo_study SET closed_by = 'time limit' WHERE timed_out = 1")
    with op.batch_alter_table("hpo_study") as study:
        study.drop_column("timed_out")
        study.drop_column("failures")


def _alter_slot() -> None:
    with op.batch_alter_table("hpo_slot") as slot:
        slot.alter_column("deaths", new_column_name="expiries", existing_type=sa.Integer())
        slot.add_column(sa.Column("crashes", sa.Integer, nullable=False, server_default="0"))
    with op.batch_alter_table("hpo_slot") as slot:
        slot.alter_column("crashes", existing_type=sa.Integer(), server_default=None)


def _create_checkpoint() -> None:
    op.create_table(
        "hpo_checkpoint",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("trial", sa.Integer, primary_key=True),
        sa.Column("fold", sa.Integer, primary_key=True),
        sa.Column("seed", sa.Integer, primary_key=True),
        sa.Column("wall_s", sa.Double, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )


def _create_failure() -> None:
    op.create_table(
        "hpo_failure",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("study", sa.String(120), _study_key(), nullable=False),
        sa.Column("slot", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(120), nullable=False),
        sa.Column("signature", sa.String(64), nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )
    op.create_index("hpo_failure_by_signature", "hpo_failure", ["study", "signature"])


def _create_refusal() -> None:
    op.create_table(
        "hpo_refusal",
        sa.Column("study", sa.String(120), _study_key(), primary_key=True),
        sa.Column("worker", sa.String(120), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
    )


def _renew_worker() -> None:
    op.drop_table("hpo_worker")
    op.create_table(
        "hpo_worker",
        sa.Column("id", sa.String(120), primary_key=True),
        sa.Column("study", sa.String(120)),
        sa.Column("host", sa.String(120), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("device", sa.String(60), nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("last_beat", sa.Double, nullable=False),
    )
