"""SMS and WhatsApp the whole way: simulated phones ⇄ HTTP ⇄ the gateway's webhooks ⇄ the ledger, and back."""

from __future__ import annotations

import asyncio
import logging
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import pytest
import yaml
from sqlalchemy import select, text
from twilio.request_validator import RequestValidator

from carethread.bootstrap import core, utc_now
from carethread.channels.twilio import TwilioChannel, blueprint, claimed_in
from carethread.channels.twilio.accounts import demo_token
from carethread.channels.twilio.transport import Transport
from carethread.clinic import Channel, Clinic, Clinics, load_clinics
from carethread.config import Settings
from carethread.gateway import create_app
from carethread.messaging.intake import conversation_of
from carethread.messaging.types import MAX_TEXT, OutboundMessage, SendFailed, Sent
from carethread.storage.database import Database
from carethread.storage.models import Conversation, Inbox, Outbox
from carethread.storage.security import APP_ROLE
from sandbox.phones.testing import Phones, running_phones, start_phones
from sandbox.postgres import EmbeddedPostgres

pytestmark = pytest.mark.server

SMS, WHATSAPP = "+13125550150", "+13125550151"
OTHER_SMS, OTHER_WHATSAPP = "+13125550160", "+13125550161"


@dataclass(frozen=True, slots=True)
class Network:
    """The phones of all tests here, and the address where they expect a gateway."""

    phones: Phones
    settings: Settings
    clinics: Clinics
    listener: socket.socket
    log: Path


@dataclass(frozen=True, slots=True)
class Site:
    """A clinic with a gateway to be started, and a patient no other test knows."""

    network: Network
    clinic: Clinic
    other: Clinic
    database: Database
    database_url: str
    patient: str

    @property
    def phones(self) -> Phones:
        return self.network.phones

    @property
    def account_sid(self) -> str:
        return str(self.clinic.accounts[0].account_sid)

    def channel(self, transport: Transport | None = None) -> TwilioChannel:
        claimed = claimed_in(self.database)
        return TwilioChannel(self.network.clinics, self.network.settings, utc_now, claimed, transport=transport)

    @asynccontextmanager
    async def gateway(self, database_url: str | None = None) -> AsyncIterator[None]:
        """The gateway on its address, until the block ends."""
        settings = self.network.settings.model_copy(update={"database_url": database_url or self.database_url})
        parts = core(settings)
        app = create_app(parts, name=f"gateway-{uuid.uuid4().hex}")
        app.config.TOUCHUP = False  # Sanic rewrites its own methods at start, which fails for a process's second app
        if "twilio" not in app.blueprints:
            app.blueprint(blueprint(parts.intake, parts.clinics, settings, utc_now))
        listener = self.network.listener.dup()
        server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
        assert server is not None
        await server.startup()
        await server.before_start()
        await server.after_start()
        try:
            yield
        finally:
            await server.before_stop()
            await server.close()
            for connection in server.connections:
                connection.abort()
            await server.after_stop()

    async def inbox(self) -> list[Inbox]:
        """What the ledger holds of this patient's."""
        async with self.database.begin(self.clinic.id) as session:
            found = await session.scalars(
                select(Inbox).join(Conversation).where(Conversation.address == self.patient).order_by(Inbox.id)
            )
            return list(found)

    async def outbox(self, outbox_id: int) -> Outbox:
        async with self.database.begin(self.clinic.id) as session:
            return await session.get_one(Outbox, outbox_id)

    async def becomes(self, message: OutboundMessage, state: str) -> Outbox:
        """The message's row, once it is in `state`."""
        return await eventually(lambda: self.outbox(message.outbox_id), lambda row: row.state == state)

    async def message(
        self, words: str, channel: Channel = "sms", address: str | None = None, **values: Any
    ) -> OutboundMessage:
        """A row of the outbox being sent, as the worker hands it to the channel."""
        account = self.clinic.first_account(channel)
        assert account is not None
        address = address or self.patient
        async with self.database.begin(self.clinic.id) as session:
            talk = await conversation_of(session, self.clinic, channel, account.address, address)
            row = Outbox(
                conversation_id=talk.id, key=uuid.uuid4().hex, content_key="utter_x", content_version="1",
                language="en", text=words, **{"state": "sending", **values},
            )  # fmt: skip
            session.add(row)
            await session.flush()
            return OutboundMessage(row.id, self.clinic.id, talk.id, account, address, words, "en")

    async def write(self, channel: str, words: str = "", **more: Any) -> str:
        """The patient sends something; gives its sid."""
        return await asyncio.to_thread(self.phones.send, self.patient, channel, words, **more)

    async def shown(self, **which: Any) -> list[dict[str, Any]]:
        """What the patient's phone shows."""
        return await asyncio.to_thread(self.phones.messages, self.patient, **which)

    async def phone_shows(self, sid: str, status: str) -> dict[str, Any]:
        """The message `sid` on the phone, once it has `status`."""

        async def look() -> dict[str, Any]:
            return next(message for message in await self.shown() if message["sid"] == sid)

        return await eventually(look, lambda message: message["status"] == status)

    async def faults(self, **switches: Any) -> None:
        await asyncio.to_thread(self.phones.faults, **switches)


FACTS = ("hours", "location", "parking", "insurance", "billing", "records", "first_visit")


def clinic_file(directory: Path, tenant: str, sms: str, whatsapp: str) -> None:
    account = {"account_sid": "AC" + uuid.uuid4().hex, "auth_token_env": "CARETHREAD_TEST_TWILIO_TOKEN"}
    team = {"name": "Desk", "minutes": dict.fromkeys(("emergency", "urgent", "soon", "routine"), 5)}
    clinic = {
        "name": f"Clinic {tenant}",
        "timezone": "America/Chicago",
        "phone": "+1 312 555 0100",
        "ehr_url": "http://127.0.0.1:1/fhir",
        "accounts": [
            {"channel": "sms", "address": sms, **account},
            {"channel": "whatsapp", "address": whatsapp, **account},
        ],
        "teams": {"desk": team},
        "routing": {"default": "desk"},
        "facts": {name: {"en": name, "es": name} for name in FACTS},
    }
    directory.joinpath(tenant).mkdir(parents=True)
    directory.joinpath(tenant, "clinic.yml").write_text(yaml.safe_dump(clinic))


def environment(clinics_dir: Path) -> dict[str, str]:
    return {"CARETHREAD_CLINICS_DIR": str(clinics_dir), "CARETHREAD_ENV": "test"}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    clinics_dir = tmp_path_factory.mktemp("clinics")
    clinic_file(clinics_dir, f"t-{uuid.uuid4().hex[:12]}", SMS, WHATSAPP)
    clinic_file(clinics_dir, f"u-{uuid.uuid4().hex[:12]}", OTHER_SMS, OTHER_WHATSAPP)
    # Listens from the start, so that the address is ours even while no gateway answers on it.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        data = tmp_path_factory.mktemp("phones")
        with running_phones(data, url, faults=True, environment=environment(clinics_dir)) as phones:
            settings = Settings(env="test", clinics_dir=clinics_dir, public_url=url, twilio_api_url=phones.url)
            yield Network(phones, settings, load_clinics(clinics_dir), listener, data / "phones.log")


PATIENTS = (f"+1{area}55501{line:02}" for area in range(201, 990) for line in range(100))


@pytest.fixture
def site(network: Network, postgres: EmbeddedPostgres, database: Database) -> Site:
    network.phones.faults()
    clinic, other = network.clinics.values()
    return Site(network, clinic, other, database, postgres.url(APP_ROLE), next(PATIENTS))


T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], good: Callable[[T], bool], seconds: float = 20) -> T:
    """What `look` finds once it is `good`; TimeoutError when it never is."""
    async with asyncio.timeout(seconds):
        while True:
            found = await look()
            if good(found):
                return found
            await asyncio.sleep(0.05)


LONGEST = ("palabra ñ 🙂 " * 1_000)[:MAX_TEXT]
TYPED: list[tuple[str, dict[str, Any], str]] = [
    ("sms", {"words": "Hello, can I move my visit?"}, "Hello, can I move my visit?"),
    ("whatsapp", {"words": "¿Cuándo es mi próxima cita?\nGracias"}, "¿Cuándo es mi próxima cita?\nGracias"),
    ("sms", {"words": "👍🏽"}, "👍🏽"),
    ("sms", {"words": "a\x00b\x07 c\u00a0d"}, "ab c d"),
    ("whatsapp", {"words": LONGEST}, LONGEST),
    ("sms", {"words": "  "}, "  "),
]


@pytest.mark.parametrize(("channel", "typed", "kept"), TYPED)
async def test_what_is_typed_on_a_phone_is_in_the_ledger_once(
    site: Site, channel: str, typed: dict[str, Any], kept: str
) -> None:
    async with site.gateway():
        sid = await site.write(channel, **typed)
        await site.phone_shows(sid, "received")
    (row,) = await site.inbox()
    assert (row.text, row.kind, row.provider_id) == (kept, "text", f"{channel}:{sid}")
    async with site.database.begin(site.clinic.id) as session:
        talk = await session.get_one(Conversation, row.conversation_id)
    assert (talk.channel, talk.address) == (channel, site.patient)
    assert talk.account == (SMS if channel == "sms" else WHATSAPP)


async def test_a_picture_arrives_with_an_address_that_serves_it(site: Site) -> None:
    async with site.gateway():
        media = [{"content_type": "image/png", "data": "iVBORw0KGgo="}]
        await site.phone_shows(await site.write("whatsapp", media=media), "received")
    (row,) = await site.inbox()
    assert (row.kind, row.text) == ("media", "")
    assert row.media[0]["content_type"] == "image/png"
    async with aiohttp.ClientSession() as http, http.get(row.media[0]["url"]) as answer:
        assert await answer.read() == b"\x89PNG\r\n\x1a\n"


async def test_a_received_message_wakes_the_worker(site: Site, postgres: EmbeddedPostgres) -> None:
    async with site.gateway():
        await site.phone_shows(await site.write("sms", "Hello"), "received")
    (row,) = await site.inbox()
    admin = Database(postgres.admin_url)
    async with admin.engine.connect() as connection:
        payloads = await connection.scalars(text("select convert_from(payload, 'utf8') from jobs.pgqueuer"))
        assert [payload for payload in payloads if str(row.conversation_id) in payload]
    await admin.close()


async def test_messages_arrive_in_the_order_they_were_typed(site: Site) -> None:
    async with site.gateway():
        sids = [await site.write("sms", str(number)) for number in range(10)]
        await site.phone_shows(sids[-1], "received")
    assert [row.text for row in await site.inbox()] == [str(number) for number in range(10)]


async def test_a_webhook_that_comes_again_changes_nothing(site: Site) -> None:
    await site.faults(duplicate_webhooks=3)
    async with site.gateway():
        await site.phone_shows(await site.write("sms", "Once"), "received")
    assert [row.text for row in await site.inbox()] == ["Once"]


def signed(site: Site, path: str, form: dict[str, str], token: str | None = None) -> dict[str, Any]:
    url = site.network.settings.public_url + path
    signature = RequestValidator(token or demo_token(form["AccountSid"])).compute_signature(url, form)
    headers = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
    return {"url": url, "data": urlencode(form), "headers": headers}


def inbound(site: Site, **values: str) -> dict[str, str]:
    form = {"MessageSid": "SM" + uuid.uuid4().hex, "AccountSid": site.account_sid, "From": site.patient, "To": SMS}
    return {**form, "Body": "Hello", "NumMedia": "0", **values}


async def test_a_replay_from_many_sides_at_once_is_one_row(site: Site) -> None:
    request = signed(site, "/channels/sms/inbound", inbound(site))
    async with site.gateway(), aiohttp.ClientSession() as http:

        async def send() -> int:
            async with http.post(**request) as answer:
                return answer.status

        assert await asyncio.gather(*(send() for _ in range(20))) == [200] * 20
    assert len(await site.inbox()) == 1


async def test_one_clinics_token_opens_no_other_clinic(site: Site) -> None:
    their_sid = str(site.other.accounts[0].account_sid)
    attempts = [
        (inbound(site, To=OTHER_SMS, AccountSid=their_sid), demo_token(site.account_sid), 403),
        (inbound(site, To=OTHER_SMS), demo_token(site.account_sid), 404),
        (inbound(site, To=OTHER_SMS, AccountSid=their_sid), demo_token(their_sid), 200),
    ]
    async with site.gateway(), aiohttp.ClientSession() as http:
        for form, token, status in attempts:
            async with http.post(**signed(site, "/channels/sms/inbound", form, token)) as answer:
                assert answer.status == status
        row = await site.message("Ours")
        status_form = inbound(site, From=OTHER_SMS, To=site.patient, AccountSid=their_sid, MessageStatus="failed")
        path = f"/channels/sms/status?outbox={row.outbox_id}"
        async with http.post(**signed(site, path, status_form, demo_token(their_sid))) as answer:
            assert answer.status == 404
    assert await site.inbox() == []
    assert (await site.outbox(row.outbox_id)).state == "sending"


async def test_while_the_database_is_down_nothing_is_acknowledged_and_nothing_lost(site: Site) -> None:
    request = signed(site, "/channels/sms/inbound", inbound(site, Body="Direct"))
    async with site.gateway("postgresql://nobody@127.0.0.1:1/none"), aiohttp.ClientSession() as http:
        sid = await site.write("sms", "Keep me")
        async with http.post(**request) as answer:
            assert answer.status == 503
            assert "again" in (await answer.json())["error"]
        assert (await site.phone_shows(sid, "sending"))["error"] is None
    async with site.gateway(), aiohttp.ClientSession() as http:
        async with http.post(**request) as answer:
            assert answer.status == 200
        await site.phone_shows(sid, "received")
    assert sorted(row.text for row in await site.inbox()) == ["Direct", "Keep me"]


async def test_a_simulator_that_is_killed_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    settings = site.network.settings
    start = partial(start_phones, tmp_path, settings.public_url, environment=environment(settings.clinics_dir))
    first = await asyncio.to_thread(start)
    await asyncio.to_thread(first.send, site.patient, "sms", "Typed while nobody listened")
    await asyncio.to_thread(first.kill)
    again = await asyncio.to_thread(start)
    try:
        async with site.gateway():
            await eventually(site.inbox, bool)
        assert [row.text for row in await site.inbox()] == ["Typed while nobody listened"]
    finally:
        await asyncio.to_thread(again.stop)


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
async def test_what_is_sent_is_on_the_phone_and_its_fate_in_the_ledger(site: Site, channel: str) -> None:
    words = "Su cita es mañana a las 10. 🙂\n1. Sí\n2. No"
    async with site.gateway():
        twilio = site.channel()
        message = await site.message(words, channel)
        sent = await twilio.send(message)
        shown = await site.phone_shows(sent.provider_id, "delivered")
        row = await site.becomes(message, "delivered")
        await twilio.close()
        assert (shown["text"], shown["channel"], shown["direction"]) == (words, channel, "to_patient")
        assert row.provider_id == sent.provider_id
        assert row.delivered_at is not None
        if channel == "whatsapp":
            async with aiohttp.ClientSession() as http:
                url = f"{site.phones.url}/api/phones/{site.patient}/read"
                async with http.post(url, json={"channel": channel}) as answer:
                    assert await answer.json() == {"read": 1}
            await site.becomes(message, "read")


async def test_statuses_out_of_order_never_go_back(site: Site) -> None:
    await site.faults(statuses_reversed=True)
    async with site.gateway():
        twilio = site.channel()
        message = await site.message("Hello")
        sent = await twilio.send(message)
        await site.phone_shows(sent.provider_id, "delivered")
        await site.becomes(message, "delivered")
        await asyncio.sleep(0.5)
        assert (await site.outbox(message.outbox_id)).state == "delivered"
        await twilio.close()


async def test_a_message_that_never_arrives_is_failed_with_its_reason(site: Site) -> None:
    await site.faults(ends="undelivered", ends_code=30003)
    async with site.gateway():
        twilio = site.channel()
        message = await site.message("Hello")
        await twilio.send(message)
        row = await site.becomes(message, "failed")
        assert row.error == "twilio 30003"
        await twilio.close()


async def said(site: Site) -> list[str]:
    return [message["text"] for message in await site.shown(direction="to_patient")]


@pytest.mark.parametrize("fault", [{"drop_after_accept": 1}, {"delay": 2.0}], ids=["hung up", "too slow"])
async def test_an_unknown_outcome_is_found_again_and_not_sent_twice(site: Site, fault: dict[str, Any]) -> None:
    await site.faults(statuses_silent=True, **fault)
    twilio = site.channel(transport=Transport(site.phones.url, total_timeout=1.0))
    message = await site.message("Your visit is tomorrow")
    with pytest.raises(SendFailed) as failed:
        await twilio.send(message)
    assert failed.value.unknown
    found = await twilio.lookup(message)
    assert found is not None
    (shown,) = await site.shown(direction="to_patient")
    assert found == Sent(shown["sid"])
    await twilio.close()


async def test_an_unknown_outcome_that_a_callback_settles(site: Site) -> None:
    await site.faults(drop_after_accept=1)
    async with site.gateway():
        twilio = site.channel()
        message = await site.message("Hello", state="unknown")
        with pytest.raises(SendFailed):
            await twilio.send(message)
        row = await site.becomes(message, "delivered")
        assert row.provider_id
        await twilio.close()


async def test_a_lookup_never_takes_another_rows_message_for_its_own(site: Site) -> None:
    twilio = site.channel()
    first = await site.message("Thank you")
    earlier = await twilio.send(first)
    async with site.database.begin(site.clinic.id) as session:
        (await session.get_one(Outbox, first.outbox_id)).provider_id = earlier.provider_id
    second = await site.message("Thank you")
    assert await twilio.lookup(second) is None
    assert await twilio.lookup(first) == earlier
    await site.faults(drop_after_accept=1)
    with suppress(SendFailed):
        await twilio.send(second)
    found = await twilio.lookup(second)
    assert found is not None
    assert found != earlier
    assert await said(site) == ["Thank you", "Thank you"]
    await twilio.close()


REFUSED: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("unavailable for a moment", {"refuse": 1}, None, "transient"),
    ("too many requests", {"refuse": 1, "refuse_status": 429, "refuse_code": 20429}, None, "transient"),
    ("opted out", {"refuse": 1, "refuse_status": 400, "refuse_code": 21610}, None, "permanent"),
    ("an error inside", {"refuse": 1, "refuse_status": 500}, None, "unknown"),
    ("no phone number", {}, "12", "permanent"),
]


@pytest.mark.parametrize(("_name", "fault", "address", "kind"), REFUSED, ids=[case[0] for case in REFUSED])
async def test_a_refusal_says_whether_to_try_again(
    site: Site, _name: str, fault: dict[str, Any], address: str | None, kind: str
) -> None:
    await site.faults(**fault)
    twilio = site.channel()
    message = await site.message("Hello", address=address)
    with pytest.raises(SendFailed) as failed:
        await twilio.send(message)
    flags = {"permanent": (True, False), "transient": (False, False), "unknown": (False, True)}
    assert (failed.value.permanent, failed.value.unknown) == flags[kind]
    assert await said(site) == []
    if address is None:
        assert await twilio.lookup(message) is None
        await twilio.send(message)
        assert await said(site) == ["Hello"]
    await twilio.close()


async def test_a_provider_that_is_away_can_be_tried_again_at_once(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    twilio = site.channel(transport=Transport(address))
    message = await site.message("Hello")
    with pytest.raises(SendFailed) as failed:
        await twilio.send(message)
    assert not failed.value.permanent
    assert not failed.value.unknown
    with pytest.raises(SendFailed) as lost:
        await twilio.lookup(message)
    assert lost.value.unknown
    await twilio.close()


async def test_a_lookup_finds_a_message_among_many(site: Site) -> None:
    twilio = site.channel()
    wanted = await site.message("The one")
    sent = await twilio.send(wanted)
    for number in range(60):
        await twilio.send(await site.message(f"Message {number}"))
    assert await twilio.lookup(wanted) == sent
    await twilio.close()


async def test_logs_hold_no_words_and_no_numbers(site: Site, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        async with site.gateway():
            twilio = site.channel()
            await site.phone_shows(await site.write("sms", "Zitronenfalter"), "received")
            message = await site.message("Schmetterling")
            await site.phone_shows((await twilio.send(message)).provider_id, "delivered")
            await site.becomes(message, "delivered")
            form = inbound(site, Body="Zitronenfalter", From="12345")
            request = signed(site, "/channels/sms/inbound", form)
            async with aiohttp.ClientSession() as http, http.post(**request) as answer:
                assert answer.status == 400
            await twilio.close()
    printed = capfd.readouterr()
    logged = caplog.text + printed.out + printed.err + site.network.log.read_text()
    assert "twilio_received" in logged
    for secret in ("Zitronenfalter", "Schmetterling", site.patient, site.patient[1:], demo_token(site.account_sid)):
        assert secret not in logged


async def test_a_reader_that_waits_hears_at_once(site: Site) -> None:
    """The long poll that a terminal uses: it returns as soon as the clinic's answer is there."""
    twilio = site.channel()
    loop = asyncio.get_running_loop()
    started = loop.time()
    waiting = asyncio.create_task(site.shown(channel="sms", direction="to_patient", wait=15))
    await asyncio.sleep(0.3)
    await twilio.send(await site.message("Here I am"))
    assert [message["text"] for message in await waiting] == ["Here I am"]
    assert loop.time() - started < 10
    assert await site.shown(channel="whatsapp", wait=1) == []
    await twilio.close()
