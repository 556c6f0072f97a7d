"""The engine's door over real HTTP: who may enter, what is refused, and that no failure is silence."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from carethread_engine.agent import EngineAgent
from carethread_engine.channel import BadRequest, CarethreadInput, read
from conftest import FakeActions, counting
from rasa.core import channels
from rasa.core.agent import Agent
from rasa.shared.exceptions import InvalidConfigException
from sanic import Sanic

TOKEN = "a-token-for-tests"  # noqa: S105
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


_rewritten: list[bool] = []


class Door:
    def __init__(self, base: str, app: Sanic, session: aiohttp.ClientSession) -> None:
        self.base, self.app, self.session = base, app, session

    async def post(self, body: Any, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = f"{self.base}/webhooks/carethread/webhook"
        async with self.session.post(url, data=data, headers=HEADERS if headers is None else headers) as response:
            return response.status, await response.json()

    async def health(self) -> tuple[int, Any]:
        async with self.session.get(f"{self.base}/webhooks/carethread/health") as response:
            return response.status, await response.json()


@pytest.fixture
async def door(agent: EngineAgent, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    # Sanic rewrites its own code when the first server of a process starts, and fails when it tries to again.
    if _rewritten:
        monkeypatch.setattr("sanic.app.TouchUp.run", lambda app: None)
    _rewritten.append(True)
    app = Sanic(f"test_{uuid.uuid4().hex}", configure_logging=False)
    channels.channel.register([CarethreadInput(TOKEN)], app, route="/webhooks/")
    app.ctx.agent = agent
    server = await app.create_server(
        host="127.0.0.1", port=unused_tcp_port, return_asyncio_server=True, access_log=False
    )
    assert server is not None
    await server.startup()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield Door(f"http://127.0.0.1:{unused_tcp_port}", app, session)
    server.close()
    await server.wait_closed()


def message(text: str = "say that again", message_id: str = "m1", **more: Any) -> dict[str, Any]:
    return {"sender": "riverbend/1", "message_id": message_id, "channel": "web", "text": text, "language": "en", **more}


async def test_a_message_gets_its_turn(door: Door) -> None:
    status, body = await door.post(message())
    assert status == 200
    assert body["messages"] == [{"text": "", "key": "utter_counted", "parameters": {"count": 1}}]
    assert body["intent"]["name"] == "repeat"
    assert 0 < body["intent"]["confidence"] <= 1
    assert body["entities"] == []


async def test_entities_are_in_the_answer(door: Door) -> None:
    _, body = await door.post(message("I need an appointment with the heart doctor"))
    assert body["entities"] == [{"entity": "specialty", "value": "cardiology", "start": 31, "end": 43}]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer "},
    ],
)
async def test_strangers_stay_outside(door: Door, actions: FakeActions, headers: dict[str, str]) -> None:
    status, _ = await door.post(message(), headers)
    assert status == 401
    assert actions.calls == []


@pytest.mark.parametrize("name", ["sender", "message_id", "channel", "text"])
@pytest.mark.parametrize("value", [None, 7, ""])
async def test_what_is_required_is_asked_for_by_name(door: Door, name: str, value: Any) -> None:
    if (name, value) == ("text", ""):
        pytest.skip("an empty text is a text")
    status, body = await door.post({**message(), name: value})
    assert status == 400
    assert name in body["error"]
    status, body = await door.post({key: item for key, item in message().items() if key != name})
    assert status == 400
    assert name in body["error"]


WRONG = {
    "not JSON": (b"{", "JSON"),
    "not an object": (b"[]", "object"),
    "another channel": (message(channel="fax"), "channel"),
    "a sender without tenant": (message(sender="default"), "sender"),
    "another kind": (message(kind="command"), "kind"),
    "an event without a name": (message(kind="event", event={}), "event.name"),
    "an event without anything": (message(kind="event"), "event.name"),
    "entities that are none": (message(kind="event", event={"name": "x", "entities": ["y"]}), "event.entities"),
    "metadata that is none": (message(metadata=["x"]), "metadata"),
    "a language that is none": (message(language=7), "language"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_requests_that_can_never_work_are_refused(door: Door, case: str) -> None:
    body, word = WRONG[case]
    status, answer = await door.post(body)
    assert status == 400
    assert word in answer["error"]


async def test_without_a_model_nothing_is_taken(door: Door) -> None:
    assert (await door.health())[0] == 200
    ready, door.app.ctx.agent = door.app.ctx.agent, None
    assert (await door.health())[0] == 503
    assert (await door.post(message()))[0] == 503
    door.app.ctx.agent = Agent()
    assert (await door.post(message()))[0] == 503, "Rasa's own agent would swallow failures"
    door.app.ctx.agent = ready
    assert (await door.post(message()))[0] == 200


async def test_a_failed_action_is_a_502_without_a_word_of_the_patient(door: Door, actions: FakeActions) -> None:
    def broken(call: dict[str, Any]) -> Any:
        raise RuntimeError(call["tracker"]["latest_message"]["text"])

    actions.answer = broken
    status, body = await door.post(message("repeat please what you said about my rash"))
    assert status == 502
    assert "rash" not in json.dumps(body)
    actions.answer = counting
    status, body = await door.post(message("repeat please what you said about my rash"))
    assert (status, body["messages"][0]["parameters"]) == (200, {"count": 1})


async def test_a_fault_of_ours_is_a_500(door: Door, agent: EngineAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("my rash")

    monkeypatch.setattr(agent.processor, "predict_next_with_tracker_if_should", broken)
    status, body = await door.post(message())
    assert status == 500
    assert body == {"error": "ZeroDivisionError"}


async def test_a_client_that_hangs_up_does_not_end_the_turn(door: Door, actions: FakeActions) -> None:
    arrived = asyncio.Event()

    async def slowly(call: dict[str, Any]) -> Any:
        arrived.set()
        await asyncio.sleep(0.5)
        return counting(call)

    actions.answer = slowly
    impatient = asyncio.create_task(door.post(message()))
    await arrived.wait()
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    status, body = await door.post(message())
    assert (status, body["messages"][0]["parameters"]) == (200, {"count": 1})
    assert len(actions.calls) == 1


async def test_events_of_the_platform_enter_by_the_same_door(door: Door) -> None:
    event = {"name": "start_checkin", "entities": {"specialty": "cardiology"}}
    status, body = await door.post(message("", kind="event", event=event))
    assert status == 200
    assert [item["key"] for item in body["messages"]] == ["utter_checkin"]
    assert body["entities"] == [{"entity": "specialty", "value": "cardiology"}]


async def test_what_a_database_cannot_hold_is_taken_out_at_the_door() -> None:
    body = json.dumps(message("a\0b\ud800c", metadata={"x\0": ["\0y"]})).encode()
    request = read(body, ("web",))
    assert request.text == "ab?c"
    assert request.metadata == {"x": ["y"]}


def test_numbers_of_a_request_stay_what_they_are() -> None:
    assert read(json.dumps(message(metadata={"a": 1.5, "b": None, "c": True})).encode(), ("web",)).metadata == {
        "a": 1.5,
        "b": None,
        "c": True,
    }
    with pytest.raises(BadRequest):
        read(b"\xff\xfe", ("web",))


def test_the_engine_does_not_start_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARETHREAD_ENGINE_TOKEN", raising=False)
    with pytest.raises(InvalidConfigException, match="CARETHREAD_ENGINE_TOKEN"):
        CarethreadInput.from_credentials({})
    monkeypatch.setenv("CARETHREAD_ENGINE_TOKEN", "secret")
    assert CarethreadInput.from_credentials({"channels": ["web"]})._channels == ("web",)
