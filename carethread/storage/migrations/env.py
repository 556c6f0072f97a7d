"""Alembic's entry: migrations run over the connection that `carethread.storage.migrate` hands in."""

from alembic import context

from carethread.storage.models import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
