"""What went wrong while a turn was taken. Rasa catches most of it and goes on in silence; we must not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class TurnFailed(Exception):
    """The turn is not kept, so the same message may be taken again. Carries places and kinds, never words."""

    status = 500


class ActionFailed(TurnFailed):
    """An action, or the server that runs it, failed."""

    status = 502


class TurnTooSlow(TurnFailed):
    """The turn's time ran out."""

    status = 504


class StoreFailed(TurnFailed):
    """The conversation could not be read or kept."""

    status = 503


_noted: ContextVar[list[str] | None] = ContextVar("noted", default=None)


@contextmanager
def watching() -> Iterator[list[str]]:
    """Collect what `note` reports from anywhere below, in this task."""
    faults: list[str] = []
    token = _noted.set(faults)
    try:
        yield faults
    finally:
        _noted.reset(token)


def note(place: str, error: BaseException) -> None:
    """Remember that `place` failed, although somebody is about to swallow it."""
    faults = _noted.get()
    if faults is not None:
        faults.append(f"{place}: {type(error).__name__}")
