"""What the simulated network remembers: every message, in SQLite, so that a restart keeps the threads."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Direction = Literal["to_clinic", "to_patient"]

# to_clinic: sending → received | failed.  to_patient: Twilio's own words, queued → sent → delivered → read | failed.
OPEN = ("sending", "queued", "sent")

_SCHEMA = """
create table if not exists message (
    id integer primary key autoincrement,
    sid text not null unique,
    change integer not null,        -- rises with every change to any message
    direction text not null,
    channel text not null,
    account_sid text not null,
    clinic text not null,           -- E.164
    phone text not null,            -- E.164
    text text not null,
    media text not null,            -- JSON: [{"sid", "content_type"}]
    status text not null,
    error text,
    error_code integer,
    callback text,                  -- where the clinic wants to hear what became of it
    reported text,                  -- the last status it has heard
    created_at text not null,
    sent_at text
);
create index if not exists message_phone on message (phone, change);
create index if not exists message_open on message (status, reported);
"""


@dataclass(frozen=True, slots=True)
class Media:
    """An attachment; its bytes are a file named `sid`."""

    sid: str
    content_type: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message on the simulated network."""

    id: int
    sid: str
    change: int
    direction: Direction
    channel: Literal["sms", "whatsapp"]
    account_sid: str
    clinic: str
    phone: str
    text: str
    media: tuple[Media, ...]
    status: str
    error: str | None
    error_code: int | None
    callback: str | None
    reported: str | None
    created_at: datetime
    sent_at: datetime | None


def new_sid(prefix: str) -> str:
    """An id as Twilio makes them: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


class Store:
    """The messages in `directory`. One process at a time; every method is one short transaction."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._media = directory / "media"
        self._media.mkdir(exist_ok=True)
        self._connection = sqlite3.connect(directory / "phones.sqlite3", isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    def add(self, *, now: datetime, media: Sequence[Media] = (), **values: Any) -> Message:
        """A new message; `values` are the columns without a default of their own."""
        row = {
            "sid": new_sid("MM" if media else "SM"),
            "media": json.dumps([{"sid": item.sid, "content_type": item.content_type} for item in media]),
            "created_at": now.isoformat(),
            **values,
        }
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        found = self._connection.execute(
            f"insert into message (change, {names}) values ({_NEXT_CHANGE}, {marks}) returning *", row
        ).fetchone()
        return _message(found)

    def change(self, sid: str, **values: Any) -> Message:
        """Set columns of one message."""
        row = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
        assignments = ", ".join(f"{name} = :{name}" for name in row)
        found = self._connection.execute(
            f"update message set change = {_NEXT_CHANGE}, {assignments} where sid = :_sid returning *",
            {**row, "_sid": sid},
        ).fetchone()
        return _message(found)

    def get(self, sid: str) -> Message | None:
        found = self._connection.execute("select * from message where sid = ?", (sid,)).fetchone()
        return _message(found) if found else None

    def find(self, where: str, values: Sequence[Any], *, order: str = "id", limit: int = 1000) -> list[Message]:
        """Messages for a condition of this program's own, with its values."""
        rows = self._connection.execute(
            f"select * from message where {where} order by {order} limit {limit}", tuple(values)
        )
        return [_message(row) for row in rows]

    def unfinished(self) -> list[Message]:
        """What a stopped simulator left under way, oldest first."""
        marks = ", ".join("?" for _ in OPEN)
        unreported = "(direction = 'to_patient' and callback is not null and reported is not status)"
        return self.find(f"status in ({marks}) or {unreported}", OPEN, limit=100_000)

    def keep_media(self, content_type: str, data: bytes) -> Media:
        media = Media(new_sid("ME"), content_type)
        (self._media / media.sid).write_bytes(data)
        return media

    def media_bytes(self, sid: str) -> bytes:
        return (self._media / sid).read_bytes()


_NEXT_CHANGE = "(select coalesce(max(change), 0) + 1 from message)"


def _message(row: sqlite3.Row) -> Message:
    values = dict(row)
    values["media"] = tuple(Media(**item) for item in json.loads(values["media"]))
    values["created_at"] = datetime.fromisoformat(values["created_at"])
    values["sent_at"] = datetime.fromisoformat(values["sent_at"]) if values["sent_at"] else None
    return Message(**values)
