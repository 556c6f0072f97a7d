"""What unseen messages get. The sets in tests/data were written apart and are never trained on; see its README."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from carethread.safety.alarm_training import ordinary_texts
from carethread.safety.examples import example_texts
from carethread.safety.screening import Screener
from carethread.yamls import parse

pytestmark = pytest.mark.slow  # screens three thousand messages

ALARMS = ("emergency", "crisis")
ROOT = Path(__file__).parents[2]
SETS = ROOT / "tests" / "data"
# Of each kind and language: how many there must be, and the least (of look-alikes: the most) that may alarm. The shares
# are what was measured with a little room for another fit, so that no change makes it worse unseen.
SHARES: dict[str, tuple[int, dict[str, float]]] = {
    "emergencies": (400, {"en": 0.99, "es": 0.94}),
    "crisis": (150, {"en": 0.95, "es": 0.91}),
    "lookalikes": (600, {"en": 0.07, "es": 0.07}),
}


def proof(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SETS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("name", SHARES)
def test_unseen_messages_are_screened_no_worse_than_reported(screener: Screener, name: str, language: str) -> None:
    rows = [row for row in proof(f"safety_{name}") if row["language"] == language]
    least, shares = SHARES[name]
    assert len(rows) >= least // 2
    alarmed = sum(screener.screen(row["text"]).level in ALARMS for row in rows) / len(rows)
    assert alarmed <= shares[language] if name == "lookalikes" else alarmed >= shares[language]


def test_everyday_messages_hardly_ever_alarm(screener: Screener) -> None:
    rows = [row for name in ("intents", "out_of_scope") for row in proof(name) if row.get("intent") != "emergency"]
    levels = Counter(screener.screen(row["text"]).level for row in rows)
    assert sum(levels[level] for level in ALARMS) <= 0.01 * len(rows)
    assert levels["urgent"] <= 0.01 * len(rows)


def test_nothing_of_the_proof_is_trained_on() -> None:
    trained = {example.text.casefold() for example in example_texts(ROOT / "content" / "safety")}
    safety = {row["text"].casefold() for name in SHARES for row in proof(f"safety_{name}")}
    assert safety & trained == set()
    taught = {example.text.casefold() for example in ordinary_texts(ROOT / "data" / "nlu")}
    intents = [row for row in proof("intents") if len(row["text"].split()) > 4]
    assert [row["text"] for row in intents if row["text"].casefold() in taught] == []


def test_every_intent_is_proven_in_both_languages() -> None:
    domain = parse((ROOT / "domain.yml").read_text(encoding="utf-8"))
    names = {next(iter(intent)) for intent in domain["intents"] if isinstance(intent, dict)}
    names = {name for name in names if not name.startswith("EXTERNAL_")} - {"out_of_scope"}
    counts = Counter((row["intent"], row["language"]) for row in proof("intents"))
    assert {intent for intent, _ in counts} == names
    assert min(counts.values()) >= 10
    assert len(proof("intents")) >= 800
    assert len(proof("out_of_scope")) >= 300
