"""Who must look at what, by when: severity, team, deadline, ladder, and who speaks to the patient."""

from carethread.escalation.errors import Held, Missing, Resolved
from carethread.escalation.escalations import climb_overdue, open_escalation, release, resolve, take
from carethread.escalation.ownership import hand_back, pause_for_emergency, pause_for_human, take_over, watch_waiting

__all__ = [
    "Held",
    "Missing",
    "Resolved",
    "climb_overdue",
    "hand_back",
    "open_escalation",
    "pause_for_emergency",
    "pause_for_human",
    "release",
    "resolve",
    "take",
    "take_over",
    "watch_waiting",
]
