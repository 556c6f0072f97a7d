"""The engine's one door: our platform posts a message and gets the turn, or a plain failure, never silence."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Any

from rasa.core.channels.channel import InputChannel, UserMessage
from rasa.shared.exceptions import InvalidConfigException
from sanic import Blueprint, response
from sanic.request import Request
from sanic.response import HTTPResponse

from carethread_engine.agent import EngineAgent
from carethread_engine.faults import TurnFailed
from carethread_engine.turns import PlatformEvent, Turn, TurnRequest

logger = logging.getLogger(__name__)

TOKEN_VARIABLE = "CARETHREAD_ENGINE_TOKEN"  # noqa: S105  # its name, not its value
CHANNELS = ("web", "sms", "whatsapp")


class BadRequest(Exception):
    """What is wrong with the request, in a sentence without anything of the patient's in it."""


class CarethreadInput(InputChannel):
    """POST /webhooks/carethread/webhook with a bearer token, and a JSON object:

        sender      required, `<tenant>/<conversation id>`
        message_id  required; repeated, it returns the turn already taken
        channel     required, one of the channels in credentials.yml
        kind        "text" (default) or "event"
        text        required with kind "text"
        event       required with kind "event": {"name": intent, "entities": [...] or {name: value}}
        language    optional language code, kept in the slot `language`
        metadata    optional object for the actions

    Answers 200 with {"messages": [{"text", "key", "parameters", …}], "intent": {"name", "confidence"}, "entities"},
    400 for a request that can never work, 401, 503 without a model, 5xx when the turn was not taken: try again.
    """

    @classmethod
    def name(cls) -> str:
        return "carethread"

    @classmethod
    def from_credentials(cls, credentials: dict[str, Any] | None) -> CarethreadInput:
        token = os.environ.get(TOKEN_VARIABLE)
        if not token:
            raise InvalidConfigException(
                f"{TOKEN_VARIABLE} is not set: the engine must know who may talk to it. Give it the same secret as "
                "the platform"
            )
        return cls(token, tuple((credentials or {}).get("channels", CHANNELS)))

    def __init__(self, token: str, channels: tuple[str, ...] = CHANNELS) -> None:
        self._token = token.encode()
        self._channels = channels
        self._turns: set[asyncio.Task[Turn]] = set()

    def blueprint(self, on_new_message: Callable[[UserMessage], Awaitable[Any]]) -> Blueprint:
        blueprint = Blueprint("carethread_webhook")

        @blueprint.route("/health", methods=["GET"])
        async def health(request: Request) -> HTTPResponse:
            agent = _agent(request)
            if agent is None:
                return response.json({"status": "no model is loaded"}, status=503)
            return response.json({"status": "ok", "model": agent.model_id})

        @blueprint.route("/webhook", methods=["POST"])
        async def receive(request: Request) -> HTTPResponse:
            if not self._may_enter(request):
                return response.json({"error": "who are you?"}, status=401)
            try:
                turn_request = read(request.body, self._channels)
            except BadRequest as error:
                return response.json({"error": str(error)}, status=400)
            agent = _agent(request)
            if agent is None:
                return response.json({"error": "no model is loaded"}, status=503)
            return await self._answer(agent, turn_request)

        return blueprint

    def _may_enter(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return hmac.compare_digest(token.strip().encode(), self._token) and scheme.lower() == "bearer"

    async def _answer(self, agent: EngineAgent, turn_request: TurnRequest) -> HTTPResponse:
        # A client that hangs up must not tear the turn apart: it runs to its end and waits for the retry.
        task = asyncio.create_task(agent.turn(turn_request))
        self._turns.add(task)
        task.add_done_callback(self._done)
        try:
            turn = await asyncio.shield(task)
        except TurnFailed as error:
            logger.error("turn not taken: %s: %s", type(error).__name__, error)
            return response.json({"error": type(error).__name__, "detail": str(error)}, status=error.status)
        except Exception as error:
            logger.error("turn not taken: %s", type(error).__name__, exc_info=error)
            return response.json({"error": type(error).__name__}, status=500)
        return response.json(turn.as_json())

    def _done(self, task: asyncio.Task[Turn]) -> None:
        self._turns.discard(task)
        if not task.cancelled():
            task.exception()  # read, so that an abandoned failure does not print itself


def read(body: bytes, channels: tuple[str, ...]) -> TurnRequest:
    """The request in `body`. Raises `BadRequest` with what is missing."""
    try:
        fields = json.loads(body)
    except ValueError:
        raise BadRequest("the body is not JSON") from None
    if not isinstance(fields, dict):
        raise BadRequest("the body is not a JSON object")
    fields = _storable(fields)
    channel = _required(fields, "channel")
    if channel not in channels:
        raise BadRequest(f"channel is not one of {', '.join(channels)}")
    kind = fields.get("kind") or "text"
    if kind not in ("text", "event"):
        raise BadRequest('kind is neither "text" nor "event"')
    text = fields.get("text")
    if kind == "text" and not isinstance(text, str):
        raise BadRequest("text is missing")
    metadata = fields.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequest("metadata is not an object")
    language = fields.get("language")
    if language is not None and not isinstance(language, str):
        raise BadRequest("language is not a string")
    sender = _required(fields, "sender")
    if not all(sender.partition("/")[::2]):
        raise BadRequest("sender is not <tenant>/<conversation id>")
    return TurnRequest(
        sender=sender,
        message_id=_required(fields, "message_id"),
        channel=channel,
        text=text if kind == "text" and isinstance(text, str) else "",
        language=language or None,
        event=_event(fields.get("event")) if kind == "event" else None,
        metadata=metadata,
    )


def _required(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"{name} is missing")
    return value


def _event(value: Any) -> PlatformEvent:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str) or not value["name"]:
        raise BadRequest("event.name is missing")
    entities = value.get("entities") or []
    if isinstance(entities, dict):
        entities = [{"entity": name, "value": item} for name, item in entities.items()]
    if not isinstance(entities, list) or not all(isinstance(item, dict) and item.get("entity") for item in entities):
        raise BadRequest("event.entities is neither an object nor a list of objects with an entity")
    return PlatformEvent(value["name"], tuple(entities))


def _storable(value: Any) -> Any:
    """Without what JSON allows and PostgreSQL's jsonb does not: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    return value


def _agent(request: Request) -> EngineAgent | None:
    """The agent, once its model is loaded. Only ours will do: Rasa's own would swallow failures."""
    agent = getattr(request.app.ctx, "agent", None)
    return agent if isinstance(agent, EngineAgent) and agent.is_ready() else None
