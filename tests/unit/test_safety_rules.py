"""The safety tables hold what they say: every rule catches its examples and leaves its counter-examples alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.safety.screening import RuleSet, load_rules

CONTENT = Path(__file__).parents[2] / "content" / "safety"


@pytest.fixture(scope="module")
def rules() -> RuleSet:
    return load_rules(CONTENT)


def test_every_rule_keeps_its_word(rules: RuleSet) -> None:
    assert rules.check() == ()
