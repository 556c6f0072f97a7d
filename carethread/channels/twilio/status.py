"""The verb status: what Twilio says became of a message, into a `DeliveryUpdate`. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from carethread.channels.twilio.receive import Refused, sid_of
from carethread.messaging.types import DeliveryState, DeliveryUpdate

# https://www.twilio.com/docs/messaging/api/message-resource#message-status-values
# Every state before `sent` says that Twilio has the message, which settles a send of unknown outcome.
STATES: Mapping[str, DeliveryState] = {
    "accepted": "sent",
    "scheduled": "sent",
    "queued": "sent",
    "sending": "sent",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

_MAX_ID = 2**63 - 1  # PostgreSQL's bigint


def delivery_update(form: Mapping[str, str], outbox: str | None) -> DeliveryUpdate | None:
    """The update in `form`, about the row named by the callback's `?outbox=`; None for a status of no interest."""
    sid = sid_of(form)
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    if not status:
        raise Refused(400, "MessageStatus is missing")
    state = STATES.get(status.lower())
    if state is None:
        return None
    code = form.get("ErrorCode", "")
    known = code.isascii() and code.isdigit() and len(code) <= 6
    return DeliveryUpdate(
        state=state,
        outbox_id=_outbox_id(outbox),
        provider_id=sid,
        error=f"twilio {code if known else status.lower()}" if state == "failed" else None,
    )


def _outbox_id(raw: str | None) -> int | None:
    if raw is None:
        return None
    if not raw.isascii() or not raw.isdigit() or len(raw) > 19 or not 0 < int(raw) <= _MAX_ID:
        raise Refused(400, "outbox in the address is not the id of a message")
    return int(raw)
