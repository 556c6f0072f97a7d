"""Staff logins: passwords, locks against guessing, and sessions that end.

A session's cookie holds a random token; the database holds its SHA-256, under the tenant whose staff it belongs to.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import DateTime, Executable, case, delete, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from carethread.clinic import Clinic
from carethread.console.people import DEMO_PASSWORD, normal_email
from carethread.escalation.audit import record
from carethread.storage.database import Database
from carethread.storage.models import Staff, StaffSession

LIFETIME: Final = timedelta(hours=12)
IDLE: Final = timedelta(hours=1)
# A session's end moves only when this much is gained, so that reading does not write each time.
_SLIDE: Final = timedelta(minutes=1)

# Failed logins in a row → how long the account refuses every password. Short first: a nurse who mistypes must get
# in, and nobody else may keep her out for long; the last one still leaves a guesser under a hundred tries a day.
LOCKS: Final = (
    (5, timedelta(minutes=1)),
    (6, timedelta(minutes=2)),
    (7, timedelta(minutes=5)),
    (8, timedelta(minutes=15)),
)

# A hash takes 64 MB and a tenth of a second of a core; more at once would let anybody slow the gateway down.
_HASHES_AT_ONCE: Final = 2
_LONGEST_PASSWORD: Final = 1000  # characters


class Authenticator:
    """Checks passwords and opens sessions. One for each process."""

    def __init__(self, database: Database, *, demo: bool) -> None:
        self._database = database
        self._demo = demo
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(_HASHES_AT_ONCE)
        # Verified for an address nobody has, so that it takes as long as a wrong password.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    async def log_in(self, clinic: Clinic, email: str, password: str, *, now: datetime) -> str | None:
        """The token of a new session for who knows the password. None for everybody else, whatever the reason: an
        unknown address, a wrong password and a locked account cannot be told apart, by the answer or by its time.
        """
        async with self._database.begin(clinic.id) as session:
            # The try is counted before the password is read, so that many at once cannot pass the lock together.
            known = (await session.execute(_count_a_try(normal_email(email), now))).one_or_none()
        right = await self._verify(known.password_hash if known else self._nobody, password)
        if known is None:
            return None
        if not right or (password == DEMO_PASSWORD and not self._demo):
            async with self._database.begin(clinic.id) as session:
                record(session, f"staff:{known.id}", "login.failed", f"staff:{known.id}", now)
            return None
        token = secrets.token_urlsafe(32)
        async with self._database.begin(clinic.id) as session:
            staff = await session.get_one(Staff, known.id)
            staff.failed_logins, staff.locked_until = 0, None
            if self._hasher.check_needs_rehash(staff.password_hash):
                staff.password_hash = await asyncio.to_thread(self._hasher.hash, password)
            await session.execute(delete(StaffSession).where(StaffSession.expires_at <= now))
            session.add(
                StaffSession(
                    token_hash=digest(token), staff_id=staff.id, csrf=secrets.token_urlsafe(24),
                    created_at=now, expires_at=now + IDLE,
                )
            )  # fmt: skip
            record(session, staff, "login", f"staff:{staff.id}", now)
        return token

    async def _verify(self, password_hash: str, password: str) -> bool:
        if len(password) > _LONGEST_PASSWORD:
            password = ""
        async with self._turn:
            try:
                return await asyncio.to_thread(self._hasher.verify, password_hash, password)
            except (VerificationError, InvalidHashError):
                return False


async def session_of(
    session: AsyncSession, token: str, *, now: datetime, active: bool = True
) -> tuple[StaffSession, Staff] | None:
    """Whose token this is, in the tenant of `session`. `active`: the person did something, which moves the end of an
    idle session out; a page that refreshes itself does not.
    """
    found = (
        await session.execute(
            select(StaffSession, Staff)
            .join(Staff, Staff.id == StaffSession.staff_id)
            .where(StaffSession.token_hash == digest(token), StaffSession.expires_at > now, Staff.active)
        )
    ).one_or_none()
    if found is None:
        return None
    login, staff = found
    ends = min(login.created_at + LIFETIME, now + IDLE)
    if active and ends - login.expires_at > _SLIDE:
        await session.execute(
            update(StaffSession).where(StaffSession.token_hash == login.token_hash).values(expires_at=ends)
        )
    return login, staff


async def log_out(session: AsyncSession, token: str, staff: Staff, *, now: datetime) -> None:
    """End the session on the server: the cookie's token opens nothing any more."""
    await session.execute(delete(StaffSession).where(StaffSession.token_hash == digest(token)))
    record(session, staff, "logout", f"staff:{staff.id}", now)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets are equal, in a time that says nothing about where they differ."""
    return bool(one) and hmac.compare_digest(one.encode(), other.encode())


def form_token(secret: str, nonce: str) -> str:
    """What the login form carries to prove that it came from our page: the nonce of its cookie, signed."""
    return hmac.new(secret.encode(), f"staff login {nonce}".encode(), hashlib.sha256).hexdigest()


def _count_a_try(email: str, now: datetime) -> Executable:
    """One more failed login of an account that may try; a right password takes it back. No row: it may not."""
    tries = Staff.failed_logins + 1
    locks = [(tries >= count, literal(now + wait, DateTime(timezone=True))) for count, wait in reversed(LOCKS)]
    return (
        update(Staff)
        .where(Staff.email == email, Staff.active, or_(Staff.locked_until.is_(None), Staff.locked_until <= now))
        .values(failed_logins=tries, locked_until=case(*locks, else_=None))
        .returning(Staff.id, Staff.password_hash)
    )
