"""Who can log in: making staff, and the demo's two nurses."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Final

from argon2 import PasswordHasher
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from carethread.clinic import Clinic
from carethread.config import settings
from carethread.storage.database import Database
from carethread.storage.models import Staff

# Shown on the demo's login page, refused in production even for an account that was made with it.
DEMO_PASSWORD: Final = "demo-thread-of-care"  # noqa: S105
SHORTEST_PASSWORD: Final = 12  # characters

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class StaffRefused(ValueError):
    """A person who cannot be added as asked; the text says what to change."""


def demo_staff(clinic: Clinic) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Email, name and teams of the demo's nurses, for teams that this clinic has."""
    wanted = (
        (f"ana@{clinic.id}.example", "Ana Delgado, RN", ("nurse-line", "care-coordination")),
        (f"sam@{clinic.id}.example", "Sam Okafor, RN", ("nurse-line", "front-desk")),
    )
    return tuple((email, name, tuple(team for team in teams if team in clinic.teams)) for email, name, teams in wanted)


def normal_email(email: str) -> str:
    """How an address is stored and looked up."""
    return email.strip().lower()


async def create_staff(
    database: Database, clinic: Clinic, *, email: str, name: str, password: str, teams: Sequence[str] = ()
) -> Staff:
    """Add a person who can log in at `clinic`. Without teams they see every team's work. Raises `StaffRefused`."""
    email, name = normal_email(email), name.strip()
    if not _EMAIL.fullmatch(email):
        raise StaffRefused(f"'{email}' is not an email address; give one like ana@clinic.example")
    if not name:
        raise StaffRefused("the name is empty; colleagues see it on everything this person does")
    if len(password) < SHORTEST_PASSWORD:
        raise StaffRefused(f"the password has {len(password)} characters; {SHORTEST_PASSWORD} or more are needed")
    for team in teams:
        if team not in clinic.teams:
            known = ", ".join(sorted(clinic.teams))
            raise StaffRefused(f"team '{team}' is not in clinics/{clinic.id}/clinic.yml (teams: {known})")
    password_hash = await asyncio.to_thread(PasswordHasher().hash, password)
    row = Staff(email=email, name=name, password_hash=password_hash, teams=list(teams))
    try:
        async with database.begin(clinic.id) as session:
            session.add(row)
    except IntegrityError as error:
        raise StaffRefused(f"'{email}' can log in at '{clinic.id}' already") from error
    return row


async def ensure_demo_staff(database: Database, clinic: Clinic, *, env: str | None = None) -> None:
    """The two nurses of the demo, made once. Raises `StaffRefused` in production."""
    if (env or settings().env) == "production":
        raise StaffRefused("demo staff have a public password; add real people with their own instead")
    people = demo_staff(clinic)
    async with database.begin(clinic.id) as session:
        known = set(await session.scalars(select(Staff.email).where(Staff.email.in_([email for email, *_ in people]))))
    for email, name, teams in people:
        if email in known:
            continue
        password_hash = await asyncio.to_thread(PasswordHasher().hash, DEMO_PASSWORD)
        async with database.begin(clinic.id) as session:
            # Two processes that start together make one.
            await session.execute(
                insert(Staff)
                .values(
                    email=email, name=name, password_hash=password_hash, teams=list(teams),
                    active=True, failed_logins=0,
                )
                .on_conflict_do_nothing(index_elements=["tenant_id", "email"])
            )  # fmt: skip
