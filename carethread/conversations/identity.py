"""The identity gate: nothing about care is said before the patient is verified on this channel.

A number that the EHR knows needs the date of birth. Anybody else gives name, date of birth and a second fact.
Three failures lock the channel and tell a human.
"""

from __future__ import annotations

from datetime import date, timedelta

from carethread.conversations.context import Context
from carethread.conversations.form import Step, leave
from carethread.ehr.chart import chart_facts, screening_facts
from carethread.ehr.identity import Matched, NoMatch, Several, match_identity, tell_apart
from carethread.ehr.patients import Patient, find_by_name_and_birth_date, find_by_phone, get, name_matches, words
from carethread.questionnaires.readings import read_birth_date, read_person_name
from carethread.storage.models import Conversation

FAILURES = 3
LOCK = timedelta(hours=24)
# A date that nobody asked for may be a birth date from this age on; newer ones are visits.
_OLD_ENOUGH = timedelta(days=365)


async def candidates(ctx: Context) -> list[Patient]:
    """Patients whose phone (or whose guardian's phone) this conversation is with; none on the web."""
    if ctx.phone_patients is None:
        ctx.phone_patients = (
            [] if ctx.channel == "web" else await find_by_phone(ctx.ehr, ctx.conversation.address, today=ctx.now.date())
        )
    return ctx.phone_patients


def locked(ctx: Context) -> bool:
    """Whether too many failures closed this channel for now."""
    at = ctx.conversation.verification_locked_at
    return at is not None and ctx.now - at < LOCK


class _GateStep(Step):
    async def applies(self, ctx: Context) -> bool:
        if ctx.patient_id is not None:
            return False
        if locked(ctx):
            ctx.say("utter_identity_locked")
            leave(ctx, "locked")
            return False
        return await self.needed(ctx)

    async def needed(self, ctx: Context) -> bool:
        raise NotImplementedError

    async def prefill(self, ctx: Context) -> None:
        """Take what patients say of themselves before they are asked: "Maria Lopez, 4/12/1968"."""
        if ctx.patient_id is None and not locked(ctx) and ctx.get(self.slot) is None:
            await self.volunteered(ctx)

    async def volunteered(self, ctx: Context) -> None:
        raise NotImplementedError


class FullName(_GateStep):
    slot = "full_name"

    async def needed(self, ctx: Context) -> bool:
        """For a number nobody knows, and where several people on one phone share a date of birth."""
        return not await candidates(ctx) or ctx.get("birth_date") is not None

    async def ask(self, ctx: Context, attempt: int) -> None:
        if ctx.get("birth_date") is not None:
            ctx.say("utter_ask_which_person")
        else:
            again = attempt or ctx.conversation.verification_failures
            ctx.say("utter_ask_full_name_again" if again else "utter_ask_full_name")

    async def read(self, ctx: Context) -> bool:
        if ctx.get("birth_date") is not None and await candidates(ctx):
            return await self._tell_apart(ctx)
        name = _name_in(ctx)
        if name is None:
            return False
        ctx.set("full_name", name)
        if dates := _dates_in(ctx):
            ctx.set("birth_date", [day.isoformat() for day in dates])
        return True

    async def volunteered(self, ctx: Context) -> None:
        if introduces(ctx) and not await candidates(ctx):
            await self.read(ctx)

    async def _tell_apart(self, ctx: Context) -> bool:
        """Several on this phone share the date of birth: the first name decides."""
        said = set(words(ctx.text))
        fitting = [
            patient
            for patient in _born(await candidates(ctx), _dates(ctx))
            if said & set(words(patient.given)) or name_matches(ctx.text, patient)
        ]
        if len(fitting) != 1:
            await fail(ctx)
            return True
        await verify(ctx, fitting[0], "phone+birth_date+name")
        return True


class BirthDate(_GateStep):
    slot = "birth_date"

    async def needed(self, _ctx: Context) -> bool:
        return True

    async def ask(self, ctx: Context, attempt: int) -> None:
        if attempt:
            ctx.say("utter_ask_birth_date_again")
        elif ctx.get("full_name") or ctx.conversation.verification_failures:
            ctx.say("utter_ask_birth_date_short")  # why we ask was said before
        elif len(known := await candidates(ctx)) > 1:
            ctx.say("utter_ask_birth_date_shared")
        elif known and known[0].via_guardian:
            ctx.say("utter_ask_birth_date_child")
        else:
            ctx.say("utter_ask_birth_date")

    async def read(self, ctx: Context) -> bool:
        dates = _dates_in(ctx)
        if not dates:
            return False
        ctx.set("birth_date", [day.isoformat() for day in dates])
        if known := await candidates(ctx):
            match match_identity(known, _dates(ctx)):
                case Matched(patient):
                    await verify(ctx, patient, "phone+birth_date")
                case Several():
                    pass
                case NoMatch():
                    if any(patient.deceased for patient in _born(known, _dates(ctx))):
                        await _has_died(ctx)
                    else:
                        await fail(ctx)
        return True

    async def volunteered(self, ctx: Context) -> None:
        """Any old date may prove who this is; only one that was meant to can fail to."""
        if introduces(ctx):
            await self.read(ctx)
        else:
            match match_identity(await candidates(ctx), [day for day in _dates_in(ctx) if _old_enough(day, ctx)]):
                case Matched(patient):
                    await verify(ctx, patient, "phone+birth_date")


class SecondFact(_GateStep):
    slot = "second_fact"

    async def needed(self, ctx: Context) -> bool:
        return not await candidates(ctx)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_second_fact" if attempt == 0 else "utter_ask_second_fact_again")

    async def read(self, ctx: Context) -> bool:
        if not any(char.isdigit() for char in ctx.text):
            return False
        match await self._found(ctx, ctx.text):
            case Matched(patient) if patient.deceased:
                await _has_died(ctx)
            case Matched(patient):
                await verify(ctx, patient, "name+birth_date+fact")
            case _:
                await fail(ctx)
        return True

    async def volunteered(self, ctx: Context) -> None:
        """A fact beside name and birth date counts; other numbers there are no failed attempt."""
        if not ctx.get("full_name") or not ctx.get("birth_date") or await candidates(ctx):
            return
        # The digits of the birth date beside it are no fact.
        match await self._found(ctx, _without_dates(ctx)):
            case Matched(patient) if not patient.deceased:
                await verify(ctx, patient, "name+birth_date+fact")

    async def _found(self, ctx: Context, said: str) -> Matched | Several | NoMatch:
        found = await find_by_name_and_birth_date(ctx.ehr, ctx.get("full_name"), _dates(ctx))
        return tell_apart(found, said)


GATE: tuple[Step, ...] = (FullName(), BirthDate(), SecondFact())


async def verify(ctx: Context, patient: Patient, how: str) -> None:
    """The patient is who they say: remembered for this conversation, with what of their chart makes a sign graver."""
    facts = screening_facts(await chart_facts(ctx.ehr, patient.id, ctx.now))
    async with ctx.begin() as session:
        conversation = await session.get_one(Conversation, ctx.conversation.id, with_for_update=True)
        conversation.patient_id, conversation.patient_name = patient.id, patient.full_name
        conversation.chart_facts = facts
        conversation.verified_at = ctx.now
        conversation.verified_by = how
        conversation.verification_failures = 0
        conversation.verification_locked_at = None
        ctx.conversation = conversation
    for slot in ("full_name", "birth_date", "second_fact"):
        ctx.set(slot, None)
    ctx.set("verified", True)
    ctx.say("utter_verified_guardian" if patient.via_guardian else "utter_verified", name=patient.given)


async def is_somebody_else(ctx: Context) -> bool:
    """Whether a verified conversation goes on with another person: the phone changed hands in the family."""
    if ctx.patient_id is None:
        return False
    known = await get(ctx.ehr, ctx.patient_id)
    if known is None:
        return True
    dates, name = _dates_in(ctx), _name_in(ctx)
    return bool((dates and known.birth_date not in dates) or (name and not name_matches(name, known)))


async def _has_died(ctx: Context) -> None:
    """The record says that this patient has died: a person talks with whoever writes."""
    await ctx.escalate("identity", "soon", details={"why": "the record says this person has died"})
    ctx.say("utter_identity_human")
    leave(ctx, "deceased")


async def fail(ctx: Context) -> None:
    """What was said fits nobody; the third time locks the channel and tells a human."""
    for slot in ("full_name", "birth_date", "second_fact"):
        ctx.set(slot, None)
    first_time = await ctx.once("identity_failed")
    async with ctx.begin() as session:
        conversation = await session.get_one(Conversation, ctx.conversation.id, with_for_update=True)
        if conversation.verification_locked_at is not None and not locked(ctx):
            conversation.verification_failures, conversation.verification_locked_at = 0, None  # that lock is over
        if first_time:
            conversation.verification_failures += 1
        if conversation.verification_failures >= FAILURES:
            conversation.verification_locked_at = conversation.verification_locked_at or ctx.now
        ctx.conversation = conversation
    if ctx.conversation.verification_locked_at is not None:
        await ctx.escalate("identity", "soon", details={"why": f"{FAILURES} failed attempts to verify"})
        ctx.say("utter_identity_locked")
        leave(ctx, "locked")
    else:
        ctx.say("utter_identity_no_match")


def _dates(ctx: Context) -> list[date]:
    return [date.fromisoformat(value) for value in ctx.get("birth_date") or ()]


def introduces(ctx: Context) -> bool:
    """Whether the message says who is writing: the classifier hears it so, or it holds a name and a birth date."""
    if ctx.intends("identify_self", least=0.5):
        return True
    return any(_old_enough(day, ctx) for day in _dates_in(ctx)) and _name_in(ctx) is not None


def _old_enough(day: date, ctx: Context) -> bool:
    return ctx.now.date() - day >= _OLD_ENOUGH


def _dates_in(ctx: Context) -> list[date]:
    return [reading.value for reading in read_birth_date(ctx.text, ctx.language, ctx.now.date())]


def _without_dates(ctx: Context) -> str:
    """The message without what can be read as a birth date."""
    text = ctx.text
    for start, end in sorted((r.span for r in read_birth_date(text, ctx.language, ctx.now.date())), reverse=True):
        text = f"{text[:start]} {text[end:]}"
    return text


def _name_in(ctx: Context) -> str | None:
    """A given and a family name, as the message gives them."""
    for text in dict.fromkeys((ctx.text, _without_dates(ctx))):
        name = read_person_name(text, ctx.language)
        if name is not None and len(words(name.value)) >= 2:
            return name.value
    return None


def _born(patients: list[Patient], dates: list[date]) -> list[Patient]:
    return [patient for patient in patients if patient.birth_date in dates]


__all__ = ["GATE", "Several", "candidates", "fail", "introduces", "is_somebody_else", "locked", "verify"]
