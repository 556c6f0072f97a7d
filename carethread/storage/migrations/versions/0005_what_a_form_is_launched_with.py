"""What a questionnaire's expressions may know of the patient, kept with the run from its start."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("questionnaire_run", sa.Column("launch", sa.dialects.postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("questionnaire_run", "launch")
