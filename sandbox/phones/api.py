"""The phones themselves, for the page, the terminal and tests: write, read, watch."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json as jsonlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import file, json

from carethread.channels.twilio.accounts import PhoneChannel, from_twilio
from carethread.channels.twilio.encoding import segments
from sandbox.phones.network import Line, Network, media_path
from sandbox.phones.people import people
from sandbox.phones.store import Message

PAGE = Path(__file__).parent / "page"
MAX_MEDIA_BYTES = 5_000_000
MAX_WAIT = 60.0  # seconds that a reader may wait for something new
HEARTBEAT = 10.0  # seconds
MAX_HISTORY = 100_000  # messages of one phone

_Model = TypeVar("_Model", bound=BaseModel)

_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
_ASSETS = {"phones.css": "text/css", "phones.js": "text/javascript", "thread.js": "text/javascript"}


class BadRequest(Exception):
    """What is wrong with a request, and how to mend it."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewMedia(_Body):
    """An attachment; `data` is base64."""

    content_type: str = Field(pattern=r"^(image|audio|video|application|text)/[\w.+-]{1,60}$")
    data: str = ""


class NewMessage(_Body):
    """What a person sends: a text, attachments, or both, to the clinic's first number or to `clinic`."""

    channel: PhoneChannel
    text: str = Field(default="", max_length=200_000)
    media: list[NewMedia] = Field(default=[], max_length=10)
    clinic: str | None = None


class Seen(_Body):
    channel: PhoneChannel


def blueprint(network: Network) -> Blueprint:
    """The page at `/` and the JSON API below `/api`."""
    routes = Blueprint("phones")

    @routes.exception(BadRequest)  # type: ignore[untyped-decorator]
    async def bad(_request: Request, error: BadRequest) -> HTTPResponse:
        return json({"error": str(error)}, status=400)

    @routes.get("/", name="page")
    async def page(_request: Request) -> HTTPResponse:
        return await file(PAGE / "index.html", mime_type="text/html; charset=utf-8", headers=_HEADERS)

    @routes.get("/assets/<name:str>", name="asset")
    async def asset(_request: Request, name: str) -> HTTPResponse:
        if name not in _ASSETS:
            return json({"error": "there is no such file"}, status=404)
        return await file(PAGE / name, mime_type=f"{_ASSETS[name]}; charset=utf-8", headers=_HEADERS)

    @routes.get("/api/directory", name="directory")
    async def directory(_request: Request) -> HTTPResponse:
        lines = [
            {"channel": line.channel, "clinic": line.account.address, "name": line.clinic.name}
            for line in network.lines
        ]
        return json({"lines": lines, "people": people()})

    @routes.post("/api/phones/<number:str>/messages", name="write")
    async def write(request: Request, number: str) -> HTTPResponse:
        phone, body = _phone(number), _parsed(request, NewMessage)
        line = _line(network, body)
        media = [network.store.keep_media(item.content_type, _decoded(item.data)) for item in body.media]
        message = network.from_phone(phone, line, body.text, media)
        return json({"sid": message.sid, "id": message.id}, status=201)

    @routes.get("/api/phones/<number:str>/messages", name="read")
    async def read(request: Request, number: str) -> HTTPResponse:
        phone = _phone(number)
        where, values = ["phone = ?", "id > ?"], [phone, _number(request, "after", 0)]
        for name, allowed in (("channel", ("sms", "whatsapp")), ("direction", ("to_clinic", "to_patient"))):
            if value := request.args.get(name):
                if value not in allowed:
                    raise BadRequest(f"{name} is one of {', '.join(allowed)}")
                where.append(f"{name} = ?")
                values.append(value)
        wait = min(_number(request, "wait", 0), MAX_WAIT)
        deadline = asyncio.get_running_loop().time() + wait
        with network.watching() as changed:
            while True:
                changed.clear()
                found = network.store.find(" and ".join(where), values)
                left = deadline - asyncio.get_running_loop().time()
                if found or left <= 0:
                    return json({"messages": [entry(message) for message in found]})
                try:
                    await asyncio.wait_for(changed.wait(), left)
                except TimeoutError:
                    continue

    @routes.get("/api/phones/<number:str>/events", name="events")
    async def events(request: Request, number: str) -> None:
        phone = _phone(number)
        seen = int(request.headers.get("last-event-id") or _number(request, "after", 0))
        stream = await request.respond(content_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        assert stream is not None
        await stream.send("retry: 1000\n\n")
        first = True
        with network.watching() as changed:
            while not request.app.state.is_stopping:
                changed.clear()
                news = network.store.find("phone = ? and change > ?", (phone, seen), limit=MAX_HISTORY)
                for message in news:
                    await stream.send(f"data: {jsonlib.dumps(entry(message))}\n\n")
                if news or first:
                    # Only a whole batch moves the place that a page resumes from: it comes by id, not by change.
                    seen = max([seen, *(message.change for message in news)])
                    await stream.send(f"id: {seen}\nevent: current\ndata: {{}}\n\n")
                    first = False
                try:
                    await asyncio.wait_for(changed.wait(), HEARTBEAT)
                except TimeoutError:
                    await stream.send(": still here\n\n")

    @routes.post("/api/phones/<number:str>/read", name="seen")
    async def seen(request: Request, number: str) -> HTTPResponse:
        return json({"read": network.read(_phone(number), _parsed(request, Seen).channel)})

    @routes.post("/api/messages/<sid:str>/retry", name="retry")
    async def retry(request: Request, sid: str) -> HTTPResponse:
        _parsed(request, _Body)
        message = network.store.get(sid)
        if message is None or message.direction != "to_clinic" or message.status != "failed":
            raise BadRequest("only a message of a patient's that failed can be sent again")
        return json(entry(network.retry(message)))

    return routes


def entry(message: Message) -> Mapping[str, Any]:
    """A message as the page and the terminal see it."""
    return {
        "id": message.id,
        "change": message.change,
        "sid": message.sid,
        "direction": message.direction,
        "channel": message.channel,
        "clinic": message.clinic,
        "phone": message.phone,
        "text": message.text,
        "media": [{"content_type": media.content_type, "url": media_path(message, media)} for media in message.media],
        "status": message.status,
        "error": message.error,
        "segments": segments(message.text),
        "at": message.created_at.isoformat(),
    }


def _phone(raw: str) -> str:
    number = from_twilio("sms", unquote(raw))
    if number is None:
        raise BadRequest("a phone number starts with + and its country code, like +13125550101")
    return number


def _line(network: Network, body: NewMessage) -> Line:
    if not body.text and not body.media:
        raise BadRequest("the message has neither text nor media")
    line = network.line(body.channel, body.clinic)
    if line is None:
        raise BadRequest(
            f"no clinic receives {body.channel} on {body.clinic or 'any number'}; see clinics/*/clinic.yml"
        )
    return line


def _parsed(request: Request, model: type[_Model]) -> _Model:
    # A page of another site can post a form here, but not JSON.
    if not request.headers.get("content-type", "").startswith("application/json"):
        raise BadRequest("the body must be application/json")
    try:
        return model.model_validate_json(request.body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{'.'.join(str(part) for part in first['loc']) or 'body'}: {first['msg']}") from None


def _number(request: Request, name: str, default: int) -> int:
    value = request.args.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or len(value) > 18:
        raise BadRequest(f"{name} is a whole number, zero or more")
    return int(value)


def _decoded(data: str) -> bytes:
    try:
        decoded = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise BadRequest("media.data is not base64") from None
    if len(decoded) > MAX_MEDIA_BYTES:
        raise BadRequest(f"an attachment may have {MAX_MEDIA_BYTES:,} bytes")
    return decoded
