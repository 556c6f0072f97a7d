"""What of a proven patient's chart raises a level (pregnant, on a blood thinner), so that screening asks nobody."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversation", sa.Column("chart_facts", JSONB(), server_default="[]", nullable=False))


def downgrade() -> None:
    op.drop_column("conversation", "chart_facts")
