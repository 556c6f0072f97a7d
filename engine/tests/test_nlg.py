"""Responses are keys; words are asked for only where the other end cannot render them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from carethread_engine.nlg import ContentKeyGenerator
from rasa.shared.core.slots import AnySlot
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.utils.endpoints import EndpointConfig


class Words:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Any = {"text": "Hola Ana"}
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        return self.answer if isinstance(self.answer, web.StreamResponse) else web.json_response(self.answer)


@pytest.fixture
async def words() -> AsyncIterator[Words]:
    words = Words()
    app = web.Application()
    app.router.add_post("/nlg", words.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    words.url = f"http://127.0.0.1:{runner.addresses[0][1]}/nlg"
    yield words
    await runner.cleanup()


@pytest.fixture
def tracker() -> DialogueStateTracker:
    tracker = DialogueStateTracker("riverbend/1", [AnySlot("language", mappings=[]), AnySlot("reason", mappings=[])])
    tracker._set_slot("language", "es")
    tracker._set_slot("reason", "private")
    return tracker


def generator(url: str) -> ContentKeyGenerator:
    return ContentKeyGenerator(EndpointConfig(url, rendered_elsewhere=["web", "sms"]))


async def test_the_platform_gets_the_key_and_nobody_is_asked(words: Words, tracker: DialogueStateTracker) -> None:
    message = await generator(words.url).generate(
        "utter_hi", tracker, "sms", name="Ana", text=None, domain_responses={}
    )
    assert message == {"text": "", "custom": {"key": "utter_hi", "parameters": {"name": "Ana"}}}
    assert words.asked == []


async def test_others_get_words_asked_for_without_the_conversation(words: Words, tracker: DialogueStateTracker) -> None:
    message = await generator(words.url).generate("utter_hi", tracker, "cmdline", name="Ana")
    assert message == {"text": "Hola Ana", "custom": {"key": "utter_hi", "parameters": {"name": "Ana"}}}
    assert words.asked == [
        {
            "response": "utter_hi",
            "arguments": {"name": "Ana"},
            "tracker": {"sender_id": "riverbend/1", "slots": {"language": "es"}},
            "channel": {"name": "cmdline"},
        }
    ]


@pytest.mark.parametrize("answer", ["text", [1], None])
async def test_an_answer_that_is_none_does_not_lose_the_key(
    words: Words, tracker: DialogueStateTracker, answer: Any
) -> None:
    words.answer = answer
    message = await generator(words.url).generate("utter_hi", tracker, "cmdline")
    assert message == {"text": "", "custom": {"key": "utter_hi", "parameters": {}}}


async def test_an_endpoint_that_fails_does_not_lose_the_key(words: Words, tracker: DialogueStateTracker) -> None:
    words.answer = web.Response(status=500)
    for url in (words.url, "http://127.0.0.1:9/nlg"):
        message = await asyncio.wait_for(generator(url).generate("utter_hi", tracker, "cmdline", a=1), 5)
        assert message == {"text": "", "custom": {"key": "utter_hi", "parameters": {"a": 1}}}
