"""SMS and WhatsApp through Twilio: request in → message out, message in → request out, and what is refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sanic import Sanic
from sqlalchemy.exc import OperationalError
from twilio.http.response import Response
from twilio.request_validator import RequestValidator

from carethread.channels.twilio import TwilioChannel, blueprint, check_accounts, segments
from carethread.channels.twilio.accounts import credentials, demo_token, from_twilio, to_twilio
from carethread.channels.twilio.receive import Refused, inbound_message, parameters
from carethread.channels.twilio.send import LOOKBACK, failure
from carethread.channels.twilio.status import delivery_update
from carethread.clinic import Account, Clinic, Clinics, ConfigError
from carethread.config import Settings
from carethread.messaging.types import (
    MAX_TEXT,
    DeliveryUpdate,
    InboundMessage,
    OutboundMessage,
    Receipt,
    SendFailed,
    Sent,
)

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
PUBLIC = "https://messages.example.org/care"
API = "http://127.0.0.1:8091"
ACCOUNT_SID = "AC" + "1" * 32
SID = "SM" + "a" * 32
PATIENT = "+13125550101"
SMS = Account(channel="sms", address="+13125550150", account_sid=ACCOUNT_SID, auth_token_env="RIVER_TOKEN")
WHATSAPP = Account(channel="whatsapp", address="+13125550151", account_sid=ACCOUNT_SID, auth_token_env="RIVER_TOKEN")


MINUTES = dict.fromkeys(("emergency", "urgent", "soon", "routine"), 5)


def clinic(*accounts: Account, name: str = "river") -> Clinic:
    return Clinic(
        id=name,
        name="River Clinic",
        timezone="America/Chicago",
        phone="+1 312 555 0100",
        ehr_url="http://127.0.0.1:1/fhir",
        accounts=accounts,
        teams={"desk": {"name": "Desk", "minutes": MINUTES}},  # type: ignore[dict-item]
        routing={"default": "desk"},
    )


CLINICS = Clinics(river=clinic(SMS, WHATSAPP))


def settings(**values: Any) -> Settings:
    return Settings(**{"env": "test", "public_url": PUBLIC, "twilio_api_url": API, **values})


def sms(**values: str) -> dict[str, str]:
    form = {"MessageSid": SID, "AccountSid": ACCOUNT_SID, "From": PATIENT, "To": SMS.address, "Body": "Hello"}
    return {**form, "NumMedia": "0", **values}


def whatsapp(**values: str) -> dict[str, str]:
    parties = {"From": f"whatsapp:{PATIENT}", "To": f"whatsapp:{WHATSAPP.address}"}
    return sms(**{**parties, "ProfileName": "M", "WaId": "13125550101", **values})


def message(**values: Any) -> InboundMessage:
    common = {"channel": "sms", "account": SMS.address, "address": PATIENT, "provider_id": SID, "text": "Hello"}
    return InboundMessage(**{**common, **values})


def attachment(number: int, content_type: str = "image/jpeg") -> dict[str, str]:
    return {"type": "attachment", "url": f"https://api.example.org/{number}", "content_type": content_type}


PICTURE = {"NumMedia": "1", "MediaUrl0": "https://api.example.org/0", "MediaContentType0": "image/jpeg"}
HOME = {"type": "location", "latitude": "41.88", "longitude": "-87.63", "label": "Home", "address": ""}
WA = {"channel": "whatsapp", "account": WHATSAPP.address}

RECEIVED: list[tuple[str, dict[str, str], InboundMessage]] = [
    ("a text", sms(), message()),
    ("an empty text", sms(Body=""), message(text="")),
    ("no text at all", {k: v for k, v in sms().items() if k != "Body"}, message(text="")),
    ("an emoji only", sms(Body="👍🏽"), message(text="👍🏽")),
    ("Spanish", sms(Body="¿Cuándo es mi cita? Mañana, ¿no?"), message(text="¿Cuándo es mi cita? Mañana, ¿no?")),
    ("right to left", sms(Body="متى موعدي؟"), message(text="متى موعدي؟")),
    ("a number with separators", sms(From="+1 (312) 555-0101"), message()),
    ("the old name of the id", {**{k: v for k, v in sms().items() if k != "MessageSid"}, "SmsSid": SID}, message()),
    ("a picture alone", sms(Body="", **PICTURE), message(text="", kind="media", media=(attachment(0),))),
    ("a picture with words", sms(Body="my foot", **PICTURE), message(text="my foot", media=(attachment(0),))),
    ("an attachment without its address", sms(Body="", NumMedia="1"),
     message(text="", kind="media", media=({"type": "attachment", "url": "", "content_type": ""},))),
    ("no more than ten attachments", sms(Body="x", NumMedia="999"),
     message(text="x", media=({"type": "attachment", "url": "", "content_type": ""},) * 10)),
    ("a control character in an address of media", sms(Body="", NumMedia="1", MediaUrl0="https://a\x00b"),
     message(text="", kind="media", media=({"type": "attachment", "url": "https://ab", "content_type": ""},))),
    ("as long as the ledger keeps", sms(Body="x" * MAX_TEXT), message(text="x" * MAX_TEXT)),
    ("longer than the ledger keeps", sms(Body="x" * (MAX_TEXT + 7)),
     message(text="x" * MAX_TEXT, event={"cut_from": MAX_TEXT + 7})),
    ("WhatsApp", whatsapp(), message(**WA)),
    ("a WhatsApp button", whatsapp(Body="Yes, I will come", ButtonText="Yes, I will come", ButtonPayload="/affirm"),
     message(**WA, text="/affirm")),
    ("a WhatsApp list entry", whatsapp(Body="Tuesday 10 am", ListTitle="Tuesday 10 am", ListId="2"),
     message(**WA, text="2")),
    ("a WhatsApp location", whatsapp(Body="", Latitude="41.88", Longitude="-87.63", Label="Home"),
     message(**WA, text="", kind="media", media=(HOME,))),
]  # fmt: skip


@pytest.mark.parametrize(("_name", "form", "expected"), RECEIVED, ids=[name for name, _, _ in RECEIVED])
def test_a_request_becomes_a_message(_name: str, form: dict[str, str], expected: InboundMessage) -> None:
    account = WHATSAPP if expected.channel == "whatsapp" else SMS
    parsed = parameters("application/x-www-form-urlencoded", urlencode(form).encode())
    assert inbound_message(expected.channel, account, parsed) == expected  # type: ignore[arg-type]


STATUSES: list[tuple[dict[str, str], str | None, DeliveryUpdate | None]] = [
    ({"MessageStatus": "accepted"}, "7", DeliveryUpdate("sent", 7, SID)),
    ({"MessageStatus": "queued"}, "7", DeliveryUpdate("sent", 7, SID)),
    ({"MessageStatus": "sent"}, "7", DeliveryUpdate("sent", 7, SID)),
    ({"SmsStatus": "sent"}, "7", DeliveryUpdate("sent", 7, SID)),
    ({"MessageStatus": "delivered"}, "7", DeliveryUpdate("delivered", 7, SID)),
    ({"MessageStatus": "read"}, None, DeliveryUpdate("read", None, SID)),
    ({"MessageStatus": "undelivered", "ErrorCode": "30003"}, "7", DeliveryUpdate("failed", 7, SID, "twilio 30003")),
    ({"MessageStatus": "failed"}, "7", DeliveryUpdate("failed", 7, SID, "twilio failed")),
    ({"MessageStatus": "failed", "ErrorCode": "+1 312"}, "7", DeliveryUpdate("failed", 7, SID, "twilio failed")),
    ({"MessageStatus": "canceled"}, "7", DeliveryUpdate("failed", 7, SID, "twilio canceled")),
    ({"MessageStatus": "partially_delivered"}, "7", None),
]


@pytest.mark.parametrize(("form", "outbox", "expected"), STATUSES)
def test_a_status_becomes_an_update(form: dict[str, str], outbox: str | None, expected: DeliveryUpdate | None) -> None:
    assert delivery_update({"MessageSid": SID, **form}, outbox) == expected


@pytest.mark.parametrize("outbox", ["", "0", "-1", "x", "1e3", "²", "9223372036854775808", "9" * 40])
def test_a_status_about_an_impossible_row_is_refused(outbox: str) -> None:
    with pytest.raises(Refused, match="outbox") as refused:
        delivery_update({"MessageSid": SID, "MessageStatus": "sent"}, outbox)
    assert refused.value.status == 400


# The webhooks on a gateway, with a ledger that only notes what reaches it.


class Ledger:
    def __init__(self, failing: Exception | None = None, *, known: bool = True) -> None:
        self.received: list[tuple[str, InboundMessage]] = []
        self.updates: list[tuple[str, DeliveryUpdate, datetime]] = []
        self._failing = failing
        self._known = known

    async def receive(self, owner: Clinic, received: InboundMessage) -> Receipt:
        if self._failing:
            raise self._failing
        self.received.append((owner.id, received))
        return Receipt(1, uuid.uuid4(), duplicate=False)

    async def delivered(self, owner: Clinic, update: DeliveryUpdate, *, now: datetime) -> bool:
        if self._failing:
            raise self._failing
        self.updates.append((owner.id, update, now))
        return self._known


def gateway(ledger: Ledger, **values: Any) -> Sanic[Any, Any]:
    app: Sanic[Any, Any] = Sanic(f"test-{uuid.uuid4().hex}", configure_logging=False)
    app.config.AUTO_EXTEND = False
    app.config.FALLBACK_ERROR_FORMAT = "json"
    app.blueprint(blueprint(ledger, CLINICS, settings(**values), lambda: NOW))  # type: ignore[arg-type]
    return app


async def post(
    ledger: Ledger,
    path: str,
    form: Mapping[str, str] | bytes,
    *,
    signature: str | None = None,
    token: str = demo_token(ACCOUNT_SID),
    content_type: str = "application/x-www-form-urlencoded; charset=UTF-8",
) -> Any:
    """POST as Twilio would; signed rightly unless told otherwise."""
    signed = "" if isinstance(form, bytes) else RequestValidator(token).compute_signature(PUBLIC + path, form)
    body = form if isinstance(form, bytes) else urlencode(form).encode()
    header = signed if signature is None else signature
    headers = {b"content-type": content_type.encode(), b"x-twilio-signature": header.encode("latin-1")}
    _request, response = await gateway(ledger).asgi_client.post(path, content=body, headers=headers)
    return response


async def test_a_message_is_answered_with_nothing_to_say_once_it_is_kept() -> None:
    ledger = Ledger()
    response = await post(ledger, "/channels/sms/inbound", sms())
    assert (response.status, response.headers["content-type"]) == (200, "text/xml")
    assert response.text == '<?xml version="1.0" encoding="UTF-8"?><Response />'
    assert ledger.received == [("river", message())]


async def test_whatsapp_has_its_own_address_and_prefix() -> None:
    ledger = Ledger()
    assert (await post(ledger, "/channels/whatsapp/inbound", whatsapp())).status == 200
    assert ledger.received == [("river", message(**WA))]


async def test_the_row_in_the_callback_is_covered_by_the_signature() -> None:
    ledger = Ledger()
    form = sms(From=SMS.address, To=PATIENT, MessageStatus="delivered")
    path = "/channels/sms/status?outbox=42"
    assert (await post(ledger, path, form)).status == 204
    assert ledger.updates == [("river", DeliveryUpdate("delivered", 42, SID), NOW)]
    right = RequestValidator(demo_token(ACCOUNT_SID)).compute_signature(PUBLIC + path, form)
    forged = await post(ledger, "/channels/sms/status?outbox=43", form, signature=right)
    assert forged.status == 403
    assert len(ledger.updates) == 1


async def test_a_status_of_an_unknown_message_is_not_found() -> None:
    form = sms(From=SMS.address, To=PATIENT, MessageStatus="sent")
    assert (await post(Ledger(known=False), "/channels/sms/status?outbox=1", form)).status == 404


async def test_a_status_of_no_interest_is_taken_and_dropped() -> None:
    ledger = Ledger()
    form = sms(From=SMS.address, To=PATIENT, MessageStatus="something-new")
    assert (await post(ledger, "/channels/sms/status?outbox=1", form)).status == 204
    assert ledger.updates == []


def without(form: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in form.items() if key != name}


INBOUND = "/channels/sms/inbound"
REFUSED: list[tuple[str, str, dict[str, str], int, str]] = [
    ("no id", INBOUND, without(sms(), "MessageSid"), 400, "MessageSid"),
    ("an id of another form", INBOUND, sms(MessageSid="SM1\x00"), 400, "MessageSid"),
    ("no sender", INBOUND, without(sms(), "From"), 400, "From"),
    ("a short code", INBOUND, sms(From="32665"), 400, "From"),
    ("a name for a sender", INBOUND, sms(From="RIVERBEND"), 400, "From"),
    ("a sender without its country", INBOUND, sms(From="3125550101"), 400, "From"),
    ("too many digits", INBOUND, sms(From="+1234567890123456"), 400, "From"),
    ("WhatsApp's prefix on SMS", INBOUND, sms(From=f"whatsapp:{PATIENT}"), 400, "From"),
    ("no prefix on WhatsApp", "/channels/whatsapp/inbound", whatsapp(From=PATIENT), 400, "From"),
    ("no recipient", INBOUND, without(sms(), "To"), 400, "To"),
    ("no account", INBOUND, without(sms(), "AccountSid"), 400, "AccountSid"),
    ("a count that is none", INBOUND, sms(NumMedia="many"), 400, "NumMedia"),
    ("a negative count", INBOUND, sms(NumMedia="-1"), 400, "NumMedia"),
    ("nobody's number", INBOUND, sms(To="+13125550199"), 404, "To"),
    ("a patient's words as a number", INBOUND, sms(To="nonsense"), 404, "To"),
    ("another Twilio account", INBOUND, sms(AccountSid="AC" + "9" * 32), 404, "AccountSid"),
    ("the WhatsApp number by SMS", INBOUND, sms(To=WHATSAPP.address), 404, "To"),
    ("a status without a status", "/channels/sms/status?outbox=1", sms(From=SMS.address, To=PATIENT), 400, "MessageSt"),
    ("a status of nobody's message", "/channels/sms/status?outbox=1", sms(MessageStatus="sent"), 404, "From"),
]


@pytest.mark.parametrize(("_name", "path", "form", "status", "names"), REFUSED, ids=[case[0] for case in REFUSED])
async def test_a_malformed_request_is_refused_with_its_reason(
    _name: str, path: str, form: dict[str, str], status: int, names: str
) -> None:
    ledger = Ledger()
    response = await post(ledger, path, form)
    assert response.status == status
    assert names in response.json["error"]
    assert PATIENT not in response.text
    assert ledger.received == []
    assert ledger.updates == []


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"Body": "x"}'),
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"\xff\xfe&=&%"),
        ("application/x-www-form-urlencoded", b"a=1&" * 500),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("", b"To=1"),
    ],
)
async def test_a_body_that_is_no_form_is_refused(content_type: str, body: bytes) -> None:
    response = await post(Ledger(), INBOUND, body, content_type=content_type)
    assert response.status == 400
    assert response.json["error"]


RIGHT = RequestValidator(demo_token(ACCOUNT_SID)).compute_signature(PUBLIC + INBOUND, sms())


@pytest.mark.parametrize(
    ("signature", "form"),
    [
        ("", sms()),
        ("nonsense", sms()),
        ("ñandú ✗".encode().decode("latin-1"), sms()),
        (RIGHT[:-2], sms()),
        (RIGHT, sms(Body="Hello!")),
        (RIGHT, sms(From="+13125550102")),
        (RIGHT, {**sms(), "Extra": "1"}),
        (RIGHT, without(sms(), "NumMedia")),
        (RequestValidator("another token").compute_signature(PUBLIC + INBOUND, sms()), sms()),
        (RequestValidator(demo_token(ACCOUNT_SID)).compute_signature("https://evil.example" + INBOUND, sms()), sms()),
        (RequestValidator(demo_token("AC" + "2" * 32)).compute_signature(PUBLIC + INBOUND, sms()), sms()),
    ],
)
async def test_a_wrong_signature_is_refused(signature: str, form: dict[str, str]) -> None:
    ledger = Ledger()
    response = await post(ledger, INBOUND, form, signature=signature)
    assert response.status == 403
    assert "CARETHREAD_PUBLIC_URL" in response.json["error"]
    assert ledger.received == []


async def test_a_malformed_request_without_a_signature_learns_nothing_more() -> None:
    assert (await post(Ledger(), INBOUND, without(sms(), "MessageSid"), signature="")).status == 403


async def test_a_signature_made_with_the_port_in_the_address_holds() -> None:
    # Twilio's own libraries accept both forms, because its servers do not agree with each other.
    with_port = PUBLIC.replace("example.org", "example.org:443") + INBOUND
    signature = RequestValidator(demo_token(ACCOUNT_SID)).compute_signature(with_port, sms())
    assert (await post(Ledger(), INBOUND, sms(), signature=signature)).status == 200


async def test_the_token_in_the_environment_takes_the_place_of_the_demo_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIVER_TOKEN", "a" * 32)
    assert (await post(Ledger(), INBOUND, sms(), token="a" * 32)).status == 200
    assert (await post(Ledger(), INBOUND, sms())).status == 403


@pytest.mark.parametrize(
    "failing",
    [OperationalError("x", {}, Exception()), ConnectionRefusedError(), TimeoutError()],
    ids=["database error", "no connection", "too slow"],
)
@pytest.mark.parametrize("verb", ["inbound", "status?outbox=1"])
async def test_a_database_that_is_down_makes_twilio_come_again(failing: Exception, verb: str) -> None:
    form = sms() if verb == "inbound" else sms(From=SMS.address, To=PATIENT, MessageStatus="sent")
    response = await post(Ledger(failing), f"/channels/sms/{verb}", form)
    assert response.status == 503
    assert int(response.headers["retry-after"]) > 0


async def test_only_post_is_taken() -> None:
    _request, response = await gateway(Ledger()).asgi_client.get(INBOUND)
    assert response.status == 405


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(st.dictionaries(st.text("ABCDEFabcdef09", min_size=1, max_size=8), TEXTS, max_size=6))
def test_any_text_survives_the_way_with_its_signature(form: dict[str, str]) -> None:
    parsed = parameters("application/x-www-form-urlencoded", urlencode(form).encode())
    validator = RequestValidator("token")
    assert dict(parsed) == form
    assert validator.validate(PUBLIC, parsed, validator.compute_signature(PUBLIC, form))


# Sending: message in → request out, and what an answer means.


class Wire:
    """In the place of HTTP: notes requests, and answers or fails as told."""

    is_async = True

    def __init__(self, answer: tuple[int, Any] | Exception) -> None:
        self.requests: list[dict[str, Any]] = []
        self._answer = answer

    async def request(self, method: str, url: str, **values: Any) -> Response:
        self.requests.append({"method": method, "url": url, **values})
        if isinstance(self._answer, Exception):
            raise self._answer
        status, body = self._answer
        return Response(status, body if isinstance(body, str) else json.dumps(body))

    async def close(self) -> None:
        return None


def outbound(text: str = "Hello", account: Account = SMS, outbox_id: int = 42) -> OutboundMessage:
    return OutboundMessage(outbox_id, "river", uuid.uuid4(), account, PATIENT, text, "en")


def channel(wire: Wire, claimed: Collection[str] = (), **values: Any) -> TwilioChannel:
    async def by_others(_message: OutboundMessage, _ids: Sequence[str]) -> Collection[str]:
        return claimed

    return TwilioChannel(CLINICS, settings(**values), lambda: NOW, by_others, transport=wire)  # type: ignore[arg-type]


SENT: list[tuple[OutboundMessage, dict[str, str]]] = [
    (
        outbound("Su cita es mañana 🙂\n1. Sí\n2. No"),
        {
            "To": PATIENT,
            "From": SMS.address,
            "Body": "Su cita es mañana 🙂\n1. Sí\n2. No",
            "StatusCallback": f"{PUBLIC}/channels/sms/status?outbox=42",
        },
    ),
    (
        outbound("Hello", WHATSAPP, outbox_id=43),
        {
            "To": f"whatsapp:{PATIENT}",
            "From": f"whatsapp:{WHATSAPP.address}",
            "Body": "Hello",
            "StatusCallback": f"{PUBLIC}/channels/whatsapp/status?outbox=43",
        },
    ),
]


@pytest.mark.parametrize(("sending", "data"), SENT, ids=["sms", "whatsapp"])
async def test_a_message_becomes_a_request(sending: OutboundMessage, data: dict[str, str]) -> None:
    wire = Wire((201, {"sid": SID, "status": "queued"}))
    assert await channel(wire).send(sending) == Sent(SID)
    (request,) = wire.requests
    assert (request["method"], request["data"]) == ("POST", data)
    assert request["url"] == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    assert request["auth"] == (ACCOUNT_SID, demo_token(ACCOUNT_SID))


def error(code: int, status: int) -> tuple[int, dict[str, Any]]:
    return status, {"code": code, "status": status, "message": f"The 'To' number {PATIENT} is not valid"}


CONNECTION = aiohttp.ClientConnectorError(None, ConnectionRefusedError())  # type: ignore[arg-type]
FAILURES: list[tuple[str, tuple[int, Any] | Exception, str]] = [
    ("opted out", error(21610, 400), "permanent"),
    ("invalid number", error(21211, 400), "permanent"),
    ("an unlisted refusal", error(29999, 400), "permanent"),
    ("WhatsApp's window is closed", error(63016, 400), "permanent"),
    ("too many requests", error(20429, 429), "transient"),
    ("too many requests, no body", (429, "slow down"), "transient"),
    ("the sender's queue is full", error(21611, 400), "transient"),
    ("wrong credentials", error(20003, 401), "transient"),
    ("an account suspended", error(20005, 403), "transient"),
    ("service unavailable", (503, "<html>"), "transient"),
    ("nobody listens", CONNECTION, "transient"),
    ("no connection in time", aiohttp.ConnectionTimeoutError(), "transient"),
    ("an error inside Twilio", error(20500, 500), "unknown"),
    ("a gateway before Twilio gave up", (504, ""), "unknown"),
    ("no answer in time", TimeoutError(), "unknown"),
    ("hung up", aiohttp.ServerDisconnectedError(), "unknown"),
    ("connection reset", aiohttp.ClientOSError(), "unknown"),
    ("half an answer", (201, '{"sid": "SM'), "unknown"),
    ("an answer about nothing", (201, {}), "unknown"),
]


@pytest.mark.parametrize(("_name", "answer", "kind"), FAILURES, ids=[name for name, _, _ in FAILURES])
async def test_an_error_says_whether_to_try_again(_name: str, answer: Any, kind: str) -> None:
    with pytest.raises(SendFailed) as failed:
        await channel(Wire(answer)).send(outbound())
    flags = {"permanent": (True, False), "transient": (False, False), "unknown": (False, True)}
    assert (failed.value.permanent, failed.value.unknown) == flags[kind]
    assert PATIENT not in failed.value.reason
    assert "Hello" not in failed.value.reason


async def test_a_demo_token_is_never_shown_to_the_real_twilio() -> None:
    wire = Wire((201, {"sid": SID}))
    with pytest.raises(SendFailed, match="RIVER_TOKEN is not set") as failed:
        await channel(wire, twilio_api_url="https://api.twilio.com").send(outbound())
    assert not failed.value.permanent
    assert wire.requests == []


async def test_the_web_is_not_twilios() -> None:
    web = Account(channel="web", address="river-web")
    with pytest.raises(SendFailed, match="web") as failed:
        await channel(Wire((201, {}))).send(outbound(account=web))
    assert failed.value.permanent


def listed(sid: str, body: str, age: timedelta = timedelta(minutes=1)) -> dict[str, Any]:
    return {"sid": sid, "body": body, "date_created": format_datetime(NOW - age), "direction": "outbound-api"}


def page(*messages: dict[str, Any]) -> tuple[int, Any]:
    return 200, {"messages": list(messages), "page": 0, "page_size": 50, "next_page_uri": None}


FOUND: list[tuple[str, list[dict[str, Any]], list[str], str | None]] = [
    ("nothing was sent", [], [], None),
    ("it arrived", [listed("SM1", "Hello")], [], "SM1"),
    ("another text", [listed("SM1", "Hello there"), listed("SM2", "Say: Hello")], [], None),
    ("its white space was changed", [listed("SM1", "Hello\r\n")], [], "SM1"),
    ("from a trial account", [listed("SM1", "Sent from your Twilio trial account - Hello")], [], "SM1"),
    ("the same text before, for another row", [listed("SM1", "Hello")], ["SM1"], None),
    ("again after another row's", [listed("SM2", "Hello"), listed("SM1", "Hello", timedelta(days=1))], ["SM1"], "SM2"),
    ("too long ago to be this one", [listed("SM1", "Hello", LOOKBACK + timedelta(minutes=1))], [], None),
    ("twice: the newest", [listed("SM1", "Hello", timedelta(hours=1)), listed("SM2", "Hello")], [], "SM2"),
]


@pytest.mark.parametrize(("_name", "messages", "claimed", "found"), FOUND, ids=[name for name, *_ in FOUND])
async def test_a_send_of_unknown_outcome_is_looked_up(
    _name: str, messages: list[dict[str, Any]], claimed: list[str], found: str | None
) -> None:
    wire = Wire(page(*messages))
    assert await channel(wire, claimed).lookup(outbound("Hello", WHATSAPP)) == (Sent(found) if found else None)
    (request,) = wire.requests
    assert request["method"] == "GET"
    assert request["params"]["To"] == f"whatsapp:{PATIENT}"
    assert request["params"]["From"] == f"whatsapp:{WHATSAPP.address}"


@pytest.mark.parametrize("answer", [CONNECTION, TimeoutError(), error(20003, 401), (500, ""), (200, "<html>")])
async def test_a_lookup_that_fails_leaves_the_outcome_unknown(answer: Any) -> None:
    with pytest.raises(SendFailed) as failed:
        await channel(Wire(answer)).lookup(outbound())
    assert failed.value.unknown
    assert not failed.value.permanent


def test_an_error_without_status_or_code_stays_unknown() -> None:
    assert failure(None, None).unknown


# Accounts


@pytest.mark.parametrize(
    ("account", "environ", "complaint"),
    [
        (SMS.model_copy(update={"account_sid": None}), {}, "has no account_sid"),
        (SMS.model_copy(update={"address": "312 555 0150"}), {}, "not a phone number in E.164"),
        (SMS, {}, "RIVER_TOKEN is not set"),
        (SMS, {"RIVER_TOKEN": ""}, "RIVER_TOKEN is not set"),
        (SMS.model_copy(update={"auth_token_env": None}), {}, "has no auth_token_env"),
    ],
)
def test_an_account_that_cannot_work_is_refused_at_start(
    account: Account, environ: dict[str, str], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        check_accounts(Clinics(river=clinic(account)), production(), environ)
    assert str(refused.value).startswith(str(Path("/etc/clinics/river/clinic.yml")))


def production(**values: Any) -> Settings:
    return settings(
        env="production",
        clinics_dir="/etc/clinics",
        database_url="postgresql://x",
        engine_token="e" * 32,
        session_secret="s" * 32,
        twilio_api_url="https://api.twilio.com",
    ).model_copy(update=values)


def test_production_runs_with_its_tokens_and_refuses_plain_http() -> None:
    environ = {"RIVER_TOKEN": "t" * 32}
    web = Account(channel="web", address="river-web")
    check_accounts(Clinics(river=clinic(SMS, WHATSAPP, web)), production(), environ)
    with pytest.raises(ConfigError, match="CARETHREAD_TWILIO_API_URL"):
        check_accounts(CLINICS, production(twilio_api_url="http://127.0.0.1:8091"), environ)


def test_credentials_do_not_print_their_token() -> None:
    found = credentials(SMS, settings(), {"RIVER_TOKEN": "t" * 32})
    assert found.auth_token == "t" * 32
    assert "tttt" not in repr(found)
    assert demo_token(ACCOUNT_SID) != demo_token("AC" + "2" * 32)


@pytest.mark.parametrize(
    ("kind", "raw", "number"),
    [
        ("sms", "+13125550101", "+13125550101"),
        ("sms", " +1 312-555.0101 ", "+13125550101"),
        ("sms", "whatsapp:+13125550101", None),
        ("sms", "+0312555010", None),
        ("sms", "+١٣١٢٥٥٥٠١٠١", None),
        ("sms", "", None),
        ("whatsapp", "whatsapp:+13125550101", "+13125550101"),
        ("whatsapp", "WhatsApp:+13125550101", "+13125550101"),
        ("whatsapp", "+13125550101", None),
    ],
)
def test_addresses_are_read_strictly(kind: Any, raw: str, number: str | None) -> None:
    assert from_twilio(kind, raw) == number
    if number:
        assert from_twilio(kind, to_twilio(kind, number)) == number


# Segments: 3GPP TS 23.038 and 23.040


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("ñéÑ¿¡üà" * 22, 1),  # in the GSM alphabet: 154 septets
        ("á" * 70, 1),  # not in it
        ("á" * 71, 2),
        ("€" * 80, 1),  # an escape each: 160 septets
        ("€" * 81, 2),
        ("a" * 152 + "€" * 5, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the escape does not straddle two segments
        ("🙂" * 35, 1),  # two code units each
        ("🙂" * 36, 2),
        ("a" * 66 + "🙂" + "a" * 66, 3),  # nor does a pair
        ("a" * 69 + "’", 1),  # a curly apostrophe turns the whole text into UCS-2
        ("a" * 70 + "’", 2),
        ("1,2\n\r", 1),
    ],
)
def test_segments(text: str, count: int) -> None:
    assert segments(text) == count


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_segments_never_shrink_as_a_text_grows(text: str) -> None:
    assert 1 <= segments(text) <= segments(text + "🙂")


def test_closing_without_ever_sending_is_harmless() -> None:
    asyncio.run(TwilioChannel(CLINICS, settings(), lambda: NOW, channel(Wire((201, {})))._claimed).close())
