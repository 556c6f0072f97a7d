"""The part of Twilio's REST API that the gateway uses: create, fetch and list messages; and their media."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import empty, json, raw

from carethread.channels.twilio.accounts import CHANNELS, PhoneChannel, from_twilio, to_twilio
from carethread.channels.twilio.encoding import segments
from sandbox.phones.network import Line, Network
from sandbox.phones.store import Message

VERSION = "2010-04-01"
LONGEST = 1_600  # characters of one message
PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000

# https://www.twilio.com/docs/api/errors
ERRORS: Mapping[int, tuple[int, str]] = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    21211: (400, "Invalid 'To' Phone Number"),
    21602: (400, "Message body is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' number is not a valid, message-capable number of this account"),
    21609: (400, "Invalid 'StatusCallback' URL"),
    21617: (400, f"The message body exceeds the {LONGEST} character limit"),
}


class ApiError(Exception):
    """An answer in Twilio's form for errors."""

    def __init__(self, code: int, status: int | None = None) -> None:
        self.code = code
        known_status, self.message = ERRORS.get(code, (status or 400, "The request failed"))
        self.status = status or known_status
        super().__init__(self.message)

    def response(self) -> HTTPResponse:
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        body = {"code": self.code, "message": self.message, "more_info": more, "status": self.status}
        return json(body, status=self.status)


def blueprint(network: Network) -> Blueprint:
    """`/2010-04-01/Accounts/…`, as api.twilio.com has it."""
    routes = Blueprint("rest", url_prefix=f"/{VERSION}/Accounts")

    @routes.exception(ApiError)  # type: ignore[untyped-decorator]
    async def failed(_request: Request, error: ApiError) -> HTTPResponse:
        return error.response()

    @routes.post("/<account_sid:str>/Messages.json", name="create")
    async def create(request: Request, account_sid: str) -> HTTPResponse:
        _authenticate(request, network, account_sid)
        faults = network.faults
        if faults.take("refuse"):
            raise ApiError(faults.refuse_code, faults.refuse_status)
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        line, phone = _accept(network, account_sid, form)
        message = network.from_clinic(phone, line, form["Body"], form.get("StatusCallback"))
        await asyncio.sleep(faults.delay)
        if faults.take("drop_after_accept"):
            request.transport.abort()  # type: ignore[attr-defined]
            return empty()
        return json(resource(message), status=201)

    @routes.get("/<account_sid:str>/Messages.json", name="list")
    async def listing(request: Request, account_sid: str) -> HTTPResponse:
        _authenticate(request, network, account_sid)
        return json(_page(network, account_sid, request))

    @routes.get("/<account_sid:str>/Messages/<name:str>", name="fetch")
    async def fetch(request: Request, account_sid: str, name: str) -> HTTPResponse:
        _authenticate(request, network, account_sid)
        message = network.store.get(name.removesuffix(".json"))
        if message is None or message.account_sid != account_sid:
            raise ApiError(20404)
        return json(resource(message))

    # Without a password, as Twilio serves media unless told otherwise.
    @routes.get("/<account_sid:str>/Messages/<sid:str>/Media/<media_sid:str>", name="media")
    async def media(_request: Request, account_sid: str, sid: str, media_sid: str) -> HTTPResponse:
        message = network.store.get(sid)
        found = next((item for item in message.media if item.sid == media_sid), None) if message else None
        if message is None or found is None or message.account_sid != account_sid:
            raise ApiError(20404)
        headers = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}
        return raw(network.store.media_bytes(found.sid), content_type=found.content_type, headers=headers)

    return routes


def resource(message: Message) -> dict[str, Any]:
    """A message as the API gives it."""
    clinic, phone = (to_twilio(message.channel, number) for number in (message.clinic, message.phone))
    inbound = message.direction == "to_clinic"
    uri = f"/{VERSION}/Accounts/{message.account_sid}/Messages/{message.sid}"
    return {
        "sid": message.sid,
        "account_sid": message.account_sid,
        "api_version": VERSION,
        "messaging_service_sid": None,
        "direction": "inbound" if inbound else "outbound-api",
        "from": phone if inbound else clinic,
        "to": clinic if inbound else phone,
        "body": message.text,
        "num_segments": str(segments(message.text)),
        "num_media": str(len(message.media)),
        "status": "received" if inbound else message.status,
        "error_code": message.error_code,
        "error_message": message.error if message.error_code else None,
        "price": None,
        "price_unit": "USD",
        "date_created": format_datetime(message.created_at),
        "date_updated": format_datetime(message.sent_at or message.created_at),
        "date_sent": format_datetime(message.sent_at) if message.sent_at else None,
        "uri": f"{uri}.json",
        "subresource_uris": {"media": f"{uri}/Media.json"},
    }


def _authenticate(request: Request, network: Network, account_sid: str) -> None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user, password = "", ""
    tokens = {line.auth_token for line in network.lines if line.account_sid == account_sid}
    right = any(hmac.compare_digest(password.encode(), token.encode()) for token in tokens)
    if scheme.lower() != "basic" or user != account_sid or not right:
        raise ApiError(20003)


def _accept(network: Network, account_sid: str, form: Mapping[str, str]) -> tuple[Line, str]:
    if not form.get("To"):
        raise ApiError(21604)
    channel: PhoneChannel = "whatsapp" if form["To"].startswith("whatsapp:") else "sms"
    phone = from_twilio(channel, form["To"])
    if phone is None:
        raise ApiError(21211)
    line = network.line(channel, from_twilio(channel, form.get("From", "")) or "")
    if line is None or line.account_sid != account_sid:
        raise ApiError(21606)
    body = form.get("Body", "")
    if not body.strip():
        raise ApiError(21602)
    if len(body) > LONGEST:
        raise ApiError(21617)
    if form.get("StatusCallback", "http://").split(":", 1)[0] not in ("http", "https"):
        raise ApiError(21609)
    return line, phone


def _page(network: Network, account_sid: str, request: Request) -> dict[str, Any]:
    args = dict(parse_qsl(request.query_string))
    where, values = ["account_sid = ?"], [account_sid]
    parties = {"To": ("phone", "clinic"), "From": ("clinic", "phone")}
    for name, (to_patient, to_clinic) in parties.items():
        if name in args:
            channel, number = _address(args[name])
            where.append(
                f"channel = ? and ((direction = 'to_patient' and {to_patient} = ?)"
                f" or (direction = 'to_clinic' and {to_clinic} = ?))"
            )
            values += [channel, number, number]
    for name, value in args.items():
        if name in _DATES:
            where.append(_DATES[name])
            values.append(_day(value, end=name == "DateSent<").isoformat())
            if name == "DateSent":
                values.append((_day(value) + timedelta(days=1)).isoformat())
    size = min(_count(args.get("PageSize", str(PAGE_SIZE))), MAX_PAGE_SIZE)
    page = _count(args.get("Page", "0"))
    found = network.store.find(" and ".join(where), values, order="id desc", limit=(page + 1) * size + 1)
    uri = f"/{VERSION}/Accounts/{account_sid}/Messages.json?"
    more = len(found) > (page + 1) * size
    return {
        "messages": [resource(message) for message in found[page * size : (page + 1) * size]],
        "page": page,
        "page_size": size,
        "start": page * size,
        "end": min(len(found), (page + 1) * size) - 1,
        "uri": uri + urlencode(args),
        "first_page_uri": uri + urlencode({**args, "Page": 0}),
        "previous_page_uri": uri + urlencode({**args, "Page": page - 1}) if page else None,
        "next_page_uri": uri + urlencode({**args, "Page": page + 1}) if more else None,
    }


# A message without a date of sending matches none of these, as at Twilio.
_DATES = {
    "DateSent": "sent_at >= ? and sent_at < ?",
    "DateSent>": "sent_at >= ?",
    "DateSent<": "sent_at < ?",
}


def _day(value: str, *, end: bool = False) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ApiError(20001, 400) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment + timedelta(days=1) if end and len(value) == len("2026-01-31") else moment


def _count(value: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 6:
        raise ApiError(20001, 400)
    return int(value)


def _address(raw_address: str) -> tuple[str, str]:
    for channel in reversed(CHANNELS):
        number = from_twilio(channel, raw_address)
        if number is not None:
            return channel, number
    raise ApiError(21211)
