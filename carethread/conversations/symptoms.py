"""Symptoms: what, then the questions that separate dispositions, then what to do next. Never a diagnosis.

Red flags were looked for before a message came here (`safety.screen`). Everything known is one slot of facts; after
every message the triage tables say what to ask next, or where it belongs, so a corrected answer simply counts anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from carethread.clinic import Severity
from carethread.conversations import symptom_summary
from carethread.conversations.context import Context
from carethread.conversations.form import Form, Step, leave
from carethread.conversations.symptom_facts import Heard, from_chart, hear, stated
from carethread.ehr import writes
from carethread.ehr.chart import chart_facts
from carethread.ehr.summaries import note, note_kind
from carethread.questionnaires.readings import read_choice, read_correction
from carethread.safety.triage import MAX_QUESTIONS, UNSURE, Ask, Disposition, Value, next_step
from carethread.safety.triage_words import About, complaints_of, mentions

# Disposition → what is said, how urgent it is for the nurse line (None: no escalation by itself).
_OUTCOMES: dict[str, tuple[str, Severity | None]] = {
    "emergency_now": ("utter_safety_emergency", "emergency"),
    "today": ("utter_symptom_today", "urgent"),
    "within_3_days": ("utter_symptom_within_3_days", "soon"),
    "routine": ("utter_symptom_routine", None),
    "self_care": ("utter_symptom_self_care", None),
}
# How a question is put again, by the kind of its fact; others are told that yes or no is wanted.
_AGAIN = {
    "severity": "utter_ask_symptom_severity_again",
    "duration": "utter_ask_symptom_since_again",
    "age": "utter_triage_age_again",
    "number": "utter_triage_number_again",
    "temperature": "utter_triage_number_again",
}
# A longer message says more than that something is wrong.
_MOST_VAGUE_WORDS = 5
# "No wait, I do have a fever" goes on with the talk that ended this long ago at most.
_REOPENED = timedelta(minutes=30)
# What is kept of a talk that ended, for such a correction.
_LASTING = ("symptom_what", "symptom_facts", "symptom_disposition", "symptom_told")
_ADULT_AT = 18  # years


class What(Step):
    slot = "symptom_what"
    takes_anything = True

    async def prefill(self, ctx: Context) -> None:
        """ "I have a symptom" and "I feel sick" do not say what it is yet."""
        if _reopens(ctx):
            return
        named = bool(ctx.entities & {"symptom", "body_part"})
        if ctx.intent == "report_symptom" and (named or len(ctx.text.split()) > _MOST_VAGUE_WORDS):
            await _open(ctx)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_symptom_what" if attempt == 0 else "utter_ask_symptom_what_again")

    async def read(self, ctx: Context) -> bool:
        if not any(char.isalpha() for char in ctx.text):
            return False
        await _open(ctx)
        return True


class Questions(Step):
    """Stays until no question can change the disposition: each message answers the one that waits."""

    slot = "symptom_question"

    async def applies(self, ctx: Context) -> bool:
        known = _known(ctx)
        values = {name: held["value"] for name, held in known.items()}
        asked = _state(ctx)["asked"]
        step = next_step(_state(ctx)["complaints"], values, ctx.parts.triage, MAX_QUESTIONS - len(asked))
        if isinstance(step, Ask):
            _keep(ctx, asking=step.fact)
            return True
        _keep(ctx, asking=None)
        ctx.set(self.slot, True)
        await _settle(ctx, step)
        return False

    async def ask(self, ctx: Context, attempt: int) -> None:
        fact = ctx.parts.triage.facts[_state(ctx)["asking"]]
        if attempt and fact.kind in _AGAIN:
            ctx.say(_AGAIN[fact.kind])
            return
        if attempt:
            ctx.say("utter_triage_again")
        ctx.say(fact.question or "")

    async def read(self, ctx: Context) -> bool:
        state = _state(ctx)
        asking: str = state["asking"]
        before = next((name for name in reversed(state["asked"]) if name != asking), None)
        heard = _hear(ctx, asking=asking, before=before)
        if heard.wants:
            if heard.wants == "help":
                _explain(ctx, asking)
            return True
        if not _take(ctx, heard, asking=asking) and not heard.answered:
            return False
        if heard.answered:
            _keep(ctx, asked=[*state["asked"], asking])
        attempts = {slot: n for slot, n in (ctx.get("form_state") or {}).items() if slot != self.slot}
        ctx.set("form_state", attempts)
        return True


class Next(Step):
    """Tells the disposition, then offers a visit or a call. Here an answer can still be taken back."""

    slot = "symptom_next"
    reads_first = True

    async def ask(self, ctx: Context, attempt: int) -> None:
        level = ctx.get("symptom_disposition")
        if attempt == 0 and ctx.get("symptom_told") != level:
            ctx.set("symptom_told", level)
            ctx.say(_OUTCOMES[level][0])
        elif attempt == 0 and _state(ctx).get("noted") == ctx.message_id:
            ctx.say("utter_triage_noted")
        ctx.say("utter_ask_symptom_next" if attempt == 0 else "utter_ask_symptom_next_again")

    async def read(self, ctx: Context) -> bool:
        if ctx.intends("book_appointment", least=0.5):
            ctx.set(self.slot, "book")
            return True
        choice = read_choice(ctx.text, ctx.options("utter_ask_symptom_next"), ctx.language)
        if choice.picked and choice.picked.sure and choice.picked.confidence == 1:
            ctx.set(self.slot, choice.picked.value)
        elif self._corrected(ctx):
            return True
        elif choice.none:
            ctx.set(self.slot, "nothing")
        elif choice.picked and choice.picked.sure:
            ctx.set(self.slot, choice.picked.value)
        else:
            return False
        return True

    def _corrected(self, ctx: Context) -> bool:
        """Take back or add what the disposition hangs on; then it is worked out again."""
        asked = _state(ctx)["asked"]
        heard = _hear(ctx, before=asked[-1] if asked else None)
        if heard.wants or not _take(ctx, heard):
            return False
        _keep(ctx, noted=ctx.message_id)
        ctx.set(Questions.slot, None)
        return True


class SymptomForm(Form):
    name = "symptom_form"
    # Nothing of the record is said here, and nobody in pain should be asked for a birth date first.
    verified = False
    own_slots = ("symptom_facts", "symptom_disposition", "symptom_told")
    required = ("symptom_what", "symptom_next")

    def steps(self) -> tuple[Step, ...]:
        return (What(), Questions(), Next())

    async def submit(self, ctx: Context) -> str | None:
        ctx.set(
            "symptom_last",
            {slot: ctx.get(slot) for slot in _LASTING} | {"at": ctx.now.isoformat(), "patient": ctx.patient_id},
        )
        match ctx.get("symptom_next"):
            case "book":
                ctx.set("visit_reason", ctx.get("symptom_what"))
                return "book_form"
            case "call":
                await ctx.escalate("symptoms", "soon", details={**_state(ctx)["details"], "why": "asks for a call"})
                ctx.say("utter_symptom_callback")
            case _:
                ctx.say("utter_symptom_watch")
        return None


# The one slot of facts: {"known": {fact: {"value", "from", "words"}}, "complaints", "asked", "asking", "about", …}


def _state(ctx: Context) -> dict[str, Any]:
    held: dict[str, Any] = ctx.get("symptom_facts") or {}
    return {"known": {}, "complaints": [], "asked": [], "asking": None, **held}


def _keep(ctx: Context, **changes: Any) -> None:
    ctx.set("symptom_facts", {**_state(ctx), **changes})


def _known(ctx: Context) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = _state(ctx)["known"]
    return known


async def _open(ctx: Context) -> None:
    """Take the complaint with everything said in it, and what the record knows of whoever it is about."""
    table = ctx.parts.triage
    said = stated(ctx.text, ctx.language, ctx.now, table)
    complaints = list(complaints_of(ctx.text, table))
    about = None if "pregnancy" in complaints else mentions(ctx.text, table).about
    known: dict[str, dict[str, Any]] = {}
    other = False
    if ctx.patient_id is not None:
        chart = await chart_facts(ctx.ehr, ctx.patient_id, ctx.now)
        other = _somebody_else(about, chart.age_years)
        if not other:
            known = {name: {"value": value, "from": "chart"} for name, value in from_chart(chart, table).items()}
    if about is not None and about.sex is not None:
        known["sex"] = {"value": about.sex, "from": "said"}
    known |= {name: {"value": value, "from": "said"} for name, value in said.items()}
    ctx.set("symptom_what", ctx.text)
    _keep(ctx, known=known, complaints=complaints, about=about.id if about else None, other=other)


def _somebody_else(about: About | None, age: float | None) -> bool:
    """Whether it is about somebody whose record this is not: "my son", from an adult's phone."""
    if about is None:
        return False
    return not about.child or age is None or age >= _ADULT_AT


def _reopens(ctx: Context) -> bool:
    """Go on with the talk that has just ended, when the message takes something back."""
    last: Mapping[str, Any] | None = ctx.get("symptom_last")
    if not last or last["patient"] != ctx.patient_id or read_correction(ctx.text, ctx.language) is None:
        return False
    if ctx.now - datetime.fromisoformat(last["at"]) > _REOPENED:
        return False
    for slot in _LASTING:
        ctx.set(slot, last[slot])
    _take(ctx, _hear(ctx, before=next(reversed(_state(ctx)["asked"]), None)))
    return True


def _hear(ctx: Context, *, asking: str | None = None, before: str | None = None) -> Heard:
    values: dict[str, Value] = {name: held["value"] for name, held in _known(ctx).items()}
    return hear(ctx.text, ctx.language, ctx.now, ctx.parts.triage, known=values, asking=asking, before=before)


def _take(ctx: Context, heard: Heard, asking: str | None = None) -> bool:
    """Keep what was heard; True when something is new."""
    known = dict(_known(ctx))
    words = ctx.text.strip()
    new = {}
    for name, value in heard.facts.items():
        if name not in known or known[name]["value"] != value or known[name]["from"] == "chart":
            new[name] = {"value": value, "from": "asked" if name == asking or name in _state(ctx)["asked"] else "said"}
            new[name] |= {"words": words} if len(words) > len("yes") else {}
    complaints = _also(ctx, heard)
    if not new and complaints == _state(ctx)["complaints"]:
        return False
    _keep(ctx, known={**{n: held for n, held in known.items() if n not in new}, **new}, complaints=complaints)
    return True


def _also(ctx: Context, heard: Heard) -> list[str]:
    """The complaints, with one that this message adds. What is only a sign of the first one adds none."""
    table, complaints = ctx.parts.triage, list(_state(ctx)["complaints"])
    read = {c.fact for name in complaints for rule in table.complaints[name].rules for c in rule.when}
    if any(name in read for name, value in heard.facts.items() if value is not False and value != UNSURE):
        return complaints
    return [*complaints, *(name for name in mentions(ctx.text, table).complaints if name not in complaints)]


def _explain(ctx: Context, asking: str) -> None:
    question = ctx.parts.triage.facts[asking].question
    key = f"{question}_help"
    ctx.say(key if key in ctx.parts.content.current else "utter_triage_why")


async def _settle(ctx: Context, found: Disposition) -> None:
    """Keep where it belongs; the nurse hears at once of what cannot wait, and the record gets the note."""
    before = ctx.get("symptom_disposition")
    table, known, what = ctx.parts.triage, _known(ctx), str(ctx.get("symptom_what"))
    more: dict[str, Any] = {}
    if before is not None and before != found.level:
        more["corrected from"] = symptom_summary.LEVELS[before]
    if _state(ctx).get("other"):
        more["about"] = "somebody else, not the patient on file"
    details = symptom_summary.details(what, known, found, table, **more)
    ctx.set("symptom_disposition", found.level)
    _keep(ctx, details=details)
    words, severity = _OUTCOMES[found.level]
    if severity is None and before is not None and _OUTCOMES[before][1] is not None:
        severity = "routine"  # staff were told of the first answer, so they hear that it was taken back
    if severity is not None:
        await _tell_staff(ctx, found, severity, details)
    await _write(ctx, found)
    if found.level == "emergency_now":
        ctx.say("utter_safety_crisis" if found.tells == "crisis" else words)
        leave(ctx, "done")


async def _tell_staff(ctx: Context, found: Disposition, severity: Severity, details: Mapping[str, Any]) -> None:
    await ctx.escalate(
        "crisis" if found.tells == "crisis" else "symptoms",
        severity,
        pause="emergency" if found.level == "emergency_now" else None,
        rule=found.rule,
        source=found.source,
        details=details,
    )


async def _write(ctx: Context, found: Disposition) -> None:
    """Put the note into the ledger, for a verified patient whom it is about. A corrected one replaces the first."""
    if ctx.patient_id is None or _state(ctx).get("other"):
        return
    earlier: str | None = _state(ctx).get("written")
    key = ctx.key("symptoms-note")
    if earlier == key:
        return
    text = symptom_summary.text(
        str(ctx.get("symptom_what")), _known(ctx), found, ctx.parts.triage, now=ctx.now, corrected=earlier is not None
    )
    resource = note(
        await note_kind(ctx.ehr, ctx.now),
        tenant=ctx.tenant,
        patient_id=ctx.patient_id,
        title=symptom_summary.TITLE,
        text=text,
        now=ctx.now,
        replaces=earlier,
    )
    async with ctx.begin() as session:
        await writes.record(
            session, key, writes.CREATE, {"resource": resource}, now=ctx.now, conversation_id=ctx.conversation.id
        )
    _keep(ctx, written=key)
