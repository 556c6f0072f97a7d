"""The web chat's edge: its blueprint, with sessions, messages over plain HTTP, the socket, and the widget itself."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import structlog
from sanic import Blueprint, HTTPResponse, Request, Websocket
from sanic.response import json, raw

from carethread.channels.web import socket
from carethread.channels.web.assets import Asset, widget
from carethread.channels.web.chat import Chat, Clock, Code, Limits, Parts, Refused
from carethread.channels.web.ledger import Change, Cursor
from carethread.channels.web.session import Visitor
from carethread.storage.database import UNAVAILABLE

log = structlog.get_logger()

# Seconds that a request for news may wait, below the 30 that many proxies allow.
MAX_WAIT = 25.0
_STATUS: dict[Code, int] = {
    "bad_token": 401,
    "bad_origin": 403,
    "bad_message": 400,
    "unknown_account": 404,
    "empty": 400,
    "too_long": 413,
    "too_fast": 429,
    "too_many": 429,
    "unavailable": 503,
}
# An hour without asking again, then a check by ETag: a new widget reaches every page within the hour.
_WIDGET_CACHE = "public, max-age=3600, stale-while-revalidate=86400"


def blueprint(parts: Parts, clock: Clock, *, limits: Limits | None = None) -> Blueprint:
    """Everything under `/web`, and `/widget.js`. Raises `ConfigError` when `content/widget.yml` cannot be used."""
    chat = Chat(parts, clock, limits or Limits())
    bp = Blueprint("web")
    script = widget()

    async def cross_origin(request: Request, response: HTTPResponse) -> None:
        _cross_origin(chat, request, response)

    bp.middleware(cross_origin, "response")
    bp.exception(Refused)(_refused)
    bp.exception(*UNAVAILABLE)(_unavailable)

    @bp.options("/web/<account:str>/session", name="session_preflight")
    @bp.options("/web/<account:str>/about", name="about_preflight")
    async def account_preflight(_request: Request, account: str) -> HTTPResponse:
        return HTTPResponse(status=204)

    @bp.options("/web/messages", name="messages_preflight")
    @bp.options("/web/messages/seen", name="seen_preflight")
    async def preflight(_request: Request) -> HTTPResponse:
        return HTTPResponse(status=204)

    @bp.get("/web/<account:str>/about", name="about")
    async def about(request: Request, account: str) -> HTTPResponse:
        clinic, _ = chat.account(account, request.headers.get("origin"))
        return json(chat.about(clinic), headers={"cache-control": "public, max-age=60"})

    @bp.post("/web/<account:str>/session", name="session")
    async def session(request: Request, account: str) -> HTTPResponse:
        clinic, found = chat.account(account, request.headers.get("origin"))
        opened = chat.open(clinic, found, ip=request.remote_addr or request.ip, token=request.token or "")
        return json(opened, headers={"cache-control": "no-store"})

    @bp.post("/web/messages", name="send")
    async def send(request: Request) -> HTTPResponse:
        visitor, body = _visitor(chat, request), _body(request)
        accepted = await chat.receive(visitor, body.get("id"), body.get("text"))
        return json({"accepted": accepted})

    @bp.get("/web/messages", name="news")
    async def news(request: Request) -> HTTPResponse:
        visitor = _visitor(chat, request)
        cursor = Cursor.parse(request.args.get("after", ""))
        change = await _news(chat, visitor, cursor, _wait(request.args.get("wait", "0")))
        return json(change_json(change), headers={"cache-control": "no-store"})

    @bp.post("/web/messages/seen", name="seen")
    async def seen(request: Request) -> HTTPResponse:
        visitor, body = _visitor(chat, request), _body(request)
        await chat.seen(visitor, body.get("ids"), body.get("state"))
        return HTTPResponse(status=204)

    async def over_socket(request: Request, ws: Websocket) -> None:
        await socket.serve(chat, ws, request.headers.get("origin"))

    bp.add_websocket_route(over_socket, "/web/ws", name="socket")

    @bp.get("/widget.js", name="widget")
    async def widget_js(request: Request) -> HTTPResponse:
        return _file(request, script)

    return bp


def change_json(change: Change) -> dict[str, Any]:
    """A change as pages get it."""
    return {
        "entries": list(change.entries),
        "cursor": str(change.cursor),
        "state": change.state.json(),
        "more": change.more,
    }


async def _news(chat: Chat, visitor: Visitor, cursor: Cursor, wait: float) -> Change:
    """What is new at `cursor`; where nothing is, what comes within `wait` seconds."""
    with chat.page(visitor), chat.watch(visitor) as watch:
        change = await watch.read(cursor)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not change.changed and (left := deadline - loop.time()) > 0:
            await watch.wait(left)
            change = await watch.read(cursor)
        return change


def _wait(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), MAX_WAIT) if math.isfinite(seconds) else 0.0


def _visitor(chat: Chat, request: Request) -> Visitor:
    return chat.visitor(request.token or "", request.headers.get("origin"))


def _body(request: Request) -> dict[str, Any]:
    try:
        body = request.json
    except Exception as error:  # Sanic raises its own kind for what is not JSON, and others for bad encodings
        raise Refused("bad_message") from error
    if not isinstance(body, dict):
        raise Refused("bad_message")
    return body


async def _refused(_request: Request, refused: Exception) -> HTTPResponse:
    assert isinstance(refused, Refused)
    return _refusal(refused)


async def _unavailable(_request: Request, error: Exception) -> HTTPResponse:
    log.warning("web_unavailable", error=type(error).__name__)
    return _refusal(Refused("unavailable", retry_after=2.0))


def _refusal(refused: Refused) -> HTTPResponse:
    headers = {"retry-after": str(max(1, math.ceil(refused.retry_after)))} if refused.retry_after else {}
    body = {"error": refused.code, "retry_after": round(refused.retry_after, 1)}
    return json(body, status=_STATUS[refused.code], headers=headers)


def _cross_origin(chat: Chat, request: Request, response: HTTPResponse) -> None:
    """Let pages of the sites that embed a widget read the answer. No cookies are used, so none are allowed."""
    response.headers["vary"] = "origin, accept-encoding"
    origin = request.headers.get("origin")
    if origin and chat.allowed(origin):
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = "retry-after"
        if request.method == "OPTIONS":
            response.headers["access-control-allow-methods"] = "GET, POST"
            response.headers["access-control-allow-headers"] = "authorization, content-type"
            response.headers["access-control-max-age"] = "600"


def _file(request: Request, asset: Asset) -> HTTPResponse:
    headers = {
        "etag": asset.etag,
        "cache-control": _WIDGET_CACHE,
        # The script itself is public: any page may load it, and it opens a session only where it may.
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    if asset.etag in (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")):
        return HTTPResponse(status=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return raw(
            asset.gzipped,
            headers={**headers, "content-encoding": "gzip"},
            content_type="text/javascript; charset=utf-8",
        )
    return raw(asset.body, headers=headers, content_type="text/javascript; charset=utf-8")
