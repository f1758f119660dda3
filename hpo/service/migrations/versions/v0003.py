"""What a network's scored windows, its last forecasts and its weights tell, beside its errors."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns; networks that were trained before leave them empty."""
    with op.batch_alter_table("hpo_network") as network:
        network.add_column(sa.Column("valid_loss", sa.Double))
        network.add_column(sa.Column("forecasts", sa.LargeBinary))
        network.add_column(sa.Column("effective_parameters", sa.Double))
