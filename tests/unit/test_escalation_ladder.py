"""What reports and time do to an escalation, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carethread.clinic import ConfigError, Severity, load_clinic
from carethread.escalation.ladder import (
    SEVERITIES,
    Standing,
    climbed,
    displayed,
    order,
    overdue,
    reported_again,
    with_report,
)

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
CLINIC = load_clinic(Path(__file__).parents[2] / "clinics/riverbend/clinic.yml")


def _in(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("severity", "climbs", "expected"),
    [
        ("routine", 0, "routine"),
        ("routine", 1, "soon"),
        ("routine", 2, "urgent"),
        ("routine", 9, "urgent"),  # waiting alone is never a danger to life
        ("soon", 0, "soon"),
        ("soon", 1, "urgent"),
        ("soon", 9, "urgent"),
        ("urgent", 3, "urgent"),
        ("emergency", 0, "emergency"),
        ("emergency", 7, "emergency"),
    ],
)
def test_missed_deadlines_count_up_to_urgent(severity: str, climbs: int, expected: str) -> None:
    assert displayed(severity, climbs) == expected


@pytest.mark.parametrize("new", SEVERITIES)
@pytest.mark.parametrize("old", SEVERITIES)
@pytest.mark.parametrize("state", ["open", "taken"])
def test_a_report_raises_and_never_lowers(old: Severity, new: Severity, state: str) -> None:
    before = Standing(old, state, _in(5))  # type: ignore[arg-type]
    after = reported_again(before, new, timedelta(minutes=30), NOW)
    ranks = SEVERITIES.index
    assert ranks(after.severity) == min(ranks(old), ranks(new))
    if ranks(new) >= ranks(old):
        assert after == before


@pytest.mark.parametrize(
    ("state", "deadline", "allowed", "expected"),
    [
        ("open", 5, 15, 5),  # a deadline that runs is never moved out
        ("open", 60, 15, 15),
        ("open", -3, 15, -3),  # overdue stays overdue
        ("taken", 5, 15, 15),  # back on the clock with the full time of the new severity
    ],
)
def test_a_raised_one_is_open_with_the_nearer_deadline(
    state: str, deadline: float, allowed: float, expected: float
) -> None:
    before = Standing("routine", state, _in(deadline))  # type: ignore[arg-type]
    after = reported_again(before, "urgent", timedelta(minutes=allowed), NOW)
    assert (after.state, after.deadline) == ("open", _in(expected))


@pytest.mark.parametrize(
    ("state", "minutes", "expected"),
    [("open", -1, True), ("open", 0, True), ("open", 1, False), ("taken", -1, False), ("resolved", -1, False)],
)
def test_only_what_nobody_has_is_overdue(state: str, minutes: float, expected: bool) -> None:
    assert overdue(Standing("soon", state, _in(minutes)), NOW) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("severity", "team", "minutes"),
    [
        # care coordination: emergency 2, urgent 30, soon 240, routine 1440
        ("routine", "care-coordination", (240, 30, 30)),
        ("soon", "care-coordination", (30, 30, 30)),
        ("urgent", "nurse-line", (15, 15, 15)),
        ("emergency", "nurse-line", (2, 2, 2)),
    ],
)
def test_each_climb_gives_the_time_of_what_it_counts_as(
    severity: Severity, team: str, minutes: tuple[float, ...]
) -> None:
    standing, now = Standing(severity, "open", NOW), NOW
    for climbs, allowed in enumerate(minutes, start=1):
        standing = climbed(standing, CLINIC, team, now)
        assert (standing.climbs, standing.deadline) == (climbs, now + timedelta(minutes=allowed))
        assert standing.severity == severity
        now = standing.deadline


def test_the_inbox_puts_danger_first_then_what_counts_higher_then_the_nearest_deadline() -> None:
    expected = [
        ("emergency", 0, _in(1)),
        ("emergency", 3, _in(2)),
        ("urgent", 0, _in(3)),
        ("urgent", 0, _in(9)),
        ("soon", 1, _in(2)),  # counts as urgent after those that are
        ("routine", 2, _in(-5)),
        ("soon", 0, _in(-1)),
        ("soon", 0, _in(30)),
        ("routine", 0, _in(-60)),
    ]
    shuffled = expected[::-1]
    assert sorted(shuffled, key=lambda item: order(*item)) == expected


def _report(key: str, **details: str) -> dict[str, object]:
    return {"key": key, "details": details}


@pytest.mark.parametrize(
    ("outranks", "summary"),
    [(True, "new"), (False, "old")],
)
def test_no_report_is_lost(outranks: bool, summary: str) -> None:
    first = with_report({}, _report("a", summary="old", name="Ines"), outranks=True)
    both = with_report(first, _report("b", summary="new", extra="x"), outranks=outranks)
    assert {name: both[name] for name in ("summary", "name", "extra")} == {
        "summary": summary,
        "name": "Ines",
        "extra": "x",
    }
    assert both["history"] == [_report("a", summary="old", name="Ines"), _report("b", summary="new", extra="x")]
    assert first["history"] == [_report("a", summary="old", name="Ines")]


def test_a_team_without_a_severity_is_refused_at_start(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "clinics/riverbend/clinic.yml").read_text()
    folder = tmp_path / "lakeside"
    folder.mkdir()
    broken = text.replace("minutes: {emergency: 2, urgent: 15, soon: 60, routine: 480}", "minutes: {urgent: 15}")
    assert broken != text
    (folder / "clinic.yml").write_text(broken)
    with pytest.raises(ConfigError, match=r"clinic.yml:\d+: teams.front-desk.minutes.*emergency, soon, routine"):
        load_clinic(folder / "clinic.yml")
