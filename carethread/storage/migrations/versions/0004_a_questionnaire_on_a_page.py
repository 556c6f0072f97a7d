"""The web page of a questionnaire: what opens it, how often it was tried, and how often the patient was reminded."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("questionnaire_run", sa.Column("asked_on", sa.String(), server_default="chat", nullable=False))
    op.add_column("questionnaire_run", sa.Column("born", sa.String(), nullable=True))
    op.add_column("questionnaire_run", sa.Column("page_failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("questionnaire_run", sa.Column("reminders", sa.Integer(), server_default="0", nullable=False))
    op.add_column("questionnaire_run", sa.Column("look_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_questionnaire_run_open", "questionnaire_run", ["tenant_id", "look_at"],
        postgresql_where=sa.text("state in ('waiting', 'running')"),
    )  # fmt: skip
    op.drop_column("questionnaire_run", "last_step")


def downgrade() -> None:
    op.add_column(
        "questionnaire_run",
        sa.Column("last_step", sa.dialects.postgresql.JSONB(), server_default="{}", nullable=False),
    )
    op.drop_index("ix_questionnaire_run_open", "questionnaire_run")
    for name in ("look_at", "reminders", "page_failures", "born", "asked_on"):
        op.drop_column("questionnaire_run", name)
