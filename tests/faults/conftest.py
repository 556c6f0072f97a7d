"""One installation for all faults of the whole stack: each test breaks it, and finds it whole again."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.rig import Rig, running_rig


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def whole_rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    async with running_rig(tmp_path_factory.mktemp("rig")) as rig:
        yield rig


@pytest_asyncio.fixture(loop_scope="session")
async def rig(whole_rig: Rig) -> AsyncIterator[Rig]:
    """Everything healthy before a test and put right after it."""
    await whole_rig.whole()
    yield whole_rig
    for patient in whole_rig.patients:
        await patient.__aexit__(None, None, None)
    whole_rig.patients.clear()
    await whole_rig.whole()
