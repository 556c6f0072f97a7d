"""The simulated carrier: takes messages from both sides, and posts signed webhooks to the gateway as Twilio does."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from twilio.request_validator import RequestValidator

from carethread.channels.twilio.accounts import PhoneChannel, credentials, to_twilio
from carethread.channels.twilio.encoding import segments
from carethread.clinic import Account, Clinic, Clinics
from carethread.config import Settings
from sandbox.phones.faults import Faults
from sandbox.phones.store import Media, Message, Store

log = logging.getLogger("sandbox.phones")

STEP = 0.15  # seconds between two states of a message
WEBHOOK_TIMEOUT = 15.0  # seconds, as Twilio's
# Twilio comes again for 15 s at most; the simulator for longer, so that a gateway being restarted loses nothing typed.
RETRY_FOR = 120.0  # seconds
FIRST_RETRY, LAST_RETRY = 0.25, 5.0  # seconds


class Undeliverable(Exception):
    """The gateway did not take a webhook; the text says what it answered."""


@dataclass(frozen=True, slots=True)
class Line:
    """A number of a clinic's, and the secret of its account."""

    clinic: Clinic
    account: Account
    channel: PhoneChannel
    account_sid: str
    auth_token: str


def lines_of(clinics: Clinics, settings: Settings) -> list[Line]:
    """Every number that the clinics receive SMS or WhatsApp on."""
    lines = []
    for clinic in clinics.values():
        for account in clinic.accounts:
            if account.channel != "web":
                who = credentials(account, settings)
                lines.append(Line(clinic, account, account.channel, who.account_sid, who.auth_token))
    return lines


class Network:
    """Messages between phones and the gateway, with everything under way as tasks of one event loop."""

    def __init__(self, store: Store, lines: Sequence[Line], gateway_url: str, faults: Faults) -> None:
        self.store = store
        self.lines = lines
        self.faults = faults
        self.own_url = ""  # known once the simulator listens
        self._gateway = gateway_url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._threads: dict[tuple[str, str, str], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reports: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._watchers: set[asyncio.Event] = set()

    async def start(self) -> None:
        """Go on with what was under way when the simulator stopped."""
        timeout = aiohttp.ClientTimeout(total=WEBHOOK_TIMEOUT, connect=5)
        self._session = aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "carethread-phones"})
        for message in self.store.unfinished():
            self._go(self._to_clinic(message) if message.direction == "to_clinic" else self._to_patient(message))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session:
            await self._session.close()
        self.wake()

    def line(self, channel: str, address: str | None = None) -> Line | None:
        """The clinic's line with this address, or the first on the channel."""
        return next(
            (line for line in self.lines if line.channel == channel and address in (None, line.account.address)), None
        )

    # What each side hands in

    def from_phone(self, phone: str, line: Line, text: str, media: Sequence[Media] = ()) -> Message:
        """A person sends a message to a clinic."""
        message = self.store.add(
            now=_now(),
            direction="to_clinic",
            channel=line.channel,
            account_sid=line.account_sid,
            clinic=line.account.address,
            phone=phone,
            text=text,
            media=media,
            status="sending",
        )
        self.wake()
        self._go(self._to_clinic(message))
        return message

    def from_clinic(self, phone: str, line: Line, text: str, callback: str | None) -> Message:
        """A clinic sends a message to a person; what becomes of it is posted to `callback`."""
        message = self.store.add(
            now=_now(),
            direction="to_patient",
            channel=line.channel,
            account_sid=line.account_sid,
            clinic=line.account.address,
            phone=phone,
            text=text,
            status="queued",
            callback=callback,
        )
        self.wake()
        self._go(self._to_patient(message))
        return message

    def retry(self, message: Message) -> Message:
        """Send a person's message that the gateway did not take again, under the same id."""
        again = self._change(message, status="sending", error=None)
        self._go(self._to_clinic(again))
        return again

    def read(self, phone: str, channel: str) -> int:
        """The person has seen their WhatsApp thread: its delivered messages become read. SMS has no such word."""
        if channel != "whatsapp":
            return 0
        where = "phone = ? and channel = ? and direction = 'to_patient' and status = 'delivered'"
        seen = self.store.find(where, (phone, channel))
        for message in seen:
            self._go(self._report(self._change(message, status="read"), ["read"]))
        return len(seen)

    # Watching

    @contextlib.contextmanager
    def watching(self) -> Any:
        """An event that is set at every change."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    def wake(self) -> None:
        for event in self._watchers:
            event.set()

    # What becomes of a message

    async def _to_clinic(self, message: Message) -> None:
        # A person's messages reach the gateway one after the other, as they were typed.
        async with self._threads[message.phone, message.channel, message.clinic]:
            url = f"{self._gateway}/channels/{message.channel}/inbound"
            try:
                for _copy in range(1 + self.faults.duplicate_webhooks):
                    await self._post(url, self._inbound_form(message), message)
            except Undeliverable as error:
                self._change(message, status="failed", error=str(error))
            else:
                self._change(message, status="received", sent_at=_now())

    async def _to_patient(self, message: Message) -> None:
        states = ["queued", "sent", self.faults.ends or "delivered"]
        states = states[states.index(message.status) :] if message.status in states else [message.status]
        for state in states:
            await asyncio.sleep(STEP)
            if state != message.status:
                message = self._change(message, status=state, **self._details(state))
            if not self.faults.statuses_reversed:
                self._go(self._report(message, [state]))
        if self.faults.statuses_reversed:
            self._go(self._report(message, states[::-1]))

    def _details(self, state: str) -> dict[str, Any]:
        if state == "sent":
            return {"sent_at": _now()}
        if state == self.faults.ends:
            return {"error_code": self.faults.ends_code, "error": f"it never arrived ({self.faults.ends_code})"}
        return {}

    async def _report(self, message: Message, states: Sequence[str]) -> None:
        """Tell the clinic; a clinic that does not listen keeps nothing from arriving."""
        if not message.callback or self.faults.statuses_silent:
            return
        async with self._reports[message.sid]:
            for state in states:
                try:
                    await self._post(message.callback, self._status_form(message, state), message)
                except Undeliverable as error:
                    log.warning("status %s of %s was not taken: %s", state, message.sid, error)
            self._change(message, reported=message.status)

    async def _post(self, url: str, form: Mapping[str, str], message: Message) -> None:
        """POST as Twilio does: signed, again after a 5xx or no answer, never after another answer."""
        line = self.line(message.channel, message.clinic)
        if line is None:
            raise Undeliverable(f"no clinic has the number {message.clinic} any more")
        headers = {
            "X-Twilio-Signature": RequestValidator(line.auth_token).compute_signature(url, form),
            "I-Twilio-Idempotency-Token": f"{message.sid}-{form.get('MessageStatus') or form['SmsStatus']}",
        }
        assert self._session is not None
        waited, pause = 0.0, FIRST_RETRY
        while True:
            try:
                async with self._session.post(url, data=form, headers=headers) as answer:
                    if answer.status < 300:
                        return
                    problem = f"the gateway answered {answer.status}: {_said(await answer.text(errors='replace'))}"
                    final = answer.status < 500
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem, final = f"the gateway gave no answer ({type(error).__name__})", False
            if final or waited >= RETRY_FOR:
                raise Undeliverable(problem)
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(pause * 2, LAST_RETRY)

    def _inbound_form(self, message: Message) -> dict[str, str]:
        channel = message.channel
        form = {
            **self._common_form(message),
            "SmsMessageSid": message.sid,
            "SmsStatus": "received",
            "From": to_twilio(channel, message.phone),
            "To": to_twilio(channel, message.clinic),
            "Body": message.text,
            "NumSegments": str(segments(message.text)) if channel == "sms" else "1",
            "NumMedia": str(len(message.media)),
        }
        for number, media in enumerate(message.media):
            form[f"MediaUrl{number}"] = self.own_url + media_path(message, media)
            form[f"MediaContentType{number}"] = media.content_type
        if channel == "whatsapp":
            kind = message.media[0].content_type.split("/")[0] if message.media else "text"
            form |= {"WaId": message.phone.removeprefix("+"), "ProfileName": "Somebody", "MessageType": kind}
        return form

    def _status_form(self, message: Message, state: str) -> dict[str, str]:
        channel = message.channel
        form = {
            **self._common_form(message),
            "MessageStatus": state,
            "SmsStatus": state,
            "From": to_twilio(channel, message.clinic),
            "To": to_twilio(channel, message.phone),
        }
        if state in ("undelivered", "failed") and message.error_code:
            form["ErrorCode"] = str(message.error_code)
        if channel == "whatsapp":
            form["ChannelPrefix"] = "whatsapp"
        return form

    def _common_form(self, message: Message) -> dict[str, str]:
        return {
            "ApiVersion": "2010-04-01",
            "AccountSid": message.account_sid,
            "MessageSid": message.sid,
            "SmsSid": message.sid,
        }

    def _change(self, message: Message, **values: Any) -> Message:
        changed = self.store.change(message.sid, **values)
        self.wake()
        return changed

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def media_path(message: Message, media: Media) -> str:
    """Where the simulator serves an attachment."""
    return f"/2010-04-01/Accounts/{message.account_sid}/Messages/{message.sid}/Media/{media.sid}"


def _said(body: str) -> str:
    """The gateway's own words in an answer that is an error."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = body
    return str(answer.get("error", body) if isinstance(answer, dict) else body)[:200]


def _now() -> datetime:
    return datetime.now(UTC)
