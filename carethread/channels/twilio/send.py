"""The verb send: an `OutboundMessage` to Twilio's REST API, and what its errors mean for the next attempt."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select
from twilio.base.exceptions import TwilioException
from twilio.rest import Client

from carethread.channels.twilio.accounts import (
    CHANNELS,
    TWILIO_HOST,
    Credentials,
    PhoneChannel,
    check_accounts,
    credentials,
    to_twilio,
)
from carethread.channels.twilio.transport import MAYBE_SENT, NOT_SENT, Transport
from carethread.clinic import Clinics
from carethread.config import Settings
from carethread.messaging.types import OutboundMessage, SendFailed, Sent
from carethread.storage.database import Database
from carethread.storage.models import Outbox

# How far back a send of unknown outcome is looked for, and among how many messages to that address.
LOOKBACK = timedelta(days=3)
LOOKUP_LIMIT = 200
# What Twilio puts before the texts of a trial account.
TRIAL_PREFIX = "Sent from your Twilio trial account - "

# https://www.twilio.com/docs/api/errors — why a message can never arrive, in our words: Twilio's hold the number.
PERMANENT: Mapping[int, str] = {
    21211: "the number is not a valid phone number",
    21214: "the number cannot be reached",
    21408: "the account may not send to this country",
    21602: "the message has no text",
    21606: "the sending number is not one of the account's, or cannot send",
    21610: "the patient has opted out with the provider",
    21612: "the number cannot be reached from the sending number",
    21614: "the number is not a mobile phone",
    21617: "the text is longer than 1,600 characters",
    63003: "the number has no WhatsApp account",
    63016: "WhatsApp takes only templates more than 24 hours after the patient's last message",
}
# 4xx answers that are not the message's fault, and pass or get mended.
TRANSIENT: Mapping[int, str] = {
    20003: "the credentials were refused; check account_sid and the variable in auth_token_env",
    20404: "the account was not found; check account_sid",
    20429: "too many requests",
    21611: "the sending number's queue is full",
    63018: "the channel's rate limit was reached",
}
# Statuses that say the request was not worked on. Any other 5xx may hide a message that was taken.
NOT_TAKEN = frozenset({429, 503})
ACCOUNT_TROUBLE = frozenset({401, 403, 404})

Clock = Callable[[], datetime]
# Which of these provider ids belong to other rows of the outbox.
Claimed = Callable[[OutboundMessage, Sequence[str]], Awaitable[Collection[str]]]


def claimed_in(database: Database) -> Claimed:
    """`Claimed` from the ledger."""

    async def claimed(message: OutboundMessage, provider_ids: Sequence[str]) -> Collection[str]:
        async with database.begin(message.tenant) as session:
            rows = await session.scalars(
                select(Outbox.provider_id).where(Outbox.provider_id.in_(provider_ids), Outbox.id != message.outbox_id)
            )
            return {row for row in rows if row}

    return claimed


class TwilioChannel:
    """Implements `messaging.types.Channels` for accounts of the channels sms and whatsapp."""

    def __init__(
        self,
        clinics: Clinics,
        settings: Settings,
        clock: Clock,
        claimed: Claimed,
        *,
        transport: Transport | None = None,
    ) -> None:
        check_accounts(clinics, settings)
        self._settings = settings
        self._clock = clock
        self._claimed = claimed
        self._transport = transport or Transport(settings.twilio_api_url)

    async def send(self, message: OutboundMessage) -> Sent:
        """Hand `message` to Twilio, which reports on it to our status webhook; raises `SendFailed`."""
        client, channel = self._client(message)
        try:
            created = await client.messages.create_async(
                to=to_twilio(channel, message.address),
                from_=to_twilio(channel, message.account.address),
                body=message.text,
                status_callback=self._status_callback(channel, message.outbox_id),
            )
        except TwilioException as error:
            raise failure(getattr(error, "status", None), getattr(error, "code", None)) from None
        except NOT_SENT as error:
            raise SendFailed(f"twilio cannot be reached ({type(error).__name__})") from error
        except (*MAYBE_SENT, ValueError) as error:
            raise SendFailed(f"no answer from twilio ({type(error).__name__})", unknown=True) from error
        if not created.sid:
            raise SendFailed("twilio's answer names no message", unknown=True)
        return Sent(str(created.sid))

    async def lookup(self, message: OutboundMessage) -> Sent | None:
        """Whether a send of unknown outcome reached Twilio: the newest message from this account to this address
        with this text, in the last `LOOKBACK`, that no other row of the outbox owns.

        Twilio's list may lag some seconds behind, so ask no sooner than that. Raises `SendFailed` (unknown) when
        Twilio cannot say.
        """
        client, channel = self._client(message)
        try:
            # Not narrowed by DateSent: a message still queued has none.
            listed = await client.messages.list_async(
                to=to_twilio(channel, message.address),
                from_=to_twilio(channel, message.account.address),
                limit=LOOKUP_LIMIT,
                page_size=LOOKUP_LIMIT,
            )
        except (TwilioException, *NOT_SENT, *MAYBE_SENT, ValueError) as error:
            raise SendFailed(f"twilio could not look it up ({type(error).__name__})", unknown=True) from None
        found = matching(listed, message.text, since=self._clock() - LOOKBACK)
        taken = await self._claimed(message, found) if found else ()
        return next((Sent(sid) for sid in found if sid not in taken), None)

    async def close(self) -> None:
        """Give the connections back."""
        await self._transport.close()

    def _client(self, message: OutboundMessage) -> tuple[Any, PhoneChannel]:
        account = message.account
        if account.channel not in CHANNELS:
            raise SendFailed(f"twilio does not serve the channel {account.channel}", permanent=True)
        who = credentials(account, self._settings)
        self._refuse_demo_on_the_internet(who, account.auth_token_env)
        client = Client(who.account_sid, who.auth_token, http_client=self._transport)
        return client, account.channel

    def _refuse_demo_on_the_internet(self, who: Credentials, variable: str | None) -> None:
        if who.demo and urlsplit(self._settings.twilio_api_url).hostname == TWILIO_HOST:
            raise SendFailed(
                f"{variable or 'auth_token_env'} is not set, so Twilio would refuse the message; set it, or set"
                " CARETHREAD_TWILIO_API_URL to the phone simulator's address"
            )

    def _status_callback(self, channel: PhoneChannel, outbox_id: int) -> str:
        return f"{self._settings.public_url.rstrip('/')}/channels/{channel}/status?outbox={outbox_id}"


def matching(listed: Sequence[Any], text: str, *, since: datetime) -> list[str]:
    """Ids of the listed messages that say `text` and are no older than `since`, newest first."""
    wanted = (_plain(text), _plain(TRIAL_PREFIX + text))
    found = [
        message
        for message in listed
        if message.sid
        and message.date_created
        and message.date_created >= since
        and _plain(message.body or "") in wanted
    ]
    found.sort(key=lambda message: message.date_created, reverse=True)
    return [str(message.sid) for message in found]


def failure(status: int | None, code: int | None) -> SendFailed:
    """What an error answer of Twilio's means for the next attempt."""
    if code is not None and code in PERMANENT:
        return SendFailed(f"twilio {code}: {PERMANENT[code]}", permanent=True)
    if code is not None and code in TRANSIENT:
        return SendFailed(f"twilio {code}: {TRANSIENT[code]}")
    reason = f"twilio {code or 'error'} (HTTP {status}); see https://www.twilio.com/docs/api/errors"
    if status is None or (status >= 500 and status not in NOT_TAKEN):
        return SendFailed(reason, unknown=True)
    permanent = 400 <= status < 500 and status not in NOT_TAKEN and status not in ACCOUNT_TROUBLE
    return SendFailed(reason, permanent=permanent)


def _plain(text: str) -> str:
    return " ".join(text.split())
