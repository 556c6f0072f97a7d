"""SMS and WhatsApp through Twilio: `receive` and `status` take its webhooks, `send` calls its REST API."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carethread.channels.twilio.accounts import check_accounts
    from carethread.channels.twilio.encoding import segments
    from carethread.channels.twilio.routes import blueprint
    from carethread.channels.twilio.send import TwilioChannel, claimed_in

__all__ = ["TwilioChannel", "blueprint", "check_accounts", "claimed_in", "segments"]

# Loaded when first asked for: who needs only the pure parts does not pay seconds for database and REST client.
_HOMES = {
    "TwilioChannel": "send",
    "blueprint": "routes",
    "check_accounts": "accounts",
    "claimed_in": "send",
    "segments": "encoding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
