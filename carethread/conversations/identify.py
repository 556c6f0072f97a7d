"""“This is Maria Lopez, born 4/12/1968”: verify, and nothing more."""

from __future__ import annotations

from carethread.conversations.context import Context
from carethread.conversations.form import Form, Step
from carethread.conversations.identity import is_somebody_else


class IdentifyForm(Form):
    name = "identify_form"
    verified = True

    def steps(self) -> tuple[Step, ...]:
        return ()

    async def begin(self, ctx: Context) -> None:
        if await is_somebody_else(ctx):
            await ctx.forget_patient()

    async def submit(self, ctx: Context) -> str | None:
        ctx.say("utter_ask_what_next")
        return None
