"""Appointments: what is coming, booking, confirming, moving, cancelling."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from carethread.conversations.context import Context
from carethread.conversations.form import Form, Step, leave
from carethread.ehr import writes
from carethread.ehr.writes import Waiting
from carethread.questionnaires.readings import Control, Option, read_choice, read_control, read_yes_no
from carethread.scheduling.appointments import Visit, name_match, upcoming
from carethread.scheduling.booking import (
    Booked,
    Cancelled,
    Confirmed,
    Gone,
    Moved,
    Outcome,
    SlotTaken,
    book,
    cancel,
    confirm,
    reschedule,
)
from carethread.scheduling.lay import specialty_of
from carethread.scheduling.slots import SlotOffer, find_practitioners, offer, practitioners
from carethread.scheduling.when import TimePreference, moved_to, read_when

_OFFERS = 3
_PLAIN = 0.9  # how sure a reading must be that a visit hangs on
_NO_REASON = (Control.SKIP, Control.DECLINE, Control.DONT_KNOW)
# In the progress of a write: the patient was told that it takes longer (see `outcomes`).
WAITING_TOLD = "waiting_told"


def wish(ctx: Context) -> TimePreference | None:
    """When the patient would like to come, from the words they used."""
    said = ctx.get("visit_time")
    return read_when(said, language=ctx.language, now=ctx.now) if said else None


async def visits(ctx: Context) -> list[Visit]:
    assert ctx.patient_id is not None
    return await upcoming(ctx.ehr, ctx.patient_id, ctx.now)


def line(visit: Visit, number: int) -> dict[str, Any]:
    """A visit as the content key `line_visit` shows it."""
    place = visit.location if not visit.address else f"{visit.location}, {visit.address}"
    return {
        "number": number,
        "start": visit.start.isoformat(),
        "practitioner": visit.practitioner,
        "place": "" if visit.virtual else place,
        "video": visit.video_url or "",
    }


class Whom(Step):
    """A specialty or a practitioner."""

    slot = "visit_service"

    async def prefill(self, ctx: Context) -> None:
        if ctx.get(self.slot) is None:
            await self._named(ctx)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say(
            "utter_ask_visit_service" if attempt == 0 else "utter_ask_visit_service_again",
            specialties=[
                {"number": number, "label": specialty.display[ctx.language]}
                for number, specialty in enumerate(ctx.clinic.specialties, 1)
            ],
        )

    async def read(self, ctx: Context) -> bool:
        if await self._named(ctx):
            return True
        options = [Option(s.code, s.display[ctx.language]) for s in ctx.clinic.specialties]
        choice = read_choice(ctx.text, options, ctx.language, numbered=True)
        if choice.picked and choice.picked.sure:
            self._specialty(ctx, choice.picked.value)
            return True
        if choice.any or ctx.intends("dont_know", least=0.5):
            # Who does not know whom to see starts with family medicine, where somebody finds out.
            self._specialty(ctx, ctx.clinic.specialties[0].code)
            return True
        return False

    async def _named(self, ctx: Context) -> bool:
        people = find_practitioners(ctx.text, await practitioners(ctx.ehr))
        if len(people) == 1:
            ctx.set(self.slot, {"practitioner_id": people[0].id, "label": people[0].name})
            return True
        code = specialty_of(ctx.text, ctx.clinic.specialties)
        if code is not None:
            self._specialty(ctx, code)
        return code is not None

    def _specialty(self, ctx: Context, code: str) -> None:
        label = next(s.display[ctx.language] for s in ctx.clinic.specialties if s.code == code)
        ctx.set(self.slot, {"specialty": code, "label": label})


class Reason(Step):
    """Why, in the patient's own words."""

    slot = "visit_reason"
    takes_anything = True
    means = frozenset({"report_symptom", "medication_refill", "ask_test_results", "inform"})

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_visit_reason" if attempt == 0 else "utter_ask_visit_reason_again")

    async def read(self, ctx: Context) -> bool:
        if not any(char.isalnum() for char in ctx.text):
            return False
        ctx.set(self.slot, ctx.text[:500])
        return True


class When(Step):
    slot = "visit_time"

    async def prefill(self, ctx: Context) -> None:
        if ctx.get(self.slot) is None:
            await self.read(ctx)

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.say("utter_ask_visit_time" if attempt == 0 else "utter_ask_visit_time_again")

    async def read(self, ctx: Context) -> bool:
        preference = read_when(ctx.text, language=ctx.language, now=ctx.now)
        if preference is None:
            return False
        ctx.set(self.slot, ctx.text[:300])
        return True


class WhenToMove(When):
    """For moving a visit: the words that started it name the old time as often as the new one."""

    async def prefill(self, ctx: Context) -> None:
        """Ask, rather than guess which time was meant."""


class Offer(Step):
    """Three free slots; picking one takes it, so that nobody else can between the question and the answer."""

    slot = "visit_offer"
    kind: ClassVar[str] = "book"

    async def ask(self, ctx: Context, attempt: int) -> None:
        if attempt and ctx.get("visit_offers"):
            ctx.say("utter_offer_again", offers=_lines(ctx.get("visit_offers")))
            return
        await self._offer(ctx)

    async def read(self, ctx: Context) -> bool:
        offers: list[dict[str, Any]] = ctx.get("visit_offers") or []
        choice = read_choice(ctx.text, [_option(made, ctx) for made in offers], ctx.language, numbered=True)
        if choice.picked and choice.picked.sure:
            return await self._take(ctx, next(made for made in offers if made["slot_id"] == choice.picked.value))
        if choice.any and offers:
            return await self._take(ctx, offers[0])
        preference = read_when(ctx.text, language=ctx.language, now=ctx.now)
        if preference is not None:
            if (meant := _the_one_at(preference, offers, ctx)) is not None:
                return await self._take(ctx, meant)
            ctx.set("visit_time", ctx.text[:300])
            ctx.set("visit_offers", None)
            return True
        answer = read_yes_no(ctx.text, ctx.language)
        if choice.none or (answer and answer.sure and not answer.value):
            self._other_time(ctx)
            return True
        if answer and answer.sure and answer.value and len(offers) == 1:
            return await self._take(ctx, offers[0])
        return False

    def _other_time(self, ctx: Context) -> None:
        """None of them suits: ask for a time again, and do not offer these once more."""
        seen = [made["slot_id"] for made in ctx.get("visit_offers") or ()]
        ctx.set("visit_excluded", [*(ctx.get("visit_excluded") or []), *seen])
        ctx.set("visit_time", None)
        ctx.set("visit_offers", None)

    async def _offer(self, ctx: Context) -> None:
        service = ctx.get("visit_service") or {}
        found = await offer(
            ctx.ehr,
            specialty=service.get("specialty"),
            practitioner_id=service.get("practitioner_id"),
            preference=wish(ctx),
            now=ctx.now,
            count=_OFFERS,
            exclude=frozenset(ctx.get("visit_excluded") or ()),
            busy=await visits(ctx) if ctx.patient_id else (),
        )
        if not found:
            await ctx.escalate("scheduling", "soon", details={"why": "no free slot to offer"})
            ctx.say("utter_no_slots")
            leave(ctx, "done")
            return
        made = [_kept(one, number) for number, one in enumerate(found, 1)]
        ctx.set("visit_offers", made)
        key = "utter_offer_slots" if found[0].matches_wish else "utter_offer_nearest"
        ctx.say(key, offers=_lines(made), service=service.get("label", ""))

    async def _take(self, ctx: Context, made: dict[str, Any]) -> bool:
        """Book the slot; True also when it is gone and others are offered instead."""
        match await self.take(ctx, made):
            case Booked(appointment_id) | Moved(appointment_id):
                ctx.set(self.slot, made["slot_id"])
                ctx.set("visit_booked", appointment_id)
            case SlotTaken():
                ctx.say("utter_slot_taken")
                ctx.set("visit_excluded", [*(ctx.get("visit_excluded") or []), made["slot_id"]])
                ctx.set("visit_offers", None)
            case other:
                await not_done(ctx, other)
                leave(ctx, "done")
        return True

    async def take(self, ctx: Context, made: dict[str, Any]) -> Outcome:
        assert ctx.patient_id is not None
        return await book(
            ctx.parts.database,
            ctx.ehr,
            ctx.tenant,
            key=ctx.key("book"),
            slot_id=made["slot_id"],
            patient_id=ctx.patient_id,
            reason=ctx.get("visit_reason") or "",
            conversation_id=ctx.conversation.id,
            now=ctx.now,
        )


class MoveOffer(Offer):
    async def take(self, ctx: Context, made: dict[str, Any]) -> Outcome:
        assert ctx.patient_id is not None
        return await reschedule(
            ctx.parts.database,
            ctx.ehr,
            ctx.tenant,
            key=ctx.key("reschedule"),
            appointment_id=ctx.get("visit_choice"),
            slot_id=made["slot_id"],
            patient_id=ctx.patient_id,
            conversation_id=ctx.conversation.id,
            now=ctx.now,
        )


class WhichVisit(Step):
    """One of the patient's visits: the one they named, the only one, or the one they pick."""

    slot = "visit_choice"
    next_if_unnamed: ClassVar[bool] = False

    async def prefill(self, ctx: Context) -> None:
        """Remember the words: which visit they mean can only be looked up once the patient is verified."""
        ctx.set("visit_named", ctx.text)

    async def applies(self, ctx: Context) -> bool:
        coming = await visits(ctx)
        if not coming:
            ctx.say("utter_no_visits")
            leave(ctx, "done")
            return False
        if len(coming) == 1:
            return self._settle(ctx, coming[0])
        named = self._named(ctx, coming, ctx.get("visit_named") or "")
        if len(named) == 1:
            return self._settle(ctx, named[0])
        if self.next_if_unnamed and not named:
            return self._settle(ctx, coming[0])
        return True

    async def ask(self, ctx: Context, attempt: int) -> None:
        coming = (await visits(ctx))[:6]
        lines = [line(visit, number) for number, visit in enumerate(coming, 1)]
        ctx.say("utter_ask_which_visit" if attempt == 0 else "utter_ask_which_visit_again", visits=lines)

    async def read(self, ctx: Context) -> bool:
        coming = (await visits(ctx))[:6]
        choice = read_choice(ctx.text, [_visit_option(visit, ctx) for visit in coming], ctx.language, numbered=True)
        if choice.picked and choice.picked.sure:
            ctx.set(self.slot, choice.picked.value)
            return True
        named = self._named(ctx, coming, ctx.text)
        if len(named) == 1:
            ctx.set(self.slot, named[0].id)
        return len(named) == 1

    def _settle(self, ctx: Context, visit: Visit) -> bool:
        ctx.set(self.slot, visit.id)
        return False

    def _named(self, ctx: Context, coming: list[Visit], text: str) -> tuple[Visit, ...]:
        when = read_when(text, language=ctx.language, now=ctx.now)
        return name_match(coming, text, when, ctx.clinic.specialties).visits


class VisitOrNext(WhichVisit):
    next_if_unnamed = True


class Sure(Step):
    """Cancelling is asked back once."""

    slot = "cancel_sure"

    async def ask(self, ctx: Context, attempt: int) -> None:
        visit = await _chosen(ctx)
        if visit is None:
            return
        ctx.say("utter_ask_cancel_sure", **{k: v for k, v in line(visit, 1).items() if k != "number"})

    async def read(self, ctx: Context) -> bool:
        choice = _clear_choice(ctx, "utter_ask_cancel_sure")
        answer = read_yes_no(ctx.text, ctx.language)
        if choice is None and answer is not None and answer.sure:
            choice = "cancel" if answer.value else "keep"
        if choice is None and ctx.intends("cancel_appointment", least=0.6):
            choice = "cancel"
        if choice == "keep":
            ctx.say("utter_visit_kept")
            leave(ctx, "done")
        elif choice == "cancel":
            ctx.set(self.slot, True)
        return choice is not None


class CancelReason(Step):
    slot = "cancel_reason"
    takes_anything = True

    async def ask(self, ctx: Context, _attempt: int) -> None:
        ctx.say("utter_ask_cancel_reason")

    async def read_first(self, ctx: Context) -> bool:
        """Second thoughts come just here, and whoever asks to keep a visit must not lose it."""
        picked = read_choice(ctx.text, ctx.options("utter_ask_cancel_reason"), ctx.language).picked
        kept = picked is not None and picked.value == "keep"
        if picked and kept and (picked.confidence >= _PLAIN or ctx.intends("never_mind", least=0.5)):
            ctx.say("utter_visit_kept")
            leave(ctx, "done")
        elif (picked and picked.value == "none" and picked.confidence >= _PLAIN) or self._declines(ctx):
            ctx.set(self.slot, "")
            return True
        return False

    async def read(self, ctx: Context) -> bool:
        ctx.set(self.slot, ctx.text[:500])
        return True

    @staticmethod
    def _declines(ctx: Context) -> bool:
        """Whether the answer is that there will be none: "skip", "rather not say", "no"."""
        control = read_control(ctx.text, ctx.language)
        answer = read_yes_no(ctx.text, ctx.language)
        bare_no = answer is not None and not answer.value and len(ctx.text.split()) <= 2
        return bare_no or (control is not None and control.value in _NO_REASON)


class BookForm(Form):
    name = "book_form"
    own_slots = ("visit_offers", "visit_excluded", "visit_booked")
    required = ("visit_service", "visit_offer", "visit_booked")

    def steps(self) -> tuple[Step, ...]:
        return (Whom(), Reason(), When(), Offer())

    async def submit(self, ctx: Context) -> str | None:
        await _tell(ctx, "utter_booked")
        return None


class RescheduleForm(Form):
    name = "reschedule_form"
    own_slots = ("visit_offers", "visit_excluded", "visit_booked", "visit_named", "visit_service")
    required = ("visit_choice", "visit_offer", "visit_booked")

    def steps(self) -> tuple[Step, ...]:
        return (_VisitToMove(), WhenToMove(), MoveOffer())

    async def submit(self, ctx: Context) -> str | None:
        await _tell(ctx, "utter_rescheduled")
        return None


class _VisitToMove(WhichVisit):
    """Moving keeps the practitioner."""

    async def applies(self, ctx: Context) -> bool:
        said = ctx.get("visit_named") or ""
        if parts := moved_to(said, language=ctx.language, now=ctx.now):
            # "my Tuesday visit to Thursday": one day names the visit, the other the wish.
            about, target = parts
            ctx.set("visit_named", about)
            ctx.set("visit_time", target[:300])
        asked = await super().applies(ctx)
        if not ctx.get("form_exit") and not parts:
            await self._wish_in(ctx, said)
        await self._keep_practitioner(ctx)
        return asked

    async def read(self, ctx: Context) -> bool:
        understood = await super().read(ctx)
        if not understood and ctx.get("visit_time") is None:
            # "Thursday morning" names none of the visits, so it is where to move one of them.
            understood = await self._wish_in(ctx, ctx.text)
        await self._keep_practitioner(ctx)
        return understood

    async def _wish_in(self, ctx: Context, text: str) -> bool:
        """Keep the time that `text` speaks of as the new one, unless it is when a visit already is."""
        when = read_when(text, language=ctx.language, now=ctx.now)
        if when is None or ctx.get("visit_time") or any(when.matches(visit.start) for visit in await visits(ctx)):
            return False
        ctx.set("visit_time", text[:300])
        return True

    async def _keep_practitioner(self, ctx: Context) -> None:
        if ctx.get(self.slot) and (visit := await _chosen(ctx)) is not None:
            ctx.set("visit_service", {"practitioner_id": visit.practitioner_id, "label": visit.practitioner})


class CancelForm(Form):
    name = "cancel_form"
    own_slots = ("visit_named",)
    required = ("visit_choice", "cancel_sure")

    def steps(self) -> tuple[Step, ...]:
        return (WhichVisit(), Sure(), CancelReason())

    async def submit(self, ctx: Context) -> str | None:
        visit = await _chosen(ctx)
        done = await cancel(
            ctx.parts.database,
            ctx.ehr,
            ctx.tenant,
            key=ctx.key("cancel"),
            appointment_id=ctx.get("visit_choice"),
            patient_id=ctx.patient_id or "",
            reason=ctx.get("cancel_reason") or "",
            conversation_id=ctx.conversation.id,
            now=ctx.now,
        )
        if not isinstance(done, Cancelled):
            await not_done(ctx, done)
        elif visit is not None:
            ctx.say("utter_cancelled", start=visit.start.isoformat(), practitioner=visit.practitioner)
        else:
            ctx.say("utter_cancelled_plain")
        return None


class ConfirmForm(Form):
    name = "confirm_form"
    own_slots = ("visit_named",)
    required = ("visit_choice",)

    def steps(self) -> tuple[Step, ...]:
        return (VisitOrNext(),)

    async def submit(self, ctx: Context) -> str | None:
        done = await confirm(
            ctx.parts.database,
            ctx.ehr,
            ctx.tenant,
            key=ctx.key("confirm"),
            appointment_id=ctx.get("visit_choice"),
            patient_id=ctx.patient_id or "",
            conversation_id=ctx.conversation.id,
            now=ctx.now,
        )
        if not isinstance(done, Confirmed):
            await not_done(ctx, done)
        else:
            ctx.set("visit_booked", ctx.get("visit_choice"))
            await _tell(ctx, "utter_confirmed")
            ctx.set("visit_booked", None)
        return None


class AppointmentsForm(Form):
    """Next visits: when, where, with whom, how to prepare, the video link."""

    name = "appointments_form"
    own_slots = ("visit_topic",)

    def steps(self) -> tuple[Step, ...]:
        return (Topic(),)

    async def submit(self, ctx: Context) -> str | None:
        coming = await visits(ctx)
        if not coming:
            ctx.say("utter_no_visits")
            return None
        match ctx.get("visit_topic"):
            case "video_link":
                online = [line(visit, n) for n, visit in enumerate((v for v in coming if v.video_url), 1)]
                ctx.say("utter_video_links" if online else "utter_no_video", visits=online)
            case "appointment_preparation":
                visit = next((visit for visit in coming if visit.preparation), None)
                if visit is None:
                    ctx.say("utter_no_preparation", start=coming[0].start.isoformat())
                else:
                    ctx.say("utter_preparation", start=visit.start.isoformat(), preparation=visit.preparation)
            case _:
                lines = [line(visit, number) for number, visit in enumerate(coming[:5], 1)]
                ctx.say("utter_visits", visits=lines, preparation=coming[0].preparation)
        return None


class Topic(Step):
    """Which part of the visits was asked about; the message that started the form says."""

    slot = "visit_topic"

    async def prefill(self, ctx: Context) -> None:
        topics = ("video_link", "appointment_preparation")
        ctx.set(self.slot, ctx.intent if ctx.intent in topics else "list_appointments")

    async def ask(self, ctx: Context, attempt: int) -> None:
        ctx.set(self.slot, "list_appointments")

    async def read(self, ctx: Context) -> bool:
        return True


async def not_done(ctx: Context, outcome: Outcome) -> None:
    """What is said when a change did not happen, or has not happened yet."""
    match outcome:
        case Waiting(key):
            # The worker goes on with it and tells the patient what came of it.
            row = await writes.load(ctx.parts.database, ctx.tenant, key)
            if row is not None:
                await writes.note(ctx.parts.database, ctx.tenant, row, **{WAITING_TOLD: True})
            ctx.say("utter_change_waiting")
        case Gone():
            ctx.say("utter_visit_gone")
        case _:
            await ctx.escalate("scheduling", "soon", details={"why": "the EHR refused the change"})
            ctx.say("utter_booking_refused")


def _clear_choice(ctx: Context, key: str) -> str | None:
    """The quick reply of `key` that the message plainly says: what follows may not be undone by a guess."""
    picked = read_choice(ctx.text, ctx.options(key), ctx.language).picked
    return picked.value if picked is not None and picked.confidence >= _PLAIN else None


async def _chosen(ctx: Context) -> Visit | None:
    return next((visit for visit in await visits(ctx) if visit.id == ctx.get("visit_choice")), None)


async def _tell(ctx: Context, key: str) -> None:
    """Say when, where, with whom and how to prepare, as the EHR has it now."""
    visit = next((visit for visit in await visits(ctx) if visit.id == ctx.get("visit_booked")), None)
    if visit is None:
        ctx.say(f"{key}_plain")
        return
    values = line(visit, 1)
    del values["number"]
    ctx.say(key, **values, preparation=visit.preparation)


def _kept(made: SlotOffer, number: int) -> dict[str, Any]:
    """An offer as the Rasa slot keeps it."""
    return {
        "number": number,
        "slot_id": made.slot_id,
        "start": made.start.isoformat(),
        "practitioner": made.practitioner.name,
        "place": "" if made.virtual else made.location,
        "virtual": made.virtual,
    }


def _the_one_at(preference: TimePreference, offers: list[dict[str, Any]], ctx: Context) -> dict[str, Any] | None:
    """The only offer at the time said; "9:30" is near 9:00 for a wish, but among offers it is the one at 9:30."""
    starts = [(made, datetime.fromisoformat(made["start"]).astimezone(ctx.clinic.zone)) for made in offers]
    fitting = [(made, start) for made, start in starts if preference.matches(start)]
    if preference.at is not None and len(fitting) > 1:
        fitting = [(made, start) for made, start in fitting if start.time() == preference.at]
    return fitting[0][0] if len(fitting) == 1 else None


def _lines(offers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: made[key] for key in ("number", "start", "practitioner", "place")} for made in offers]


def _option(made: dict[str, Any], ctx: Context) -> Option:
    return _moment_option(made["slot_id"], datetime.fromisoformat(made["start"]), made["practitioner"], ctx)


def _visit_option(visit: Visit, ctx: Context) -> Option:
    return _moment_option(visit.id, visit.start, visit.practitioner, ctx)


def _moment_option(value: str, start: datetime, practitioner: str, ctx: Context) -> Option:
    """A time as a choice, with the ways people point at it: the day, the hour, the doctor."""
    local = start.astimezone(ctx.clinic.zone)
    written = ctx.parts.content.current.moment_words(local, ctx.language)
    return Option(value, written[0], (*written[1:], practitioner))
