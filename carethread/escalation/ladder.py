"""How serious, how soon, and what time does to it. Pure: no database, the clock is an argument."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast

from carethread.clinic import Clinic, Severity

State = Literal["open", "taken", "resolved"]
Details = dict[str, Any]

# Most serious first.
SEVERITIES: Final[tuple[Severity, ...]] = ("emergency", "urgent", "soon", "routine")
RANK: Final[dict[str, int]] = {severity: rank for rank, severity in enumerate(SEVERITIES)}

# How an escalation counts after each deadline that passed with nobody taking it; the last step holds.
# Waiting alone never makes a danger to life: `emergency` stays the word for a red flag.
LADDER: Final[dict[Severity, tuple[Severity, ...]]] = {
    "emergency": ("emergency",),
    "urgent": ("urgent",),
    "soon": ("soon", "urgent"),
    "routine": ("routine", "soon", "urgent"),
}

# Where an escalation's details keep every report that was put into it, oldest first.
HISTORY: Final = "history"


@dataclass(frozen=True, slots=True)
class Standing:
    """The part of an escalation that reports and time change."""

    severity: Severity
    state: State
    deadline: datetime
    climbs: int = 0

    @property
    def displayed(self) -> Severity:
        return displayed(self.severity, self.climbs)


def displayed(severity: str, climbs: int) -> Severity:
    """The severity an escalation is worked at after `climbs` missed deadlines. Never below its own."""
    steps = LADDER[cast(Severity, severity)]
    return steps[min(climbs, len(steps) - 1)]


def more_serious(one: str, than: str) -> bool:
    return RANK[one] < RANK[than]


def reported_again(standing: Standing, severity: Severity, allowed: timedelta, now: datetime) -> Standing:
    """The same problem again. A higher severity raises it and puts it back on the team's clock, even where somebody
    has it: who took a routine question has not said that they saw the urgent one. Nothing lowers it.
    """
    if not more_serious(severity, standing.severity):
        return standing
    deadline = now + allowed
    if standing.state == "open":
        deadline = min(deadline, standing.deadline)
    return replace(standing, severity=severity, state="open", deadline=deadline)


def overdue(standing: Standing, now: datetime) -> bool:
    """Whether the deadline passed with nobody having it."""
    return standing.state == "open" and standing.deadline <= now


def climbed(standing: Standing, clinic: Clinic, team: str, now: datetime) -> Standing:
    """One step up the ladder, with the time `team` has for the severity it now counts as."""
    climbs = standing.climbs + 1
    allowed = clinic.deadline(team, displayed(standing.severity, climbs))
    return replace(standing, climbs=climbs, deadline=now + allowed)


def order(severity: str, climbs: int, deadline: datetime) -> tuple[int, int, datetime]:
    """Sort key of the inbox: what it counts as, then what it is, then whose time runs out first."""
    return RANK[displayed(severity, climbs)], RANK[severity], deadline


def with_report(details: Details, report: Details, *, outranks: bool) -> Details:
    """`details` with one more report. The top level shows the latest of the most serious; history holds them all."""
    said: Details = {name: value for name, value in report["details"].items() if name != HISTORY}
    top = {name: value for name, value in details.items() if name != HISTORY}
    top = {**top, **said} if outranks else {**said, **top}
    return {**top, HISTORY: [*details.get(HISTORY, []), report]}
