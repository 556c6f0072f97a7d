"""The verb receive: Twilio's form parameters into an `InboundMessage`. Pure; refuses what is not a message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from multidict import MultiDict

from carethread.channels.twilio.accounts import PhoneChannel, from_twilio
from carethread.clinic import Account, Clinic, Clinics
from carethread.messaging.intake import clean
from carethread.messaging.types import MAX_TEXT, InboundMessage

MAX_FIELDS = 200  # parameters in one request; Twilio sends about 30
MAX_MEDIA = 10  # attachments of one message, Twilio's own limit
MAX_FIELD = 2_000  # characters of any parameter kept besides the text

_SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")


class Refused(Exception):
    """A request that cannot be taken: the HTTP status and what is wrong, without what the patient wrote."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def parameters(content_type: str, body: bytes) -> MultiDict[str]:
    """The form parameters of a webhook, blank ones included: Twilio signs those too."""
    if content_type.split(";", 1)[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Refused(400, "the body is not application/x-www-form-urlencoded; set the webhook's method to HTTP POST")
    try:
        return MultiDict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Refused(400, f"the body has more than {MAX_FIELDS} parameters") from None


def owner(clinics: Clinics, channel: PhoneChannel, form: Mapping[str, str], field: str) -> tuple[Clinic, Account]:
    """The clinic whose own address stands in `field` (To of a message, From of a status)."""
    for name in (field, "AccountSid"):
        if not form.get(name):
            raise Refused(400, f"{name} is missing")
    found = clinics.by_account(channel, from_twilio(channel, form[field]) or "")
    if found is None or found[1].account_sid != form["AccountSid"]:
        raise Refused(404, f"no clinic has this {field} address on {channel} under this AccountSid")
    return found


def sid_of(form: Mapping[str, str]) -> str:
    """The message's id with Twilio."""
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    if not _SID.fullmatch(sid):
        raise Refused(400, "MessageSid is missing or is not two letters and 32 hexadecimal digits")
    return sid


def inbound_message(channel: PhoneChannel, account: Account, form: Mapping[str, str]) -> InboundMessage:
    """The message in `form`. A pressed button says its payload; a message of attachments only is kind `media`."""
    sid = sid_of(form)
    address = from_twilio(channel, form.get("From", ""))
    if address is None:
        raise Refused(400, f"From is missing or is not a {channel} address with a phone number in E.164 form")
    text = form.get("ButtonPayload") or form.get("ListId") or form.get("Body", "")
    media = _media(form)
    return InboundMessage(
        channel=channel,
        account=account.address,
        address=address,
        provider_id=sid,
        kind="media" if media and not text.strip() else "text",
        text=text[:MAX_TEXT],
        media=media,
        event={"cut_from": len(text)} if len(text) > MAX_TEXT else None,
    )


def _media(form: Mapping[str, str]) -> tuple[Mapping[str, Any], ...]:
    raw = form.get("NumMedia") or "0"
    if not raw.isascii() or not raw.isdigit() or len(raw) > 3:
        raise Refused(400, "NumMedia is not a number")
    attachments = [
        {
            "type": "attachment",
            "url": _kept(form, f"MediaUrl{number}"),
            "content_type": _kept(form, f"MediaContentType{number}"),
        }
        for number in range(min(int(raw), MAX_MEDIA))
    ]
    if form.get("Latitude") and form.get("Longitude"):
        names = {"latitude": "Latitude", "longitude": "Longitude", "label": "Label", "address": "Address"}
        attachments.append({"type": "location", **{key: _kept(form, name) for key, name in names.items()}})
    return tuple(attachments)


def _kept(form: Mapping[str, str], name: str) -> str:
    return clean(form.get(name, ""))[:MAX_FIELD]
