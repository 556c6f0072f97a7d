"""The pure parts of the staff pages: order, views, times, marks and words."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from carethread.clinic import load_clinic
from carethread.console.site import local
from carethread.console.templating import clock, environment, load_words, minutes, moment, segments, word
from carethread.console.views import Item, Person, _facts, _summary, in_view, masked, ordered
from carethread.storage.models import Staff
from carethread.yamls import parse

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
CHICAGO = ZoneInfo("America/Chicago")
ANA = Staff(id=uuid.uuid4(), name="Ana", teams=["nurse-line"])
SAM = Staff(id=uuid.uuid4(), name="Sam", teams=[])


def _item(**values: Any) -> Item:
    person = Person(None, None, "…0101", "sms", "en", verified=False)
    defaults: dict[str, Any] = {
        "id": uuid.uuid4(), "conversation_id": uuid.uuid4(), "person": person, "severity": "soon", "displayed": "soon",
        "climbs": 0, "reason": "symptoms", "team_id": "front-desk", "team": "Front desk", "state": "open",
        "opened_at": NOW, "deadline": NOW + timedelta(minutes=30), "holder_id": None, "holder": None, "taken_at": None,
        "resolved_at": None, "resolution": None, "summary": None, "quote": None, "spans": (), "rule": None,
        "source": None, "facts": (), "owner": "assistant", "news": False, "reports": (),
    }  # fmt: skip
    return Item(**{**defaults, **values})


@pytest.mark.parametrize(
    ("item", "mine", "team"),
    [
        (_item(), False, False),  # another team's
        (_item(team_id="nurse-line"), False, True),
        (_item(climbs=1, displayed="urgent"), False, True),  # nobody took it in time: everybody's
        (_item(severity="emergency", displayed="emergency"), False, True),
        (_item(holder_id=ANA.id, state="taken"), True, True),
        (_item(holder_id=SAM.id, state="taken", team_id="nurse-line"), False, True),
    ],
)
def test_views(item: Item, mine: bool, team: bool) -> None:
    assert (in_view(item, "mine", ANA), in_view(item, "team", ANA), in_view(item, "all", ANA)) == (mine, team, True)


def test_who_has_no_team_works_for_all() -> None:
    assert in_view(_item(), "team", SAM)


def test_what_waits_comes_before_what_a_colleague_works() -> None:
    late = NOW + timedelta(minutes=50)
    expected = [
        _item(displayed="emergency", severity="emergency", state="taken"),
        _item(displayed="urgent", severity="urgent"),
        _item(deadline=NOW),
        _item(deadline=NOW + timedelta(minutes=10), state="taken", news=True),
        _item(deadline=late),
        _item(deadline=NOW, state="taken"),
        _item(displayed="routine", severity="routine", deadline=NOW),
    ]
    assert ordered(expected[::-1]) == expected


@pytest.mark.parametrize(
    ("hour", "minute", "text"),
    [(6, 5, "12:05 am"), (17, 59, "11:59 am"), (18, 0, "12:00 pm"), (3, 30, "9:30 pm")],
)
def test_times_are_the_clinics(hour: int, minute: int, text: str) -> None:
    assert clock(NOW.replace(hour=hour, minute=minute), CHICAGO) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW, "9:00 am"),
        (NOW.replace(hour=3), "Mar 1, 9:00 pm"),  # today in UTC, yesterday at the clinic
        (NOW.replace(year=2025), "Mar 2, 2025, 9:00 am"),
        (NOW + timedelta(days=7), "Mar 9, 10:00 am"),  # after the clocks went forward
    ],
)
def test_another_day_is_named(at: datetime, text: str) -> None:
    assert moment(at, CHICAGO, NOW) == text


@pytest.mark.parametrize(("seconds", "count"), [(61, 2), (60, 1), (1, 1), (0, 0), (-1, -1), (-60, -1), (-61, -2)])
def test_minutes_round_away_from_now(seconds: int, count: int) -> None:
    assert minutes(NOW + timedelta(seconds=seconds), NOW) == count


@pytest.mark.parametrize(
    ("text", "spans", "pieces"),
    [
        ("my chest hurts", [(3, 8)], [("my ", False), ("chest", True), (" hurts", False)]),
        ("chest", [(0, 5)], [("chest", True)]),
        ("abcdef", [(1, 3), (2, 4)], [("a", False), ("bcd", True), ("ef", False)]),
        ("abc", [(-4, 1), (2, 99)], [("a", True), ("b", False), ("c", True)]),
        ("abc", [(7, 9)], [("abc", False)]),
        ("abc", [], [("abc", False)]),
        ("", [(0, 1)], []),
    ],
)
def test_marks(text: str, spans: list[tuple[int, int]], pieces: list[tuple[str, bool]]) -> None:
    assert segments(text, spans) == pieces


def test_what_patients_write_is_never_markup() -> None:
    said = environment().from_string('{% import "_parts.html" as parts %}{{ parts.said(text, spans) }}')
    assert said.render(text="<b>chest</b> & co", spans=[(3, 8)]) == ("&lt;b&gt;<mark>chest</mark>&lt;/b&gt; &amp; co")


@pytest.mark.parametrize(
    ("missed", "severity", "text"),
    [(0, "soon", ""), (1, "urgent", "Missed its deadline"), (2, "soon", "Missed 2 deadlines, was soon")],
)
def test_a_climb_says_what_it_was(missed: int, severity: str, text: str) -> None:
    item = replace(_item(), climbs=missed, severity=severity, displayed="urgent" if missed else "soon")  # type: ignore[arg-type]
    page = environment().from_string('{% import "_parts.html" as parts %}{{ parts.climbs(item) }}').render(item=item)
    assert re.sub(r"\s+", " ", re.sub("<[^>]+>", "", page)).strip().replace(" ,", ",") == text


def test_every_reason_that_a_clinic_routes_has_words() -> None:
    words = load_words(ROOT / "carethread/console/words.yml")
    for path in ROOT.glob("clinics/*/clinic.yml"):
        reasons = set(load_clinic(path).routing) - {"default"}
        assert reasons <= set(words["reason"]), f"{path} routes reasons without words"


def test_every_state_of_the_ledger_has_words() -> None:
    words = parse((ROOT / "carethread/console/words.yml").read_text())
    states = {"queued", "sending", "sent", "delivered", "read", "failed", "blocked", "unknown"}
    assert set(words["delivery"]) == states
    assert set(words["severity"]) == {"emergency", "urgent", "soon", "routine"}
    assert word(words, "reason", "brand_new_reason") == "Brand new reason"


@pytest.mark.parametrize(
    ("wanted", "goes"),
    [
        ("/staff/river/conversations/1", "/staff/river/conversations/1"),
        ("/staff/river/?view=all", "/staff/river/?view=all"),
        ("/staff/riverside/", "/staff/river/"),
        ("https://evil.example/staff/river/", "/staff/river/"),
        ("/staff/river/\n", "/staff/river/"),
        ("", "/staff/river/"),
    ],
)
def test_a_login_leads_into_its_own_clinic(wanted: str, goes: str) -> None:
    assert local("river", wanted) == goes


@pytest.mark.parametrize(
    ("details", "summary", "facts"),
    [
        ({"summary": "Pain 9 of 10", "pain": 9}, "Pain 9 of 10", (("pain", "9"),)),
        ({"why": "a loss", "name": "Ines", "span": [0, 2], "history": []}, "A loss", ()),
        ({"about": "medication_refill"}, None, (("about", "medication refill"),)),
        ({"undelivered": "utter_booked"}, None, (("undelivered", "utter_booked"),)),
        ({"answers": {"Fever": "yes (“since last night”)"}}, None, (("Fever", "yes (“since last night”)"),)),
        ({"vitals": {"pulse": 90, "bp": [140, 90]}, "none": None}, None, (("vitals", "pulse: 90; bp: 140, 90"),)),
    ],
)
def test_details_are_read_as_a_summary_and_facts(
    details: dict[str, Any], summary: str | None, facts: tuple[tuple[str, str], ...]
) -> None:
    assert (_summary(details), _facts(details)) == (summary, facts)


def test_an_address_is_masked() -> None:
    assert masked("+13125550187") == "…0187"
