"""What takes a second to read and no test changes: the safety tables as they are shipped."""

from __future__ import annotations

import pytest

from carethread.config import PROJECT
from carethread.safety.screening import RuleSet, Screener, load_screener


@pytest.fixture(scope="session")
def screener() -> Screener:
    return load_screener(PROJECT / "content" / "safety")


@pytest.fixture(scope="session")
def rules(screener: Screener) -> RuleSet:
    return screener.rules
