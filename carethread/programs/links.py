"""The address of a questionnaire's web page: signed, for one run, for some days, and opened with a date of birth."""

from __future__ import annotations

import hashlib
import hmac
import struct
import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

LIFETIME = timedelta(days=7)  # of a link
OPEN = timedelta(minutes=30)  # how long a page that was opened stays so
TRIES = 3  # wrong dates of birth after which the page is closed for good

_RUN = struct.Struct(">16sI")  # run, and the last second it holds
_SIGNED = 16  # bytes of the signature: nobody can guess 128 bits
# Keeps these signatures apart from others that the same secret makes.
_LINK, _DOOR, _BORN = b"questionnaire-link", b"questionnaire-door", b"questionnaire-born"


class BadLink(Exception):
    """The link is not ours, or was changed."""


class LinkOver(Exception):
    """The link was ours and has run out."""


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and reads links below `base` (scheme and host) with the installation's secret."""

    base: str
    secret: str

    def address(self, tenant: str, run: uuid.UUID, *, now: datetime) -> str:
        """Short enough for a text message."""
        return f"{self.base.rstrip('/')}/q/{tenant}/{self._token(_LINK, tenant, run, now + LIFETIME)}"

    def run_of(self, tenant: str, token: str, *, now: datetime) -> uuid.UUID:
        """The run that a link is for; raises `BadLink` or `LinkOver`."""
        return self._read(_LINK, tenant, token, now)

    def key(self, tenant: str, run: uuid.UUID, *, now: datetime) -> str:
        """What the browser of somebody who gave the right date of birth keeps."""
        return self._token(_DOOR, tenant, run, now + OPEN)

    def opens(self, tenant: str, run: uuid.UUID, key: str, *, now: datetime) -> bool:
        try:
            return self._read(_DOOR, tenant, key, now) == run
        except (BadLink, LinkOver):
            return False

    def born(self, run: uuid.UUID, birth_date: date) -> str:
        """A date of birth as it is kept beside a run: to be compared with, not to be read."""
        return self._mac(_BORN + run.bytes + birth_date.isoformat().encode()).hex()

    def is_born(self, run: uuid.UUID, birth_date: date, kept: str) -> bool:
        return hmac.compare_digest(self.born(run, birth_date), kept)

    def _token(self, purpose: bytes, tenant: str, run: uuid.UUID, until: datetime) -> str:
        body = _RUN.pack(run.bytes, int(until.timestamp()))
        return urlsafe_b64encode(body + self._signature(purpose, tenant, body)).decode().rstrip("=")

    def _read(self, purpose: bytes, tenant: str, token: str, now: datetime) -> uuid.UUID:
        try:
            raw = urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        except ValueError:
            raise BadLink from None
        body, signature = raw[: _RUN.size], raw[_RUN.size :]
        if not hmac.compare_digest(signature, self._signature(purpose, tenant, body)):
            raise BadLink
        run, until = _RUN.unpack(body)
        if now > datetime.fromtimestamp(until, UTC):
            raise LinkOver
        return uuid.UUID(bytes=run)

    def _signature(self, purpose: bytes, tenant: str, body: bytes) -> bytes:
        return self._mac(purpose + tenant.encode() + b"\0" + body)[:_SIGNED]

    def _mac(self, text: bytes) -> bytes:
        return hmac.new(self.secret.encode(), text, hashlib.sha256).digest()
