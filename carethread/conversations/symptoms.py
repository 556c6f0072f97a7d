"""Symptoms: what, since when, how bad; then what to do next. Never a diagnosis.

Red flags were looked for before this message came here (`safety.screen`); what is collected here goes through the
triage table, and whatever it says, a nurse sees it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from carethread.clinic import Severity
from carethread.conversations.context import Context
from carethread.conversations.form import Form, Step, leave
from carethread.ehr.errors import EhrError
from carethread.ehr.patients import get
from carethread.questionnaires.readings import read_choice, read_severity, read_since
from carethread.safety.triage import Disposition, dispose

# Disposition → what is said, how urgent it is for the nurse line (None: no escalation by itself).
_OUTCOMES: dict[str, tuple[str, Severity | None]] = {
    "emergency_now": ("utter_safety_emergency", "emergency"),
    "today": ("utter_symptom_today", "urgent"),
    "within_3_days": ("utter_symptom_within_3_days", "soon"),
    "routine": ("utter_symptom_routine", None),
    "self_care": ("utter_symptom_self_care", None),
}


# What words stand for on the scale of 0 to 10, where no number was given.
_SCORES = {"none": 0, "mild": 3, "moderate": 5, "severe": 8}


# A longer message says more than that something is wrong.
_MOST_VAGUE_WORDS = 5


class What(Step):
    slot = "symptom_what"
    takes_anything = True

    async def prefill(self, ctx: Context) -> None:
        """ "I have a symptom" and "I feel sick" do not say what it is yet."""
        named = bool(ctx.entities & {"symptom", "body_part"})
        if ctx.intent == "report_symptom" and (named or len(ctx.text.split()) > _MOST_VAGUE_WORDS):
            ctx.set(self.slot, ctx.text)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_symptom_what" if attempt == 0 else "utter_ask_symptom_what_again")

    async def read(self, ctx: Context) -> bool:
        if not any(char.isalpha() for char in ctx.text):
            return False
        ctx.set(self.slot, ctx.text)
        return True


class Since(Step):
    slot = "symptom_since"

    async def prefill(self, ctx: Context) -> None:
        if ctx.get("symptom_what"):
            await self.read(ctx)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_symptom_since" if attempt == 0 else "utter_ask_symptom_since_again")

    async def read(self, ctx: Context) -> bool:
        reading = read_since(ctx.text, ctx.language, ctx.now)
        if reading is None or not reading.sure:
            return False
        hours = (ctx.now - reading.value.start).total_seconds() / 3600
        start, end = reading.span
        ctx.set(self.slot, {"text": ctx.text[start:end], "hours": max(0.0, round(hours, 1))})
        return True


class HowBad(Step):
    slot = "symptom_severity"

    async def prefill(self, ctx: Context) -> None:
        """Only a number: "a bad cough" is how people name a cough, not how bad it is."""
        if ctx.get("symptom_what"):
            reading = read_severity(ctx.text, ctx.language)
            if reading and reading.sure and reading.value.score is not None:
                ctx.set(self.slot, reading.value.score)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_symptom_severity" if attempt == 0 else "utter_ask_symptom_severity_again")

    async def read(self, ctx: Context) -> bool:
        reading = read_severity(ctx.text, ctx.language)
        if reading is None or not reading.sure:
            return False
        said = reading.value
        ctx.set(self.slot, said.score if said.score is not None else _SCORES[said.level])
        return True


class Next(Step):
    """Says the disposition, then offers a visit or a call."""

    slot = "symptom_next"
    reads_first = True

    async def applies(self, ctx: Context) -> bool:
        if ctx.get("symptom_disposition") is None:
            await _dispose(ctx)
        return str(ctx.get("symptom_disposition")) != "emergency_now"

    async def ask(self, ctx: Context, attempt: int) -> None:
        if attempt == 0 and not ctx.get("symptom_told"):
            ctx.set("symptom_told", True)
            ctx.say(_OUTCOMES[ctx.get("symptom_disposition")][0])
        ctx.say("utter_ask_symptom_next" if attempt == 0 else "utter_ask_symptom_next_again")

    async def read(self, ctx: Context) -> bool:
        if ctx.intends("book_appointment", least=0.5):
            ctx.set(self.slot, "book")
            return True
        choice = read_choice(ctx.text, ctx.options("utter_ask_symptom_next"), ctx.language)
        if choice.none:
            ctx.set(self.slot, "nothing")
        elif choice.picked and choice.picked.sure:
            ctx.set(self.slot, choice.picked.value)
        else:
            return False
        return True


async def _dispose(ctx: Context) -> None:
    """Where this belongs, by the table; the nurse hears at once of what cannot wait."""
    since: dict[str, Any] = ctx.get("symptom_since") or {}
    found: Disposition = dispose(
        ctx.get("symptom_what"),
        severity=ctx.get("symptom_severity"),
        duration=timedelta(hours=since["hours"]) if since else None,
        age_years=await _age(ctx),
        pregnant=None,
        table=ctx.parts.triage,
    )
    ctx.set("symptom_disposition", found.level)
    words, severity = _OUTCOMES[found.level]
    if severity is not None:
        await ctx.escalate(
            "symptoms",
            severity,
            pause="emergency" if found.level == "emergency_now" else None,
            rule=found.rule,
            source=found.source,
            details=_details(ctx, found.reason),
        )
    if found.level == "emergency_now":
        ctx.say(words)
        leave(ctx, "done")


async def _age(ctx: Context) -> int | None:
    """The patient's age, where we know who it is; a symptom is not kept waiting for an EHR that does not answer."""
    if ctx.patient_id is None:
        return None
    try:
        patient = await get(ctx.ehr, ctx.patient_id)
    except EhrError:
        return None
    return patient.age(ctx.now.date()) if patient else None


def _details(ctx: Context, why: str) -> dict[str, Any]:
    return {
        "why": why,
        "what": ctx.get("symptom_what"),
        "since": (ctx.get("symptom_since") or {}).get("text"),
        "severity": ctx.get("symptom_severity"),
        "disposition": ctx.get("symptom_disposition"),
    }


class SymptomForm(Form):
    name = "symptom_form"
    # Nothing of the record is said here, and nobody in pain should be asked for a birth date first.
    verified = False
    own_slots = ("symptom_disposition", "symptom_told")
    required = ("symptom_what", "symptom_next")

    def steps(self) -> tuple[Step, ...]:
        return (What(), Since(), HowBad(), Next())

    async def submit(self, ctx: Context) -> str | None:
        match ctx.get("symptom_next"):
            case "book":
                ctx.set("visit_reason", ctx.get("symptom_what"))
                return "book_form"
            case "call":
                await ctx.escalate("symptoms", "soon", details=_details(ctx, "the patient asks for a call"))
                ctx.say("utter_symptom_callback")
            case _:
                ctx.say("utter_symptom_watch")
        return None
