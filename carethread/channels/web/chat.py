"""What the web chat does, whichever way a page reached it: open a session, take a message, tell what is new."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import urlsplit

from carethread.channels.texts import PageTexts
from carethread.channels.web.ledger import Change, Cursor, changes, unread
from carethread.channels.web.limits import Limiter, Rate
from carethread.channels.web.session import LIFETIME, BadToken, Visitor, issue, new_address, read
from carethread.channels.web.texts import WIDGET
from carethread.clinic import Account, Clinic, Clinics, ConfigError
from carethread.config import Settings
from carethread.messaging.intake import Intake, clean
from carethread.messaging.types import MAX_TEXT, DeliveryUpdate, InboundMessage
from carethread.messaging.updates import Updates
from carethread.safety.reading import load_reading
from carethread.storage.database import Database

Clock = Callable[[], datetime]
Seen = Literal["delivered", "read"]
Code = Literal[
    "bad_token",
    "bad_origin",
    "bad_message",
    "unknown_account",
    "empty",
    "too_long",
    "too_fast",
    "too_many",
    "unavailable",
]

# Longer than this is refused. Between MAX_TEXT and this the ledger keeps all of it, and the assistant reads the start.
REFUSE_TEXT = 50_000  # characters
# How many entries a page may report as seen at once.
MAX_SEEN = 200
# For each network address (many patients may share one), and for each visitor.
_SESSIONS = Rate(60, 60)
_MESSAGES = Rate(20, 10)
_MESSAGE_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_ENTRY_ID = re.compile(r"o(\d{1,18})")
# States that a report moves on from.
_BEFORE: dict[Seen, tuple[str, ...]] = {"delivered": ("sent",), "read": ("sent", "delivered")}


class Parts(Protocol):
    """The parts of the platform that the web chat needs; `bootstrap.Core` has them."""

    settings: Settings
    clinics: Clinics
    database: Database
    updates: Updates
    intake: Intake


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one visitor, or one network address, may do."""

    sessions: Rate = _SESSIONS
    messages: Rate = _MESSAGES
    # Pages that one visitor may have open, sockets and waiting requests together.
    pages: int = 8


class Refused(Exception):
    """A request that is not served, with a code that the widget has words for."""

    def __init__(self, code: Code, *, retry_after: float = 0.0) -> None:
        super().__init__(code)
        self.code: Code = code
        self.retry_after = retry_after


class Chat:
    """Everything between a page and the ledger. Knows nothing of HTTP or sockets."""

    def __init__(self, parts: Parts, clock: Clock, limits: Limits) -> None:
        self._parts = parts
        self._clock = clock
        self._limits = limits
        self._secret = parts.settings.session_secret.get_secret_value()
        self._texts: PageTexts = WIDGET.load(
            parts.settings.content_dir / "widget.yml", load_reading(parts.settings.content_dir / "reading.yml")
        )
        self._sessions = Limiter(limits.sessions)
        self._messages = Limiter(limits.messages)
        self._pages: Counter[str] = Counter()
        # Nudged when their visitor sends: before the first message there is no conversation to listen to.
        self._watches: dict[str, set[Watch]] = defaultdict(set)
        self._own_origin = origin_of(parts.settings.public_url)
        _refuse_open_widgets(parts)

    # Who may ask

    def allowed(self, origin: str | None) -> bool:
        """Whether any widget of any clinic may be embedded at `origin`."""
        return any(
            self._embeds(account, origin) for clinic in self._parts.clinics.values() for account in clinic.accounts
        )

    def account(self, address: str, origin: str | None) -> tuple[Clinic, Account]:
        """The clinic whose widget key is `address`; raises `Refused`."""
        found = self._parts.clinics.by_account("web", address)
        if found is None:
            raise Refused("unknown_account")
        if not self._embeds(found[1], origin):
            raise Refused("bad_origin")
        return found

    def visitor(self, token: str, origin: str | None) -> Visitor:
        """Who holds `token`; raises `Refused`."""
        try:
            visitor = read(token, self._secret, now=self._clock())
        except BadToken as error:
            raise Refused("bad_token") from error
        clinic = self._parts.clinics.get(visitor.tenant)
        account = clinic.account("web", visitor.account) if clinic else None
        if account is None:
            raise Refused("bad_token")
        if not self._embeds(account, origin):
            raise Refused("bad_origin")
        return visitor

    def _embeds(self, account: Account, origin: str | None) -> bool:
        # Without an Origin it is not a page of somebody else's: browsers always send one across sites.
        if account.channel != "web":
            return False
        return not origin or "*" in account.origins or origin == self._own_origin or origin in account.origins

    # What they may do

    def about(self, clinic: Clinic) -> dict[str, object]:
        """What a page needs to draw the widget."""
        texts = self._texts.of(clinic)
        return {
            "clinic": {"name": clinic.name, "phone": clinic.phone},
            "call": [clinic.emergency_number, clinic.crisis_line],
            "languages": [{"code": code, "name": words["language_name"]} for code, words in texts.items()],
            "texts": texts,
            "max_text": MAX_TEXT,
        }

    def open(self, clinic: Clinic, account: Account, *, ip: str, token: str = "") -> dict[str, object]:
        """A session: the one that `token` stands for, renewed, or a new one. Raises `Refused`."""
        now = self._clock()
        if wait := self._sessions.take(ip, now):
            raise Refused("too_fast", retry_after=wait)
        known: Visitor | None = None
        with suppress(BadToken):
            known = read(token, self._secret, now=now)
        if known and (known.tenant, known.account) != (clinic.id, account.address):
            known = None
        visitor = known or Visitor(clinic.id, account.address, new_address())
        return {
            "token": issue(visitor, self._secret, now=now),
            "expires_at": (now + LIFETIME).isoformat(timespec="seconds"),
            "resumed": known is not None,
            **self.about(clinic),
        }

    async def receive(self, visitor: Visitor, message_id: object, text: object) -> str:
        """Commit a message and return its id, which the page gave it: sent again, it is the same message."""
        if not isinstance(message_id, str) or not _MESSAGE_ID.fullmatch(message_id) or not isinstance(text, str):
            raise Refused("bad_message")
        if not clean(text).strip():
            raise Refused("empty")
        if len(text) > REFUSE_TEXT:
            raise Refused("too_long")
        if wait := self._messages.take(visitor.address, self._clock()):
            raise Refused("too_fast", retry_after=wait)
        await self._parts.intake.receive(
            self._parts.clinics[visitor.tenant],
            InboundMessage(
                channel="web",
                account=visitor.account,
                address=visitor.address,
                provider_id=f"{visitor.address}:{message_id}",
                text=text,
            ),
        )
        for watch in self._watches.get(visitor.address, ()):
            watch.nudge()
        return message_id

    async def changes(self, visitor: Visitor, cursor: Cursor) -> Change:
        """What a page at `cursor` does not show yet."""
        async with self._parts.database.begin(visitor.tenant) as session:
            return await changes(session, visitor.account, visitor.address, cursor, now=self._clock())

    async def seen(self, visitor: Visitor, ids: object, state: object) -> None:
        """Note that a page got (`delivered`) or showed (`read`) entries of its own conversation; ignores others."""
        if state not in ("delivered", "read") or not isinstance(ids, list) or len(ids) > MAX_SEEN:
            raise Refused("bad_message")
        word: Seen = "read" if state == "read" else "delivered"
        numbers = [int(match[1]) for id_ in ids if (match := _ENTRY_ID.fullmatch(str(id_)))]
        async with self._parts.database.begin(visitor.tenant) as session:
            fresh = await unread(session, visitor.account, visitor.address, numbers, _BEFORE[word])
        clinic = self._parts.clinics[visitor.tenant]
        for outbox_id in fresh:
            await self._parts.intake.delivered(clinic, DeliveryUpdate(word, outbox_id=outbox_id), now=self._clock())

    @contextmanager
    def page(self, visitor: Visitor) -> Iterator[None]:
        """Count an open page of the visitor's; raises `Refused` when there are too many."""
        if self._pages[visitor.address] >= self._limits.pages:
            raise Refused("too_many", retry_after=5.0)
        self._pages[visitor.address] += 1
        try:
            yield
        finally:
            self._pages[visitor.address] -= 1
            if not self._pages[visitor.address]:
                del self._pages[visitor.address]

    @contextmanager
    def watch(self, visitor: Visitor) -> Iterator[Watch]:
        """Reads the visitor's conversation, and waits for it to change."""
        watch = Watch(self, self._parts.updates, visitor)
        self._watches[visitor.address].add(watch)
        try:
            with watch.subscriptions:
                yield watch
        finally:
            self._watches[visitor.address].discard(watch)
            if not self._watches[visitor.address]:
                del self._watches[visitor.address]


class Watch:
    """One page's view of its conversation, which may not exist before the visitor's first message."""

    def __init__(self, chat: Chat, updates: Updates, visitor: Visitor) -> None:
        self.subscriptions = ExitStack()
        self._chat = chat
        self._updates = updates
        self._visitor = visitor
        self._nudged = asyncio.Event()
        self._changed: asyncio.Event | None = None

    def nudge(self) -> None:
        """End a wait: there is something to read, or another place to read from."""
        self._nudged.set()

    async def read(self, cursor: Cursor) -> Change:
        """What is new at `cursor`. Whatever commits after this read ends the next wait."""
        self._nudged.clear()
        if self._changed:
            self._changed.clear()
        change = await self._chat.changes(self._visitor, cursor)
        if self._changed is None and change.conversation_id:
            subscription = self._updates.conversation(self._visitor.tenant, change.conversation_id)
            self._changed = self.subscriptions.enter_context(subscription)
            # What committed between the read and the subscription woke nobody.
            change = await self._chat.changes(self._visitor, cursor)
        return change

    async def wait(self, seconds: float) -> None:
        """Until the conversation may have changed, at most `seconds`."""
        events = [event for event in (self._nudged, self._changed) if event]
        tasks = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


def origin_of(url: str) -> str:
    """`scheme://host[:port]` of an address, as browsers write an Origin."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _refuse_open_widgets(parts: Parts) -> None:
    if not parts.settings.production:
        return
    for clinic in parts.clinics.values():
        for account in clinic.accounts:
            if account.channel == "web" and "*" in account.origins:
                raise ConfigError(
                    f"{parts.settings.clinics_dir / clinic.id / 'clinic.yml'}: web account '{account.address}' has "
                    "origin '*', which is for the demo; list the sites that embed the chat (https://portal.example.org)"
                )
