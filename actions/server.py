"""The actions process: rasa-sdk's webhook for custom actions, and the NLG endpoint that turns keys into words."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import Any

from rasa_sdk.endpoint import create_app
from rasa_sdk.executor import ActionExecutor
from sanic import HTTPResponse, Request, Sanic
from sanic.response import json
from sqlalchemy.exc import NoResultFound

from actions.base import use
from carethread.bootstrap import conversations, core
from carethread.config import Settings
from carethread.conversations.context import Parts, load_conversation
from carethread.dialogue.content import ContentError


def application(settings: Settings) -> Sanic[Any, Any]:
    """The app, listening on nothing yet. Raises `ConfigError` on a bad file."""
    executor = ActionExecutor()
    executor.register_package("actions")
    app: Sanic[Any, Any] = create_app(executor, cors_origins=None)
    parts = conversations(core(settings))

    @app.before_server_start
    async def start(_app: Sanic[Any, Any]) -> None:
        use(parts)

    @app.after_server_stop
    async def stop(_app: Sanic[Any, Any]) -> None:
        await parts.database.close()

    @app.post("/nlg")
    async def nlg(request: Request) -> HTTPResponse:
        return await _words(parts, request.json or {})

    return app


async def _words(parts: Parts, body: dict[str, Any]) -> HTTPResponse:
    """Rasa's NLG contract: `{"response", "arguments", "tracker", "channel"}` in, `{"text", "custom"}` out."""
    key, parameters = str(body.get("response", "")), dict(body.get("arguments") or {})
    tracker = body.get("tracker") or {}
    sender = str(tracker.get("sender_id", ""))
    clinic = parts.clinics.get(sender.split("/")[0]) or next(iter(parts.clinics.values()))
    language = (tracker.get("slots") or {}).get("language") or await _language(parts, sender) or clinic.languages[0]
    try:
        rendered = parts.content.current.render(key, parameters, clinic=clinic, language=language, channel="web")
    except ContentError as error:
        return json({"error": str(error)}, status=404)
    return json({"text": rendered.text, "custom": {"key": key, "parameters": parameters}})


async def _language(parts: Parts, sender: str) -> str | None:
    """The language of a conversation of ours; None for any other sender, as in `rasa shell` without an id."""
    tenant, _, conversation = sender.partition("/")
    if tenant not in parts.clinics:
        return None
    with suppress(ValueError, NoResultFound):
        return (await load_conversation(parts.database, tenant, uuid.UUID(conversation))).language
    return None


def run(settings: Settings) -> None:
    """Serve on the private address until SIGTERM."""
    application(settings).run(
        host=settings.actions_host,
        port=settings.actions_port,
        single_process=True,
        access_log=False,
        motd=False,
        debug=False,
    )
