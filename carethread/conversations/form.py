"""Forms: ask for one thing at a time, understand the answer, never lose the way.

A form's steps are asked in order. An answer is read first; what is no answer may be a question by the way (it is
answered, and the step asked again), a wish to leave (human, never mind, another task), or not understood: asked
again in other words, then with choices, then a human.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import structlog

from carethread.conversations.context import Context
from carethread.conversations.handoff import answer_aside
from carethread.conversations.wishes import ASIDES, TASKS
from carethread.questionnaires.readings import Control, read_control

log = structlog.get_logger()

_TRIES = 3

# How sure the classifier must be, at a step that takes any words and at one that has not understood.
_SURE_ANYWHERE = 0.8
_SURE_WHEN_LOST = 0.45
# Wishes that end any form, with the confidence that each needs at the least.
_LEAVES = {
    "never_mind": 0.0, "request_human": 0.0, "stop_messages": 0.0,
    "emergency": 0.6, "grief": 0.6, "complaint": 0.6, "wrong_person": 0.6,
}  # fmt: skip


class Step:
    """One thing to find out, kept in the Rasa slot `slot`."""

    slot: ClassVar[str]
    # Takes any words as the answer, so that only a clear wish counts as something else.
    takes_anything: ClassVar[bool] = False
    # Its answers may sound like a wish to leave ("call me"), so they are read before such wishes are heard.
    reads_first: ClassVar[bool] = False
    # Intents that are its answer, though elsewhere they would be another task ("my knee hurts" is why somebody comes).
    means: ClassVar[frozenset[str]] = frozenset()
    # Wishes to leave that are heard before the answer is read, which would take "never mind" for a no.
    leaves_at_once: ClassVar[Mapping[str, float]] = {"request_human": 0.6, "stop_messages": 0.6, "never_mind": 0.75}

    async def applies(self, _ctx: Context) -> bool:
        """Whether this has to be asked at all."""
        return True

    async def prefill(self, ctx: Context) -> None:
        """Take what the message that started the form already says."""

    async def ask(self, ctx: Context, attempt: int) -> None:
        """Say the question; `attempt` counts from 0 and asks for other words."""
        raise NotImplementedError

    async def read(self, ctx: Context) -> bool:
        """Set the slot from the message; False when it was no answer."""
        raise NotImplementedError

    async def read_first(self, ctx: Context) -> bool:
        """Take what is an answer here whatever else it may sound like; True when the message was one."""
        return self.reads_first and await self.read(ctx)


class Form:
    """A Rasa form: its steps and what happens when all are known."""

    name: ClassVar[str]
    verified: ClassVar[bool] = True  # needs the identity gate first
    own_slots: ClassVar[tuple[str, ...]] = ()
    # Said to whoever would rather do it another time.
    later: ClassVar[str] = "utter_deny"
    # Goes on after a human had the conversation; others are over then, and the message means what it means.
    resumes: ClassVar[bool] = False
    # Without these nothing is submitted, whatever Rasa thinks.
    required: ClassVar[tuple[str, ...]] = ()

    def steps(self) -> tuple[Step, ...]:
        raise NotImplementedError

    async def begin(self, ctx: Context) -> None:
        """Before anything is asked."""

    async def overhears(self, _ctx: Context) -> bool:
        """Answer what may be asked for at any step, the gate's too; True when that was all and the step still waits."""
        return False

    async def submit(self, ctx: Context) -> str | None:
        """Do it. Returns the name of a form or action to go on with, if any."""
        raise NotImplementedError


def leave(ctx: Context, why: str) -> None:
    """End the form at the end of this turn; its submit action sees why."""
    ctx.set("form_exit", why)


async def advance(form: Form, gate: tuple[Step, ...], ctx: Context, requested: str | None) -> str | None:
    """Take one turn in `form`. Returns the slot to ask for next, or None when the form is over."""
    steps = (*gate, *form.steps()) if form.verified else form.steps()
    attempt = 0
    if requested is None:
        ctx.set("form_state", {})
        ctx.set("form_exit", None)
        await form.begin(ctx)
        for step in steps:
            await step.prefill(ctx)
    elif (asked := next((step for step in steps if step.slot == requested), None)) is not None:
        if await form.overhears(ctx):
            return requested
        if not await ctx.interrupted():
            attempt = await _answer(form, asked, ctx)
        elif not form.resumes:
            leave(ctx, "elsewhere")
        else:
            await _aside(ctx, form, asked, _SURE_WHEN_LOST)
    if ctx.get("form_exit"):
        return None
    for step in steps:
        if ctx.get(step.slot) is not None:
            continue
        asked_for = await step.applies(ctx)
        if ctx.get("form_exit"):
            return None
        if asked_for:
            await step.ask(ctx, attempt if step.slot == requested else 0)
            return None if ctx.get("form_exit") else step.slot
    return None


async def _answer(form: Form, step: Step, ctx: Context) -> int:
    """Read the answer to `step`. Returns which attempt at it comes next."""
    attempts = dict(ctx.get("form_state") or {})
    so_far = int(attempts.get(step.slot, 0))
    if await step.read_first(ctx) or ctx.get("form_exit"):
        return 0
    for intent, least in step.leaves_at_once.items():
        if ctx.intends(intent, least=least):
            leave(ctx, intent)
            return so_far
    if step.takes_anything and await _aside(ctx, form, step, _SURE_ANYWHERE):
        return so_far
    if not step.reads_first and await step.read(ctx):
        return 0
    if ctx.get("form_exit") or await _aside(ctx, form, step, _SURE_WHEN_LOST):
        return so_far
    attempts[step.slot] = so_far + 1
    ctx.set("form_state", attempts)
    if so_far + 1 >= _TRIES:
        leave(ctx, "not_understood")
    return so_far + 1


async def _aside(ctx: Context, form: Form, step: Step, least: float) -> bool:
    """Answer a question by the way, or leave for what the patient wants instead; True when it was one."""
    if ctx.intent in step.means:
        return False
    if ctx.intent in _LEAVES and ctx.confidence >= max(least, _LEAVES[ctx.intent]):
        leave(ctx, ctx.intent)
    elif _later(ctx, max(least, 0.6)):
        ctx.say(form.later)
        leave(ctx, "done")
    elif ctx.intends(*TASKS, least=max(least, 0.6)) and TASKS[ctx.intent] != form.name:
        leave(ctx, f"start:{TASKS[ctx.intent]}")
    elif ctx.intends(*ASIDES, least=least):
        await answer_aside(ctx)
    else:
        return False
    return True


def _later(ctx: Context, least: float) -> bool:
    """Whether the patient would rather go on another time: the classifier hears it so, or the whole message says it."""
    control = read_control(ctx.text, ctx.language)
    return ctx.intends("later", least=least) or (control is not None and control.value is Control.LATER)


def clear(form: Form, ctx: Context, gate: tuple[Step, ...]) -> None:
    """Forget the form's answers, so that the next one starts afresh."""
    for step in (*gate, *form.steps()):
        ctx.set(step.slot, None)
    for slot in (*form.own_slots, "form_state", "form_exit"):
        ctx.set(slot, None)
