"""First contact: every way in which a conversation can begin, and what stands where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from carethread.config import PROJECT
from carethread.messaging.introduction import INTRODUCE, introduced
from carethread.messaging.outbox import Say
from carethread.safety.guard import load_guard

NOW = datetime(2026, 3, 6, 15, tzinfo=UTC)


@dataclass
class Talk:
    owner: str = "assistant"
    introduced_at: datetime | None = None


def said(talk: Talk, *keys: str) -> list[str]:
    says = introduced(talk, [Say(f"utter_{key}", {}) for key in keys], NOW)
    return [say.key.removeprefix("utter_") for say in says]


@pytest.mark.parametrize(
    ("begins", "owner", "keys", "hears", "introduced_now"),
    [
        ("the patient says hello", "assistant", "greet", "introduction greet", True),
        ("the patient asks for help, whose answer says it all", "assistant", "help", "help", True),
        ("the patient sends a picture", "assistant", "media_only", "introduction media_only", True),
        ("the patient wants a person", "human", "human_coming", "introduction human_coming", True),
        ("the platform starts a check-in", "assistant", "checkin x", "introduction checkin x", True),
        ("the answer takes long", "assistant", "holding", "introduction holding", True),
        ("the assistant is down", "human", "gave_up", "introduction gave_up", True),
        ("the patient starts again after a STOP", "assistant", "started", "introduction started", True),
        ("staff wrote first and hand back", "assistant", "handed_back", "introduction handed_back", True),
        ("the patient says STOP", "assistant", "stopped", "stopped", False),
        ("a red flag", "emergency", "safety_emergency", "safety_emergency", False),
        ("a crisis", "emergency", "safety_crisis", "safety_crisis", False),
        ("a word after a red flag", "emergency", "safety_waiting", "safety_waiting introduction", True),
        ("nothing is said", "assistant", "", "", False),
    ],
)  # fmt: skip
def test_first_contact(begins: str, owner: str, keys: str, hears: str, introduced_now: bool) -> None:
    talk = Talk(owner)
    assert said(talk, *keys.split()) == hears.split(), begins
    assert (talk.introduced_at == NOW) is introduced_now, begins


def test_it_is_said_once() -> None:
    talk = Talk()
    assert said(talk, "help") == ["help"]
    assert said(talk, "greet") == ["greet"]
    assert said(Talk(introduced_at=NOW), "help") == ["help"]


def test_after_a_stop_or_a_red_flag_it_is_still_due() -> None:
    talk = Talk()
    assert said(talk, "stopped") == ["stopped"]
    assert said(talk, "started") == ["introduction", "started"]


def test_every_text_that_introduces_must_say_all_of_it() -> None:
    """So an answer may stand alone at first contact only where the guard sees to its words."""
    guard = load_guard(PROJECT / "content" / "safety" / "guard.yml")
    whole = [line for line in guard.disclosure if "utter_introduction" in line.said_in]
    assert len(whole) == 5
    assert all(set(INTRODUCE) <= set(line.said_in) for line in whole)
