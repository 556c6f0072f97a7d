"""A page on a WebSocket: what it sends goes into the ledger, and what the ledger has that it lacks goes to it.

From the page: `hello` {token, after} first; then `send` {id, text}, `seen` {ids, state}, `resume` {after}.
To the page: `ready`; `entries` {entries, cursor, more}; `state` {typing, owner, language, level}, at least every
`HEARTBEAT` seconds; `accepted` {id}; `error` {code, id, retry_after}.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog
from sanic import Websocket
from sanic.exceptions import WebsocketClosed
from websockets.exceptions import ConnectionClosed

from carethread.channels.web.chat import REFUSE_TEXT, Chat, Refused, Watch
from carethread.channels.web.ledger import Cursor
from carethread.channels.web.session import Visitor
from carethread.storage.database import UNAVAILABLE

log = structlog.get_logger()

HEARTBEAT = 20.0  # seconds
HELLO_TIMEOUT = 10.0  # seconds
# A page that takes longer to read what it is sent is dropped; it comes back and reads on from its cursor.
SEND_TIMEOUT = 10.0  # seconds
# The longest text that is taken, with every character escaped as JSON may.
MAX_FRAME = REFUSE_TEXT * 6 + 1_000  # characters

# Close codes: of the protocol's own range, and of ours (4000 and up).
TRY_LATER = 1013
NOT_ALLOWED = 4401
TOO_MANY = 4429


async def serve(chat: Chat, ws: Websocket, origin: str | None) -> None:
    """Serve one page until it goes away."""
    try:
        visitor, cursor = await _hello(chat, ws, origin)
        with chat.page(visitor), chat.watch(visitor) as watch:
            await _Page(chat, ws, visitor, watch, cursor).run()
    except Refused as refused:
        await _send(ws, {"type": "error", "code": refused.code})
        await ws.close(TOO_MANY if refused.code == "too_many" else NOT_ALLOWED)
    except TimeoutError:
        ws.fail_connection(TRY_LATER)
    except UNAVAILABLE as error:
        log.warning("web_unavailable", error=type(error).__name__)
        await ws.close(TRY_LATER)
    except (ConnectionClosed, WebsocketClosed):
        pass


async def _hello(chat: Chat, ws: Websocket, origin: str | None) -> tuple[Visitor, Cursor]:
    frame = await ws.recv(HELLO_TIMEOUT)
    hello = _parse(frame)
    if hello.get("type") != "hello":
        raise Refused("bad_message")
    return chat.visitor(str(hello.get("token", "")), origin), Cursor.parse(str(hello.get("after", "")))


class _Page:
    """The two directions of one socket."""

    def __init__(self, chat: Chat, ws: Websocket, visitor: Visitor, watch: Watch, cursor: Cursor) -> None:
        self._chat = chat
        self._ws = ws
        self._visitor = visitor
        self._watch = watch
        self._cursor = cursor
        # Entry id → how this page last got it: of the earlier entries that are read again, only changed ones go out.
        self._shown: dict[str, str] = {}

    async def run(self) -> None:
        push = asyncio.create_task(self._push())
        pull = asyncio.create_task(self._pull())
        try:
            done, _ = await asyncio.wait((push, pull), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                # Sanic cancels a read whose socket is gone: an end like any other.
                if not task.cancelled():
                    task.result()
        finally:
            for task in (push, pull):
                task.cancel()
            await asyncio.gather(push, pull, return_exceptions=True)

    async def _push(self) -> None:
        last: dict[str, Any] | None = None
        while True:
            asked = self._cursor
            change = await self._watch.read(asked)
            if last is None:
                # Only now: a page that hears `ready` may rely on the ledger being there.
                await self._tell({"type": "ready"})
                last = {}
            entries = [entry for entry in change.entries if self._shown.get(entry["id"]) != entry["state"]]
            if entries:
                await self._tell({"type": "entries", "entries": entries, "cursor": str(change.cursor)})
                self._shown.update((entry["id"], entry["state"]) for entry in entries)
            # A `resume` that came meanwhile has set another place to read from.
            if self._cursor is asked:
                self._cursor = change.cursor
            if (state := change.state.json()) != last or not change.changed:
                await self._tell({"type": "state", **state})
                last = state
            if not change.more and self._cursor is change.cursor:
                await self._watch.wait(HEARTBEAT)

    async def _pull(self) -> None:
        while True:
            frame = await self._ws.recv()
            message: dict[str, Any] = {}
            try:
                message = _parse(frame)
                await self._take(message)
            except Refused as refused:
                await self._tell(
                    {
                        "type": "error",
                        "code": refused.code,
                        "id": message.get("id") if isinstance(message.get("id"), str) else None,
                        "retry_after": round(refused.retry_after, 1),
                    }
                )

    async def _take(self, message: dict[str, Any]) -> None:
        kind = message.get("type")
        if kind == "send":
            accepted = await self._chat.receive(self._visitor, message.get("id"), message.get("text"))
            await self._tell({"type": "accepted", "id": accepted})
        elif kind == "seen":
            await self._chat.seen(self._visitor, message.get("ids"), message.get("state"))
        elif kind == "resume":
            self._cursor = Cursor.parse(str(message.get("after", "")))
            self._shown.clear()
            self._watch.nudge()
        else:
            raise Refused("bad_message")

    async def _tell(self, message: dict[str, Any]) -> None:
        await _send(self._ws, message)


async def _send(ws: Websocket, message: dict[str, Any]) -> None:
    await asyncio.wait_for(ws.send(json.dumps(message, ensure_ascii=False)), SEND_TIMEOUT)


def _parse(frame: object) -> dict[str, Any]:
    if not isinstance(frame, str) or len(frame) > MAX_FRAME:
        raise Refused("bad_message")
    try:
        message = json.loads(frame)
    except ValueError as error:
        raise Refused("bad_message") from error
    if not isinstance(message, dict):
        raise Refused("bad_message")
    return message
