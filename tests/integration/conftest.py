"""One installation for all conversations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.stack import Stack, running_stack
from tests.world import World


@pytest.fixture(scope="session")
async def stack() -> AsyncIterator[Stack]:
    """Every process of the product."""
    async with running_stack() as running:
        yield running


@pytest.fixture(scope="session")
async def world(stack: Stack) -> AsyncIterator[World]:
    """The clinic's side, shared so that no two scenes get the same person or the same free time."""
    world = World(stack)
    yield world
    await world.close()
