"""Rasa's agent on our own parts: a store that fails aloud, and turns that are kept whole or not at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

from rasa.core.agent import Agent
from rasa.core.lock_store import LockError
from rasa.core.tracker_store import InMemoryTrackerStore, TrackerStore
from rasa.shared.core.domain import Domain

from carethread_engine.faults import TurnTooSlow
from carethread_engine.quick import quicken
from carethread_engine.turns import Turn, TurnProcessor, TurnRequest

# How often a waiting turn looks whether the one before it is done.
LOCK_POLL_SECONDS = 0.05


class EngineAgent(Agent):
    """An agent that takes turns for the platform."""

    turn_timeout: float = 19.0

    @staticmethod
    def _create_tracker_store(store: TrackerStore | None, domain: Domain) -> TrackerStore:
        # Rasa would wrap the store so that a failed read looks like a new conversation and a failed save like a
        # kept one. Ours fails aloud.
        store = store or InMemoryTrackerStore(domain)
        store.domain = domain
        return store

    def load_model(self, model_path: Path | str, fingerprint: str | None = None) -> None:
        self.processor = TurnProcessor(
            model_path=model_path,
            tracker_store=self.tracker_store,
            lock_store=self.lock_store,
            action_endpoint=self.action_endpoint,
            generator=self.nlg,
            on_circuit_break=_circuit_broken,
        )
        self.processor.graph_runner = quicken(self.processor.graph_runner)
        self.domain = self.processor.domain
        self.tracker_store.domain = self.domain
        self._set_fingerprint(fingerprint)

    async def turn(self, request: TurnRequest) -> Turn:
        """Take a turn, one at a time for each conversation. Raises a `TurnFailed`; then nothing was kept."""
        processor = cast(TurnProcessor, self.processor)
        try:
            async with self.lock_store.lock(request.sender, wait_time_in_seconds=LOCK_POLL_SECONDS):
                return await asyncio.wait_for(processor.take(request), self.turn_timeout)
        except asyncio.TimeoutError:  # noqa: UP041  # in Python 3.10 not the built-in one
            raise TurnTooSlow(f"the turn took longer than {self.turn_timeout:g} s") from None
        except LockError:
            raise TurnTooSlow("the turn before this one does not end") from None


def _circuit_broken(*_: object) -> None:
    raise RuntimeError("the policies chose ten actions in a row without listening: a rule leads into itself")
