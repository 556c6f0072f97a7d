"""The web page of a questionnaire: one question at a time, in the chat's own session. `blueprint` is its edge."""

from carethread.channels.page.routes import Parts, blueprint

__all__ = ["Parts", "blueprint"]
