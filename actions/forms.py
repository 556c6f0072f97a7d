"""Each form of `domain.yml`: a `validate_` action that takes a turn in it, and a submit action that ends it."""

from __future__ import annotations

from typing import ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import EventType, FollowupAction, SlotSet

from actions.base import CarethreadAction
from carethread.conversations.appointments import (
    AppointmentsForm,
    BookForm,
    CancelForm,
    ConfirmForm,
    RescheduleForm,
)
from carethread.conversations.checkin import CheckinForm
from carethread.conversations.context import Context
from carethread.conversations.form import Form, advance, clear
from carethread.conversations.handoff import EXITS
from carethread.conversations.identify import IdentifyForm
from carethread.conversations.identity import GATE
from carethread.conversations.symptoms import SymptomForm


class FormTurn(CarethreadAction):
    """`validate_<form>`: reads the answer and asks the next thing itself, so Rasa has nothing left to ask."""

    form: ClassVar[Form]

    def name(self) -> str:
        return f"validate_{self.form.name}"

    async def turn(self, ctx: Context, tracker: Tracker) -> list[EventType]:
        active = (tracker.active_loop or {}).get("name") == self.form.name
        requested = ctx.get("requested_slot") if active else None
        following = await advance(self.form, GATE, ctx, requested)
        # A slot event besides the requested one tells Rasa that the answer was looked at.
        return [SlotSet("form_name", self.form.name), SlotSet("requested_slot", following)]


class FormEnd(CarethreadAction):
    """`action_submit_<form>`: does what the form was for, or what the patient left it for."""

    form: ClassVar[Form]

    def name(self) -> str:
        return f"action_submit_{self.form.name}"

    async def turn(self, ctx: Context, _tracker: Tracker) -> list[EventType]:
        why = ctx.get("form_exit")
        following: str | None = None
        if why is None and self._complete(ctx):
            following = await self.form.submit(ctx)
        elif why and why.startswith("start:"):
            following = why.removeprefix("start:")
        elif why in EXITS:
            following = await EXITS[why](ctx)
        elif why != "failed":
            # Rasa submits a form whose validation went wrong: never act on what was not understood.
            await EXITS["not_understood"](ctx)
        kept = {slot: ctx.get(slot) for slot in ("visit_reason",)} if following == "book_form" else {}
        clear(self.form, ctx, GATE)
        for slot, value in kept.items():
            ctx.set(slot, value)
        return [FollowupAction(following)] if following else []

    def _complete(self, ctx: Context) -> bool:
        """Whether the form is really filled, whatever Rasa thinks."""
        return (ctx.patient_id is not None or not self.form.verified) and all(
            ctx.get(slot) is not None for slot in self.form.required
        )


class ValidateAppointmentsForm(FormTurn, Action):
    form = AppointmentsForm()


class SubmitAppointmentsForm(FormEnd, Action):
    form = AppointmentsForm()


class ValidateBookForm(FormTurn, Action):
    form = BookForm()


class SubmitBookForm(FormEnd, Action):
    form = BookForm()


class ValidateConfirmForm(FormTurn, Action):
    form = ConfirmForm()


class SubmitConfirmForm(FormEnd, Action):
    form = ConfirmForm()


class ValidateRescheduleForm(FormTurn, Action):
    form = RescheduleForm()


class SubmitRescheduleForm(FormEnd, Action):
    form = RescheduleForm()


class ValidateCancelForm(FormTurn, Action):
    form = CancelForm()


class SubmitCancelForm(FormEnd, Action):
    form = CancelForm()


class ValidateSymptomForm(FormTurn, Action):
    form = SymptomForm()


class SubmitSymptomForm(FormEnd, Action):
    form = SymptomForm()


class ValidateCheckinForm(FormTurn, Action):
    form = CheckinForm()


class SubmitCheckinForm(FormEnd, Action):
    form = CheckinForm()


class ValidateIdentifyForm(FormTurn, Action):
    form = IdentifyForm()


class SubmitIdentifyForm(FormEnd, Action):
    form = IdentifyForm()
