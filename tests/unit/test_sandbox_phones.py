"""The phone simulator in one process: its memory, Twilio's wire format, the phones' API."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import ValidationError
from sanic import Sanic
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from carethread.channels.twilio.accounts import demo_token
from carethread.clinic import load_clinics
from carethread.config import Settings
from sandbox.phones.app import create_app
from sandbox.phones.faults import Faults
from sandbox.phones.people import people
from sandbox.phones.rest import resource
from sandbox.phones.store import Message, Store

ACCOUNT_SID = "AC00000000000000000000000000000001"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
SMS, WHATSAPP, PATIENT = "+13125550150", "+13125550151", "+13125550101"
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def simulator(directory: Path, **values: Any) -> Sanic[Any, Any]:
    """One whose gateway is away: nobody listens on port 1."""
    settings = Settings(public_url="http://127.0.0.1:1")
    clinics = load_clinics(settings.clinics_dir)
    return create_app(Store(directory), clinics, settings, name=f"phones-{uuid.uuid4().hex}", **values)


async def call(app: Sanic[Any, Any], method: str, path: str, **values: Any) -> Any:
    _request, response = await app.asgi_client.request(method, path, **values)
    return response


def basic(user: str = ACCOUNT_SID, token: str = demo_token(ACCOUNT_SID)) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


async def create(app: Sanic[Any, Any], form: dict[str, str], headers: dict[str, str] | None = None) -> Any:
    headers = {"content-type": "application/x-www-form-urlencoded", **(headers or basic())}
    return await call(app, "POST", MESSAGES, content=urlencode(form).encode(), headers=headers)


def row(**values: Any) -> dict[str, Any]:
    common = {"direction": "to_patient", "channel": "sms", "account_sid": ACCOUNT_SID, "clinic": SMS}
    return {**common, "phone": PATIENT, "text": "Hello", "status": "queued", "now": NOW, **values}


def test_a_restart_keeps_the_threads(tmp_path: Path) -> None:
    first = Store(tmp_path)
    media = first.keep_media("image/png", b"\x89PNG")
    kept = first.add(**row(text="¿Mañana? 🙂", media=[media]))
    first.close()
    again = Store(tmp_path)
    assert again.get(kept.sid) == kept
    assert again.media_bytes(kept.media[0].sid) == b"\x89PNG"
    again.close()


def test_every_change_gets_a_later_number(store: Store) -> None:
    first, second = store.add(**row()), store.add(**row())
    changed = store.change(first.sid, status="sent", sent_at=NOW)
    assert first.id < second.id
    assert first.change < second.change < changed.change
    assert (changed.status, changed.sent_at, changed.id) == ("sent", NOW, first.id)


UNFINISHED = [
    (row(direction="to_clinic", status="sending"), True),
    (row(direction="to_clinic", status="received"), False),
    (row(direction="to_clinic", status="failed"), False),
    (row(status="queued"), True),
    (row(status="delivered", callback="http://c"), True),
    (row(status="delivered", callback="http://c", reported="sent"), True),
    (row(status="delivered", callback="http://c", reported="delivered"), False),
    (row(status="delivered"), False),
]


@pytest.mark.parametrize(("values", "unfinished"), UNFINISHED)
def test_what_is_left_to_do_after_a_stop_is_known(store: Store, values: dict[str, Any], unfinished: bool) -> None:
    message = store.add(**values)
    assert store.unfinished() == ([message] if unfinished else [])


def read_by_the_package(message: Message) -> MessageInstance:
    client = Client(ACCOUNT_SID, "token")
    return MessageInstance(client.api.v2010, resource(message), account_sid=ACCOUNT_SID)


def test_twilios_own_package_reads_a_message(store: Store) -> None:
    message = store.add(**row(channel="whatsapp", clinic=WHATSAPP, text="Hola"))
    read = read_by_the_package(message)
    assert (read.sid, read.body, read.status, read.direction) == (message.sid, "Hola", "queued", "outbound-api")
    assert (read.from_, read.to) == (f"whatsapp:{WHATSAPP}", f"whatsapp:{PATIENT}")
    assert read.date_created == NOW
    assert read.date_sent is None
    inbound = read_by_the_package(store.add(**row(direction="to_clinic", status="sending")))
    assert (inbound.from_, inbound.to, inbound.direction, inbound.status) == (PATIENT, SMS, "inbound", "received")


OK = {"To": PATIENT, "From": SMS, "Body": "Hello"}
REFUSED = [
    ({**OK, "To": ""}, 400, 21604),
    ({**OK, "To": "555"}, 400, 21211),
    ({**OK, "To": "whatsapp:555"}, 400, 21211),
    ({**OK, "From": "+13125550199"}, 400, 21606),
    ({**OK, "From": WHATSAPP}, 400, 21606),
    ({**OK, "To": f"whatsapp:{PATIENT}"}, 400, 21606),
    ({**OK, "Body": ""}, 400, 21602),
    ({**OK, "Body": "x" * 1601}, 400, 21617),
    ({**OK, "StatusCallback": "ftp://x"}, 400, 21609),
]


@pytest.mark.parametrize(("form", "status", "code"), REFUSED)
async def test_twilio_refuses_as_twilio_does(tmp_path: Path, form: dict[str, str], status: int, code: int) -> None:
    response = await create(simulator(tmp_path), form)
    assert (response.status, response.json["code"], response.json["status"]) == (status, code, status)
    assert response.json["more_info"].endswith(str(code))


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Basic ???"},
        {"authorization": "Bearer x"},
        basic(token="wrong"),
        basic(token="ñ"),
        basic(user="AC" + "9" * 32),
    ],
)
async def test_a_caller_without_the_token_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    response = await create(simulator(tmp_path), OK, headers)
    assert (response.status, response.json["code"]) == (401, 20003)


async def test_messages_are_listed_newest_first_page_by_page(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    store: Store = app.ctx.network.store
    for number in range(5):
        at = NOW + timedelta(hours=number)
        store.add(**row(text=str(number), now=at, sent_at=at.isoformat(), status="delivered"))
    store.add(**row(text="elsewhere", phone="+13125550102", status="delivered"))
    store.add(**row(text="theirs", direction="to_clinic", status="received"))

    async def listed(**args: Any) -> Any:
        query = urlencode({"To": PATIENT, "From": SMS, **args})
        return (await call(app, "GET", f"{MESSAGES}?{query}", headers=basic())).json

    first = await listed(PageSize=2)
    assert [message["body"] for message in first["messages"]] == ["4", "3"]
    second = (await call(app, "GET", first["next_page_uri"], headers=basic())).json
    assert [message["body"] for message in second["messages"]] == ["2", "1"]
    assert second["previous_page_uri"]
    after = await listed(**{"DateSent>": (NOW + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")})
    assert [message["body"] for message in after["messages"]] == ["4", "3"]
    assert (await listed(**{"DateSent<": "2026-03-01"}))["messages"] == []
    assert len((await listed(DateSent="2026-03-02"))["messages"]) == 5
    by_patient = await call(app, "GET", f"{MESSAGES}?{urlencode({'From': PATIENT})}", headers=basic())
    assert [message["body"] for message in by_patient.json["messages"]] == ["theirs"]
    wrong = await call(app, "GET", f"{MESSAGES}?{urlencode({'DateSent': 'today'})}", headers=basic())
    assert wrong.status == 400


async def test_one_message_is_fetched_by_its_own_account(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    message = app.ctx.network.store.add(**row())
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{message.sid}.json"
    assert (await call(app, "GET", path, headers=basic())).json["sid"] == message.sid
    missing = await call(app, "GET", path.replace(message.sid, "SM" + "0" * 32), headers=basic())
    assert (missing.status, missing.json["code"]) == (404, 20404)


async def write(app: Sanic[Any, Any], body: Any, phone: str = PATIENT) -> Any:
    return await call(app, "POST", f"/api/phones/{phone}/messages", json=body)


async def test_a_person_writes_and_reads(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    sent = await write(app, {"channel": "whatsapp", "text": "¿Mañana? 🙂"}, "%2B13125550101")
    assert sent.status == 201
    path = f"/api/phones/{PATIENT}/messages"
    (message,) = (await call(app, "GET", f"{path}?channel=whatsapp")).json["messages"]
    assert (message["sid"], message["text"]) == (sent.json["sid"], "¿Mañana? 🙂")
    assert (message["clinic"], message["direction"], message["status"]) == (WHATSAPP, "to_clinic", "sending")
    for nothing in ("channel=sms", f"after={message['id']}", "direction=to_patient"):
        assert (await call(app, "GET", f"{path}?{nothing}")).json["messages"] == []


async def test_an_attachment_is_served_as_it_was_sent_and_cannot_run(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    picture = base64.b64encode(b"<svg onload='alert(1)'/>").decode()
    await write(app, {"channel": "sms", "media": [{"content_type": "image/svg+xml", "data": picture}]})
    (message,) = (await call(app, "GET", f"/api/phones/{PATIENT}/messages")).json["messages"]
    assert message["sid"].startswith("MM")
    served = await call(app, "GET", message["media"][0]["url"])
    assert (served.status, served.headers["content-type"]) == (200, "image/svg+xml")
    assert served.body == b"<svg onload='alert(1)'/>"
    assert served.headers["content-security-policy"] == "sandbox"
    assert (await call(app, "GET", message["media"][0]["url"] + "x")).status == 404


MALFORMED: list[tuple[str, Any]] = [
    (PATIENT, {"channel": "fax", "text": "x"}),
    (PATIENT, {"channel": "sms"}),
    (PATIENT, {"channel": "sms", "text": 7}),
    (PATIENT, {"channel": "sms", "text": "x", "extra": 1}),
    (PATIENT, {"channel": "sms", "text": "x", "clinic": "+13125550199"}),
    (PATIENT, {"channel": "sms", "media": [{"content_type": "../etc"}]}),
    (PATIENT, {"channel": "sms", "media": [{"content_type": "image/png", "data": "!"}]}),
    (PATIENT, []),
    ("555", {"channel": "sms", "text": "x"}),
    ("nobody", {"channel": "sms", "text": "x"}),
]


@pytest.mark.parametrize(("phone", "body"), MALFORMED)
async def test_a_malformed_message_is_refused_with_its_reason(tmp_path: Path, phone: str, body: Any) -> None:
    app = simulator(tmp_path)
    response = await write(app, body, phone)
    assert response.status == 400
    assert response.json["error"]
    assert app.ctx.network.store.find("true", ()) == []


async def test_a_form_of_another_site_cannot_send(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    response = await call(
        app, "POST", f"/api/phones/{PATIENT}/messages", content=b'{"channel":"sms","text":"x"}',
        headers={"content-type": "text/plain"},
    )  # fmt: skip
    assert (response.status, response.json["error"]) == (400, "the body must be application/json")


@pytest.mark.parametrize(
    "query", ["channel=fax", "after=-1", "after=x", "after=" + "9" * 30, "wait=soon", "direction=up"]
)
async def test_a_malformed_question_is_refused(tmp_path: Path, query: str) -> None:
    response = await call(simulator(tmp_path), "GET", f"/api/phones/{PATIENT}/messages?{query}")
    assert response.status == 400


async def test_only_what_failed_can_be_sent_again(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    store: Store = app.ctx.network.store
    received = store.add(**row(direction="to_clinic", status="received"))
    failed = store.add(**row(direction="to_clinic", status="failed", error="the gateway answered 403"))
    assert (await call(app, "POST", f"/api/messages/{received.sid}/retry", json={})).status == 400
    assert (await call(app, "POST", "/api/messages/SMnone/retry", json={})).status == 400
    again = await call(app, "POST", f"/api/messages/{failed.sid}/retry", json={})
    assert (again.json["sid"], again.json["status"], again.json["error"]) == (failed.sid, "sending", None)


async def test_the_page_and_its_files_come_from_here_alone(tmp_path: Path) -> None:
    app = simulator(tmp_path)
    page = await call(app, "GET", "/")
    assert page.status == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("phones.css", "phones.js", "thread.js"):
        assert (await call(app, "GET", f"/assets/{name}")).status == 200
    assert (await call(app, "GET", "/assets/index.html")).status == 404
    assert (await call(app, "GET", "/health")).json == {"status": "ok"}


async def test_faults_exist_only_where_they_were_asked_for(tmp_path: Path) -> None:
    assert (await call(simulator(tmp_path / "a"), "POST", "/faults", json={"refuse": 1})).status == 404
    app = simulator(tmp_path / "b", faults=True)
    assert (await call(app, "POST", "/faults", json={"refuse": 2})).json["refuse"] == 2
    assert (await call(app, "POST", "/faults", json={"refuze": 2})).status == 400
    statuses = [(await create(app, OK)).status for _ in range(3)]
    assert statuses == [503, 503, 201]
    await call(app, "POST", "/faults", json={"refuse": 9})
    assert (await call(app, "DELETE", "/faults")).json["refuse"] == 0


def test_a_fault_counts_down() -> None:
    faults = Faults(drop_after_accept=2)
    assert [faults.take("drop_after_accept") for _ in range(4)] == [True, True, False, False]
    with pytest.raises(ValidationError):
        Faults(ends="delivered")


def test_everybody_on_a_shared_phone_is_named() -> None:
    listed = people()
    phones = [entry["phone"] for entry in listed]
    assert len(phones) == len(set(phones)) >= 20
    shared = next(entry for entry in listed if entry["phone"] == "+13125550110")
    assert {person["name"].split()[0] for person in shared["people"]} == {"Linh", "Minh", "Hoa"}
    maria = next(entry for entry in listed if entry["phone"] == PATIENT)
    assert (maria["language"], maria["people"][0]["born"]) == ("es", "1968-04-12")
