"""The web channel: a chat on the clinic's own pages, over a WebSocket or plain HTTP. `blueprint` is its edge."""

from carethread.channels.web.channel import WebChannel
from carethread.channels.web.chat import Limits, Parts
from carethread.channels.web.routes import blueprint

__all__ = ["Limits", "Parts", "WebChannel", "blueprint"]
