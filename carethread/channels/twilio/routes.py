"""Twilio's webhooks on the gateway: checked, committed, and only then answered."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import structlog
from multidict import MultiDict
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import empty, json, raw
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse

from carethread.channels.twilio.accounts import PhoneChannel, check_accounts, credentials
from carethread.channels.twilio.receive import Refused, inbound_message, owner, parameters
from carethread.channels.twilio.status import delivery_update
from carethread.clinic import Account, Clinic, Clinics
from carethread.config import Settings
from carethread.messaging.intake import Intake
from carethread.storage.database import UNAVAILABLE

log = structlog.get_logger()

SIGNATURE = "X-Twilio-Signature"
# Twilio hangs up after 15 s. Giving up before that turns its silence into a retry.
COMMIT_TIMEOUT = 10.0  # seconds
RETRY_AFTER = 2  # seconds

_NOTHING_TO_SAY = str(MessagingResponse()).encode()
_OUT_OF_ORDER = (*UNAVAILABLE, TimeoutError)

Answer = Coroutine[Any, Any, HTTPResponse]
Handler = Callable[[Request, PhoneChannel], Answer]


def blueprint(intake: Intake, clinics: Clinics, settings: Settings, clock: Callable[[], datetime]) -> Blueprint:
    """The four webhooks. Raises `ConfigError` when an account could not be verified or answered."""
    check_accounts(clinics, settings)
    routes = Blueprint("twilio", url_prefix="/channels")

    def trusted(request: Request, channel: PhoneChannel, field: str) -> tuple[Clinic, Account, MultiDict[str]]:
        form = parameters(request.headers.get("content-type", ""), request.body)
        clinic, account = owner(clinics, channel, form, field)
        query = f"?{request.query_string}" if request.query_string else ""
        url = f"{settings.public_url.rstrip('/')}{request.path}{query}"
        validator = RequestValidator(credentials(account, settings).auth_token)
        if not validator.validate(url, form, request.headers.get(SIGNATURE, "")):
            raise Refused(403, f"{SIGNATURE} is missing or wrong; is CARETHREAD_PUBLIC_URL the address Twilio calls?")
        return clinic, account, form

    async def inbound(request: Request, channel: PhoneChannel) -> HTTPResponse:
        clinic, account, form = trusted(request, channel, "To")
        message = inbound_message(channel, account, form)
        async with asyncio.timeout(COMMIT_TIMEOUT):
            receipt = await intake.receive(clinic, message)
        log.info(
            "twilio_received",
            tenant=clinic.id,
            channel=channel,
            inbox=receipt.inbox_id,
            duplicate=receipt.duplicate,
            cut=message.event is not None,
        )
        return raw(_NOTHING_TO_SAY, content_type="text/xml")

    async def status(request: Request, channel: PhoneChannel) -> HTTPResponse:
        clinic, _account, form = trusted(request, channel, "From")
        query = parse_qs(request.query_string)
        update = delivery_update(form, query.get("outbox", [None])[0])
        if update is None:
            return empty()
        async with asyncio.timeout(COMMIT_TIMEOUT):
            known = await intake.delivered(clinic, update, now=clock())
        if not known:
            raise Refused(404, "no message of this clinic has this id")
        return empty()

    verbs: Mapping[str, Handler] = {"inbound": inbound, "status": status}
    channels: tuple[PhoneChannel, ...] = ("sms", "whatsapp")
    for channel in channels:
        for verb, handler in verbs.items():
            routes.add_route(_answering(handler, channel), f"/{channel}/{verb}", ["POST"], name=f"{channel}_{verb}")
    return routes


def _answering(handler: Handler, channel: PhoneChannel) -> Callable[[Request], Answer]:
    """Turn what can go wrong into what makes Twilio do right: a 4xx ends it, a 503 makes it come again."""

    async def answer(request: Request) -> HTTPResponse:
        try:
            return await handler(request, channel)
        except Refused as refusal:
            log.warning("twilio_refused", channel=channel, status=refusal.status, reason=refusal.reason)
            return json({"error": refusal.reason}, status=refusal.status)
        except _OUT_OF_ORDER as error:
            log.error("twilio_not_committed", channel=channel, error=type(error).__name__)
            return json(
                {"error": "the message could not be stored now; please send it again"},
                status=503,
                headers={"Retry-After": str(RETRY_AFTER)},
            )

    return answer
