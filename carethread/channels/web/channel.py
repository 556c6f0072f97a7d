"""Sending on the web: a row that is `sent` is visible, so there is no provider to wait for and nothing to lose."""

from __future__ import annotations

from carethread.messaging.types import OutboundMessage, Sent


class WebChannel:
    """The outbox's verbs for web. Pages read the ledger; `delivered` and `read` come back from them."""

    async def send(self, message: OutboundMessage) -> Sent:
        return Sent(f"web:{message.outbox_id}")

    async def lookup(self, message: OutboundMessage) -> Sent | None:
        return Sent(f"web:{message.outbox_id}")
