"""What the benchmarks forecast over the test span, beside their errors."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add a column; benchmarks that were forecast before leave it empty."""
    with op.batch_alter_table("hpo_benchmark") as benchmark:
        benchmark.add_column(sa.Column("forecasts", sa.LargeBinary))
