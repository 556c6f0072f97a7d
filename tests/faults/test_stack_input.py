"""Whatever arrives at the gateway: a message gets one clear answer, what is none is refused and changes nothing."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from sqlalchemy import func, select

from carethread.channels.twilio.accounts import credentials
from carethread.clinic import Channel
from carethread.messaging.types import MAX_TEXT
from carethread.storage.models import Conversation, Inbox, Outbox
from tests.rig import QUESTIONS, Rig

pytestmark = pytest.mark.stack


async def heard(rig: Rig, phone: str, form: dict[str, str], channel: Channel = "sms") -> tuple[Inbox, list[Outbox]]:
    """Post a message and wait for what comes of it: its row, and everything said for it."""
    status, body = await rig.post(channel, form)
    assert status == 200, body

    async def closed() -> tuple[Inbox, list[Outbox]] | None:
        conversation = await rig.conversation_at(phone, channel)
        if conversation is None:
            return None
        rows = [row for row in await rig.inbox(conversation.id) if row.provider_id.endswith(form["MessageSid"])]
        if not rows or rows[0].done_at is None:
            return None
        return rows[0], [row for row in await rig.outbox(conversation.id) if row.inbox_id == rows[0].id]

    return await rig.until(closed, what="an answer")


# --- messages that hold no words

WORDLESS = ["", "   ", "\n\n", "???", "...", "🦄🦄🦄", "\u200d", "🏳️‍🌈", "\x00\x07", "\u202e"]


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
async def test_a_message_without_words_gets_a_word(rig: Rig, channel: Channel) -> None:
    async def one(text: str) -> None:
        phone = rig.world.nobody().phone
        row, said = await heard(rig, phone, rig.form(phone, text, channel), channel)
        assert [reply.content_key for reply in said] == ["utter_introduction", "utter_no_words"], repr(text)
        assert (row.kind, row.outcome, row.level) == ("text", "answered", "none")

    await asyncio.gather(*(one(text) for text in WORDLESS))


async def test_an_emoji_that_means_something_is_understood(rig: Rig) -> None:
    patient = await rig.talk()
    assert [said.key for said in await patient.say("👋")] == ["utter_introduction", "utter_greet"]
    assert [said.key for said in await patient.say("🙏")] == ["utter_thank"]


async def test_a_picture_alone_is_acknowledged_and_a_picture_with_words_is_read(rig: Rig) -> None:
    phone = rig.world.nobody().phone
    picture = {"NumMedia": "1", "MediaUrl0": "https://example.org/a.jpg", "MediaContentType0": "image/jpeg"}
    row, said = await heard(rig, phone, rig.form(phone, "", **picture))
    assert (row.kind, [reply.content_key for reply in said]) == ("media", ["utter_introduction", "utter_media_only"])
    row, said = await heard(rig, phone, rig.form(phone, "where do I park?", **picture))
    assert (row.kind, [reply.content_key for reply in said]) == ("text", ["utter_faq_parking"])
    assert len(row.media) == 1
    row, said = await heard(rig, phone, rig.form(phone, "my chest hurts and I can't breathe", **picture))
    assert (row.outcome, [reply.content_key for reply in said]) == ("red_flag", ["utter_safety_emergency"])


async def test_control_characters_are_taken_out_and_the_rest_is_understood(rig: Rig) -> None:
    phone = rig.world.nobody().phone
    row, said = await heard(rig, phone, rig.form(phone, "where\x00 do\x07 I \u202epark\x1b[31m?\r\n"))
    assert said[-1].content_key == "utter_faq_parking"
    assert "\x00" not in row.text
    assert "\u202e" not in row.text


# --- very long messages

SENTENCE = "I was at my sister's house last week and we had a really nice time with the kids and the dog. "


def long(length: int, end: str = "") -> str:
    return (SENTENCE * (length // len(SENTENCE) + 1))[: length - len(end)] + end


@pytest.mark.parametrize("length", [MAX_TEXT, 4 * MAX_TEXT])
async def test_a_very_long_message_is_kept_and_answered(rig: Rig, length: int) -> None:
    phone, began = rig.world.nobody().phone, time.monotonic()
    row, said = await heard(rig, phone, rig.form(phone, long(length)))
    assert said[-1].content_key.startswith("utter_")
    assert row.outcome == "answered"
    assert len(row.text) == MAX_TEXT  # what the assistant reads; Twilio itself ends at 1,600
    assert time.monotonic() - began < 30  # seconds; a pattern that backtracks would take minutes
    # Nobody else waited for it.
    other = await rig.talk()
    assert (await other.say("hello"))[-1].key == "utter_greet"


@pytest.mark.parametrize("before", [True, False])
async def test_a_red_flag_in_a_very_long_message_is_seen(rig: Rig, before: bool) -> None:
    phone, flag = rig.world.nobody().phone, "I have crushing chest pain and I can't breathe. "
    text = flag + long(MAX_TEXT - len(flag)) if before else long(MAX_TEXT, flag)
    row, said = await heard(rig, phone, rig.form(phone, text))
    assert (row.level, [reply.content_key for reply in said]) == ("emergency", ["utter_safety_emergency"])


NONSENSE = ["a", "1 ", "no ", "(", "chest pain no ", "dolor de pecho no ", "¿", "call 911 if "]


@pytest.mark.parametrize("text", NONSENSE)
async def test_long_nonsense_keeps_nobody_waiting(rig: Rig, text: str) -> None:
    phone, other = rig.world.nobody().phone, await rig.talk()
    await other.say("hello")
    nonsense = asyncio.create_task(heard(rig, phone, rig.form(phone, (text * MAX_TEXT)[:MAX_TEXT])))
    while not nonsense.done():
        began = time.monotonic()
        assert (await other.say("where do I park?"))[-1].key == "utter_faq_parking"
        assert time.monotonic() - began < 10
    row, said = await nonsense
    assert said
    assert row.done_at is not None


# --- the same message again, and messages in a bad order


async def test_a_message_delivered_again_is_one_message(rig: Rig) -> None:
    phone = rig.world.nobody().phone
    form = rig.form(phone, "where do I park?")
    answers = await asyncio.gather(*(rig.post("sms", form) for _ in range(6)))
    assert {status for status, _ in answers} == {200}
    await heard(rig, phone, form)
    assert (await rig.post("sms", form))[0] == 200  # a replay of what was answered long ago
    # The same again with other words, as nobody but an attacker with the token could: still the first message.
    assert (await rig.post("sms", {**form, "Body": "cancel my appointment"}))[0] == 200
    conversation = await rig.conversation_at(phone)
    assert conversation is not None
    await rig.settled(conversation.id, 1)
    await rig.answered_once(conversation.id, ["utter_faq_parking"])
    assert len(await rig.inbox(conversation.id)) == 1


async def test_a_provider_that_delivers_everything_three_times(rig: Rig) -> None:
    await rig.phone_faults(duplicate_webhooks=2)
    patient = await rig.talk("whatsapp")
    for text in QUESTIONS:
        await patient.say(text)
    await rig.answered_once((await rig.conversation(patient)).id, list(QUESTIONS.values()))


async def test_web_messages_sent_again_are_one_message(rig: Rig) -> None:
    patient = await rig.talk("web")
    await patient.say("hello")
    url, headers = f"{rig.stack.gateway_url}/web/messages", {"Authorization": f"Bearer {patient._token}"}
    body = {"id": str(uuid.uuid4()), "text": "where do I park?"}

    async def send() -> int:
        async with rig.http.post(url, json=body, headers=headers) as answer:
            return answer.status

    assert set(await asyncio.gather(*(send() for _ in range(5)))) == {200}
    conversation = await rig.conversation(patient)
    await rig.settled(conversation.id, 2)
    await rig.answered_once(conversation.id, ["utter_greet", "utter_faq_parking"])


async def test_a_burst_is_answered_in_the_order_of_arrival(rig: Rig) -> None:
    """Posted all at once: whatever order they arrive in, each is answered once, in that order."""
    phone = rig.world.nobody().phone
    forms = [rig.form(phone, text) for text in [*QUESTIONS, *QUESTIONS]]
    assert {status for status, _ in await asyncio.gather(*(rig.post("sms", form) for form in forms))} == {200}
    conversation = await rig.conversation_at(phone)
    assert conversation is not None
    await rig.settled(conversation.id, len(forms))
    received = await rig.inbox(conversation.id)
    assert len(received) == len(forms)
    await rig.answered_once(conversation.id, [QUESTIONS[row.text] for row in received])


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
async def test_delivery_states_that_come_last_first_never_go_back(rig: Rig, channel: Channel) -> None:
    await rig.phone_faults(statuses_reversed=True)
    patient = await rig.talk(channel)
    await patient.say("hello")
    conversation = await rig.conversation(patient)

    async def delivered() -> list[Outbox] | None:
        rows = await rig.outbox(conversation.id)
        return rows if all(row.state == "delivered" for row in rows) else None

    rows = await rig.until(delivered, what="the delivery reports")
    # Late words of an earlier time, about the newest of them.
    for late in ("sent", "queued", "sending"):
        status, _ = await rig.post(
            channel, _status_form(rig, channel, rows[-1], late), verb="status", query=f"?outbox={rows[-1].id}"
        )
        assert status < 300
    assert [row.state for row in await rig.outbox(conversation.id)] == ["delivered"] * len(rows)
    assert [row.delivered_at for row in await rig.outbox(conversation.id)] == [row.delivered_at for row in rows]


async def test_a_delivery_report_that_says_failed_is_kept(rig: Rig) -> None:
    await rig.phone_faults(ends="undelivered", ends_code=30003)
    patient = await rig.talk()
    await patient.say("hello")
    conversation = await rig.conversation(patient)

    async def failed() -> bool:
        return all(row.state == "failed" for row in await rig.outbox(conversation.id))

    await rig.until(failed, what="the reports of failure")
    assert {row.error for row in await rig.outbox(conversation.id)} == {"twilio 30003"}


def _status_form(rig: Rig, channel: Channel, row: Outbox, state: str) -> dict[str, str]:
    account = rig.stack.clinic.first_account(channel)
    assert account is not None
    prefix = "whatsapp:" if channel == "whatsapp" else ""
    return {
        "AccountSid": str(account.account_sid),
        "MessageSid": str(row.provider_id),
        "MessageStatus": state,
        "From": prefix + account.address,
        "To": prefix + "+12175550100",
    }


# --- what is no message


@dataclass(frozen=True)
class Count:
    """Everything that a request could leave behind."""

    conversations: int
    inbox: int
    outbox: int


async def count(rig: Rig) -> Count:
    async with rig.stack.database.begin(rig.stack.clinic.id) as session:
        numbers = [
            (await session.scalar(select(func.count()).select_from(table))) or 0
            for table in (Conversation, Inbox, Outbox)
        ]
    return Count(*numbers)


async def test_a_wrong_signature_is_refused_and_leaves_nothing(rig: Rig) -> None:
    phone = rig.world.nobody().phone
    form, before = rig.form(phone, "hello"), await count(rig)
    account = rig.stack.clinic.first_account("sms")
    assert account is not None
    from twilio.request_validator import RequestValidator

    right = RequestValidator(credentials(account, rig.stack.settings).auth_token)
    here = f"{rig.stack.gateway_url}/channels/sms/inbound"
    for signature in (
        "",
        "nonsense",
        "ñ",
        RequestValidator("another token").compute_signature(here, form),
        right.compute_signature("https://elsewhere.example.org/channels/sms/inbound", form),
        right.compute_signature(here, {**form, "Body": "something else"}),
        right.compute_signature(f"{rig.stack.gateway_url}/channels/sms/status", form),
    ):
        status, body = await rig.post("sms", form, signature=signature)
        assert status == 403, signature
        assert phone not in body
    # Signed for SMS, posted to WhatsApp.
    assert (await rig.post("whatsapp", form, signature=right.compute_signature(here, form)))[0] in (403, 404)
    assert await count(rig) == before


BAD_FORMS: list[tuple[str, dict[str, str | None], int]] = [
    ("no sender", {"From": None}, 400),
    ("a sender that is no number", {"From": "somebody"}, 400),
    ("a short code", {"From": "262966"}, 400),
    ("no receiver", {"To": None}, 400),
    ("another clinic's number", {"To": "+13125550199"}, 404),
    ("another account", {"AccountSid": "AC99999999999999999999999999999999"}, 404),
    ("no account", {"AccountSid": None}, 400),
    ("no id", {"MessageSid": None}, 400),
    ("an id that is none", {"MessageSid": "1; drop table inbox"}, 400),
    ("media that are no number", {"NumMedia": "many"}, 400),
    ("minus one picture", {"NumMedia": "-1"}, 400),
    ("two hundred more parameters", {f"Field{number}": "x" for number in range(200)}, 400),
]


@pytest.mark.parametrize(("why", "change", "expected"), BAD_FORMS)
async def test_a_malformed_webhook_is_refused(rig: Rig, why: str, change: dict[str, str | None], expected: int) -> None:
    before = await count(rig)
    form = {**rig.form("+12175550199", "hello"), **change}
    status, body = await rig.post("sms", {name: value for name, value in form.items() if value is not None})
    assert status == expected, why
    assert json.loads(body)["error"]
    assert await count(rig) == before


RAW: list[tuple[str, str, str, dict[str, Any], set[int]]] = [
    ("JSON instead of a form", "POST", "/channels/sms/inbound", {"json": {"Body": "hello"}}, {400}),
    ("nothing at all", "POST", "/channels/sms/inbound", {}, {400}),
    ("bytes", "POST", "/channels/sms/inbound", {"data": b"\xff\x00\xfe" * 100}, {400}),
    ("a form of broken escapes", "POST", "/channels/sms/inbound", {"form": b"From=%&To=%zz&Body=%ff%fe"}, {400, 404}),
    ("another method", "GET", "/channels/sms/inbound", {}, {405}),
    ("another channel", "POST", "/channels/pigeon/inbound", {"form": b"Body=x"}, {404}),
    ("two megabytes", "POST", "/channels/sms/inbound", {"form": b"Body=" + b"x" * 2_000_000}, {413}),
    ("a status without one", "POST", "/channels/sms/status", {"form": b"MessageSid=SM1"}, {400}),
    ("no such page", "GET", "/admin.php", {}, {404}),
    ("out of the folder", "GET", "/staff/static/..%2f..%2fconfig.py", {}, {302, 303, 404}),
    ("web without a session", "POST", "/web/messages", {"json": {"id": str(uuid.uuid4()), "text": "hi"}}, {401}),
    ("web with a made-up session", "POST", "/web/messages", {"json": {}, "token": "abc.def.ghi"}, {401}),
    ("news without a session", "GET", "/web/messages?after=0", {}, {401}),
    ("a widget nobody has", "POST", "/web/nobody-web/session", {}, {404}),
    ("a widget with a strange name", "POST", "/web/%00%ff/session", {}, {400, 404}),
]


@pytest.mark.parametrize(("why", "method", "path", "what", "expected"), RAW, ids=[case[0] for case in RAW])
async def test_a_malformed_request_is_refused(
    rig: Rig, why: str, method: str, path: str, what: dict[str, Any], expected: set[int]
) -> None:
    before = await count(rig)
    options: dict[str, Any] = {name: what[name] for name in ("json", "data") if name in what}
    headers = {"Authorization": f"Bearer {what['token']}"} if "token" in what else {}
    if "form" in what:
        options["data"] = what["form"]
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    async with rig.http.request(
        method, f"{rig.stack.gateway_url}{path}", headers=headers, allow_redirects=False, **options
    ) as answer:
        assert answer.status in expected, why
        assert "Traceback" not in await answer.text()
    assert await count(rig) == before
    assert await rig.healthy("gateway")


BAD_WEB: list[tuple[str, Any, set[int]]] = [
    ("a list", [], {400}),
    ("a text", "hello", {400}),
    ("no id", {"text": "hello"}, {400}),
    ("no text", {"id": str(uuid.uuid4())}, {400}),
    ("a number for a text", {"id": str(uuid.uuid4()), "text": 7}, {400}),
    ("an object for an id", {"id": {}, "text": "hello"}, {400}),
    ("an endless id", {"id": "x" * 5000, "text": "hello"}, {400}),
    ("an empty text", {"id": str(uuid.uuid4()), "text": "  "}, {400}),
    ("a hundred thousand characters", {"id": str(uuid.uuid4()), "text": "a" * 100_000}, {413}),
]


async def test_web_messages_that_are_none_are_refused_and_the_next_is_answered(rig: Rig) -> None:
    patient = await rig.talk("web")
    await patient.say("hello")
    before = await count(rig)
    url, headers = f"{rig.stack.gateway_url}/web/messages", {"Authorization": f"Bearer {patient._token}"}
    for why, body, expected in BAD_WEB:
        async with rig.http.post(url, json=body, headers=headers) as answer:
            assert answer.status in expected, why
            assert (await answer.json())["error"], why
    for raw in (b"{", b"\xff\xfe", b'{"id": "x", "text": "\\ud800"}'):
        async with rig.http.post(url, data=raw, headers={**headers, "Content-Type": "application/json"}) as answer:
            assert answer.status == 400, raw
    assert await count(rig) == before
    assert (await patient.say("where do I park?"))[-1].key == "utter_faq_parking"


async def test_a_socket_full_of_rubbish_harms_nobody(rig: Rig) -> None:
    url = f"{rig.stack.gateway_url.replace('http', 'ws')}/web/ws"
    for rubbish in (b"\xff\x00", "not json", "[]", '{"type": "hello"}', "{}" * 5000, '{"type": "auth", "token": {}}'):
        try:
            async with rig.http.ws_connect(url) as socket:
                await (socket.send_bytes(rubbish) if isinstance(rubbish, bytes) else socket.send_str(rubbish))
                answer = await socket.receive(timeout=10)
                assert answer.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        except aiohttp.ClientError:
            pass  # cut off: as good
    patient = await rig.talk("web")
    assert (await patient.say("hello"))[-1].key == "utter_greet"
