"""Row-level security, written once for every migration that makes a table."""

from __future__ import annotations

APP_ROLE = "carethread_app"
ENGINE_ROLE = "carethread_engine"


def create_role(role: str) -> str:
    """SQL that makes a login role without any right to bypass row-level security, unless it exists."""
    return f"""
    do $$ begin
      if not exists (select 1 from pg_roles where rolname = '{role}') then
        create role {role} login nosuperuser nocreatedb nocreaterole nobypassrls;
      end if;
    end $$
    """


def isolate(table: str, *, schema: str = "public") -> tuple[str, ...]:
    """SQL that lets a session see and write only the rows of the tenant in `app.tenant`."""
    name = f"{schema}.{table}"
    return (
        f"alter table {name} enable row level security",
        f"alter table {name} force row level security",
        f"create policy tenant_isolation on {name} "
        "using (tenant_id = current_setting('app.tenant', true)) "
        "with check (tenant_id = current_setting('app.tenant', true))",
    )
