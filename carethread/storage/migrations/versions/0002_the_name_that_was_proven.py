"""Who a patient has proven to be, by name, so that staff read a name and not an id of the record."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("patient_name", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("conversation", "patient_name")
