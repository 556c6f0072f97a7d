"""SQLAlchemy models, migrations and tenant-bound sessions on PostgreSQL."""
