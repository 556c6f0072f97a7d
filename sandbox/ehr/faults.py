"""Makes the sandbox EHR slow, failing or silent on demand, for tests. Off unless the server is started with --faults.

POST `/_sandbox/faults` adds one, GET lists what is left, DELETE clears:

    {"match": "Slot", "method": "PATCH", "status": 503, "delay_s": 0.5, "count": 2, "when": "before", "drop": false}

`match` is looked for in the path with its query; `count` is how many requests it hits (absent: all, until cleared).
`when: after` lets the request take effect first, so that the caller cannot know; `drop` cuts the connection instead
of answering.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PATH = "/_sandbox/faults"


class Fault(BaseModel):
    """One fault; see the module for its meaning."""

    model_config = ConfigDict(extra="forbid")

    match: str = ""
    method: str | None = None
    status: int | None = Field(default=None, ge=400, le=599)
    delay_s: float = Field(default=0, ge=0, le=120)
    count: int | None = Field(default=None, ge=1)
    when: Literal["before", "after"] = "before"
    drop: bool = False
    retry_after_s: int | None = None


class FaultInjector:
    """ASGI middleware around the whole server."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request, through the first fault that matches it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == PATH:
            await self._manage(scope["method"], receive, send)
        else:
            fault = self._take(scope)
            if fault is None:
                await self._app(scope, receive, send)
            else:
                await self._suffer(fault, scope, receive, send)

    def _take(self, scope: dict[str, Any]) -> Fault | None:
        target = unquote_plus(scope["path"] + "?" + scope["query_string"].decode("latin-1"))
        with self._lock:
            for fault in self._faults:
                if fault.match in target and fault.method in (None, scope["method"]):
                    if fault.count is not None:
                        fault.count -= 1
                        if fault.count == 0:
                            self._faults.remove(fault)
                    return fault
        return None

    async def _suffer(self, fault: Fault, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if fault.when == "before" and fault.delay_s:
            await asyncio.sleep(fault.delay_s)
        if fault.status is None and not fault.drop:
            if fault.when == "after":
                await self._app(scope, receive, _late(send, fault.delay_s))
            else:
                await self._app(scope, receive, send)
            return
        if fault.when == "after":
            await self._app(scope, receive, _nowhere)
            await asyncio.sleep(fault.delay_s)
        if fault.drop:
            # promising a body and sending none makes the server cut the connection
            headers = [(b"content-type", b"application/fhir+json"), (b"content-length", b"4096")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"{", "more_body": True})
            return
        outcome = {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "error", "code": "transient", "diagnostics": "injected fault"}],
        }
        extra = [(b"retry-after", str(fault.retry_after_s).encode())] if fault.retry_after_s is not None else []
        await _answer(send, fault.status or 503, outcome, extra)

    async def _manage(self, method: str, receive: Any, send: Any) -> None:
        if method == "POST":
            body = b""
            while True:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
            try:
                fault = Fault.model_validate_json(body)
            except ValidationError as error:
                await _answer(send, 400, {"error": json.loads(error.json(include_url=False))})
                return
            with self._lock:
                self._faults.append(fault)
        elif method == "DELETE":
            with self._lock:
                self._faults.clear()
        with self._lock:
            left = [f.model_dump(exclude_none=True) for f in self._faults]
        await _answer(send, 200, {"faults": left})


def _late(send: Any, delay_s: float) -> Any:
    async def later(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(delay_s)
        await send(message)

    return later


async def _nowhere(message: dict[str, Any]) -> None:
    """Swallows the answer that the caller is not to see."""


async def _answer(
    send: Any, status: int, body: dict[str, Any], headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    content = json.dumps(body).encode()
    start = [(b"content-type", b"application/fhir+json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*start, *(headers or [])]})
    await send({"type": "http.response.body", "body": content})
