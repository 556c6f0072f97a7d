"""A check-in: the questionnaire of a program, asked in the conversation, one question at a time."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from carethread.conversations.context import Context
from carethread.conversations.form import Form, Step, leave
from carethread.conversations.wishes import ASIDES, TASKS
from carethread.dialogue.content import Content
from carethread.ehr import patients
from carethread.programs import runs
from carethread.questionnaires import Input, Question
from carethread.questionnaires import Step as Asked
from carethread.questionnaires.readings import read_choice
from carethread.storage.models import QuestionnaireRun

# Question.framing → the content key that puts it so.
_FRAMING = {
    "retry": "utter_question_retry",
    "choices": "utter_question_choices",
    "which": "utter_question_which",
    "required": "utter_question_required",
    "too_many": "utter_question_too_many",
    "change": "utter_question_change",
}
# Kinds of question that take any words: what is said is the answer unless it clearly is something else.
_FREE = ("text", "string")
_CLEARLY = 0.6  # how sure the classifier must be of another wish


class Answers(Step):
    """One step that stays until the questionnaire is through: each message is an answer to its waiting question."""

    slot = "checkin_answer"
    # "Go back" and "skip it" are about a question here, and a "never mind" is no reason to lose the answers before.
    leaves_at_once = {"request_human": 0.6, "stop_messages": 0.6, "emergency": 0.8}  # noqa: RUF012

    async def applies(self, ctx: Context) -> bool:
        run = await self._run(ctx)
        if run is None:
            ctx.say("utter_no_checkin")
            leave(ctx, "done")
            return False
        if ctx.patient_id is not None and ctx.patient_id != run.patient_id:
            await ctx.escalate("checkin", "soon", details={"why": "another person answered the check-in"})
            ctx.say("utter_checkin_other_person")
            leave(ctx, "done")
            return False
        return True

    async def ask(self, ctx: Context, _attempt: int) -> None:
        if ctx.get("checkin_asked") == ctx.message_id:
            return  # this turn's question was said when its answer was taken
        async with ctx.begin() as session:
            run = await runs.waiting(session, ctx.conversation.id, alone=True)
            step = None if run is None else await self._open(ctx, session, run)
        if step is not None and step.question is not None:
            say_question(ctx, step.question)

    async def _open(self, ctx: Context, session: AsyncSession, run: QuestionnaireRun) -> Asked:
        """The first question, or the waiting one once more: it may have been put on the web page."""
        program, questionnaire = runs.questionnaire_of(ctx.parts.programs, run)
        step = runs.opened(program, questionnaire, run, language=ctx.language, now=ctx.now)
        await _keep(ctx, session, run, step)
        return step

    async def read(self, ctx: Context) -> bool:
        async with ctx.begin() as session:
            run = await runs.waiting(session, ctx.conversation.id, alone=True)
            if run is None:  # its last question was answered on the web page: this is about something else
                leave(ctx, "elsewhere")
                return True
            if run.state != "running":
                return True
            if run.asked_on == "page":  # what was asked here last has been answered there
                step = await self._open(ctx, session, run)
                if step.question is not None:
                    say_question(ctx, step.question)
                    ctx.set("checkin_asked", ctx.message_id)
                return True
            _, questionnaire = runs.questionnaire_of(ctx.parts.programs, run)
            message = Input(ctx.text, ctx.language, ctx.message_id, ctx.now)
            # "What are your hours?" is no "what do you mean?": what is clearly another wish is read by its words alone.
            meaning = None if ctx.intends(*ASIDES, *TASKS, least=_CLEARLY) else ctx.parts.meaning
            step = runs.take(questionnaire, run, message, meaning=meaning)
            current = step.session.current
            if self._something_else(ctx, questionnaire.item(current.link_id) if current else None, step):
                return False
            progress = await _keep(ctx, session, run, step)
        await self._go_on(ctx, progress)
        return True

    async def _go_on(self, ctx: Context, progress: runs.Progress) -> None:
        step = progress.step
        if step.question is not None and step.status != "postponed":
            say_question(ctx, step.question)
            ctx.set("checkin_asked", ctx.message_id)
            return
        match step.status:
            case "postponed":
                ctx.say("utter_checkin_later")
                leave(ctx, "done")
            case "needs-human":
                await ctx.escalate("checkin", "soon", details={"why": "an answer could not be understood"})
                ctx.say("utter_checkin_human")
                leave(ctx, "done")
            case _:
                ctx.set(self.slot, True)
                ctx.set("checkin_alarm", bool(progress.alarms))

    def _something_else(self, ctx: Context, item: Any, step: Asked) -> bool:
        """Whether the message is a question by the way or another wish, rather than a bad answer."""
        if item is not None and item.type in _FREE:
            return False
        return runs.lost(step) and ctx.intends(*ASIDES, *TASKS, "never_mind", "later", "request_human", least=0.45)

    async def _run(self, ctx: Context) -> QuestionnaireRun | None:
        async with ctx.begin() as session:
            return await runs.waiting(session, ctx.conversation.id)


class CheckinForm(Form):
    name = "checkin_form"
    resumes = True
    later = "utter_checkin_later"
    own_slots = ("checkin_asked", "checkin_alarm", "checkin_run")
    required = ("checkin_answer",)

    def steps(self) -> tuple[Step, ...]:
        return (Invitation(), Answers())

    async def overhears(self, ctx: Context) -> bool:
        """ "link": the web page's address. The date of birth that the EHR has is what opens it."""
        asked = read_choice(ctx.text, ctx.options("word_page"), ctx.language).picked
        if asked is None or asked.how not in ("exact", "synonym") or not asked.sure or asked.rest:
            return False
        async with ctx.begin() as session:
            waiting = await runs.waiting(session, ctx.conversation.id)
        patient = None if waiting is None else await patients.get(ctx.ehr, waiting.patient_id)
        if waiting is None or patient is None or patient.birth_date is None:
            ctx.say("utter_checkin_no_page")
            return True
        async with ctx.begin() as session:
            run = await session.get_one(QuestionnaireRun, waiting.id, with_for_update=True)
            run.born = ctx.parts.links.born(run.id, patient.birth_date)
        ctx.say("utter_checkin_page", link=ctx.parts.links.address(ctx.tenant, waiting.id, now=ctx.now))
        return True

    async def submit(self, ctx: Context) -> str | None:
        ctx.say("utter_checkin_done_alarm" if ctx.get("checkin_alarm") else "utter_checkin_done")
        return None


class Invitation(Step):
    """Says why we write, before anything is asked. Nothing to answer."""

    slot = "checkin_run"

    async def prefill(self, ctx: Context) -> None:
        async with ctx.begin() as session:
            run = await runs.waiting(session, ctx.conversation.id)
        if run is not None:
            self._greet(ctx, run)

    async def applies(self, ctx: Context) -> bool:
        """None waits here: perhaps one does on another channel of this patient's, now that we know who it is."""
        async with ctx.begin() as session:
            run = await runs.taken_up(session, ctx.conversation.id, ctx.patient_id or "")
        if run is None:
            ctx.say("utter_no_checkin")
            leave(ctx, "done")
        else:
            self._greet(ctx, run)
        return False

    def _greet(self, ctx: Context, run: QuestionnaireRun) -> None:
        ctx.set(self.slot, str(run.id))
        if run.state == "waiting":
            ctx.say("utter_checkin_invitation")

    async def ask(self, ctx: Context, attempt: int) -> None:
        """Never: the slot is set before anything is asked."""

    async def read(self, ctx: Context) -> bool:
        return True


async def _keep(ctx: Context, session: AsyncSession, run: QuestionnaireRun, step: Asked) -> runs.Progress:
    """Keep a step that was taken in this conversation."""
    program, questionnaire = runs.questionnaire_of(ctx.parts.programs, run)
    return await runs.keep(
        session, ctx.clinic, program, questionnaire, run, step, now=ctx.now, inbox_id=_inbox(ctx),
        channel=ctx.conversation.channel,
    )  # fmt: skip


def say_question(ctx: Context, question: Question) -> None:
    """Put a question in the words that its framing asks for."""
    key, parameters = in_words(ctx.parts.content.current, question, ctx.language)
    ctx.say(key, **parameters)


def in_words(content: Content, question: Question, language: str) -> tuple[str, dict[str, Any]]:
    """The content key that puts a question as its framing asks for, and that key's parameters."""
    match question.framing:
        case "range" if question.low or question.high:
            limits = {"doubted": question.doubted, "low": question.low, "high": question.high}
            return _RANGE[bool(question.low), bool(question.high)], {**limits, "question": question.text}
        case "too_long":
            return "utter_question_too_long", {"question": question.text}
        case "too_short":
            return "utter_question_too_short", {"question": question.text}
        case "format":
            return "utter_question_format", {"format": question.entry_format, "question": question.text}
        case "constraint":
            return "utter_question_constraint", {"human": question.human, "question": question.text}
        case "explain":
            return "utter_question_explain", {"help": question.help, "question": question.text}
        case "more":
            key = "utter_question_more_rows" if question.kind == "group" else "utter_question_more"
            labels = {"true": content.word("word_yes", language), "false": content.word("word_no_more", language)}
            choices = [{"label": labels[option.key]} for option in question.options]
            return key, {"question": question.text, "choices": choices}
        case "summary" | "summary_which":
            return _READ_BACK[question.framing], _summary(content, question, language)
        case framing:
            values = _values(content, question, language)
            if question.proposed and framing not in _FRAMING:
                answers = ", ".join(option.label for option in question.proposed)
                return "utter_question_proposed", {**values, "proposed": answers}
            return _FRAMING.get(framing, "utter_question"), values


_READ_BACK = {"summary": "utter_question_summary", "summary_which": "utter_question_summary_which"}
# Which of its limits a question has → the key that says what it takes.
_RANGE = {
    (True, True): "utter_question_range",
    (True, False): "utter_question_range_low",
    (False, True): "utter_question_range_high",
}


def _values(content: Content, question: Question, language: str) -> dict[str, Any]:
    yes_no = _yes_no(content, language)
    labels = [option.label or yes_no.get(option.key, option.key) for option in question.options]
    listed = (question.kind != "boolean" or question.numbered) and not question.options_shown
    context = [*([content.word("word_no_photo", language)] if question.no_photo else []), *question.context]
    return {
        "context": "\n".join(context),
        "question": question.text,
        "hint": _hint(content, question, language),
        "options": [{"number": n, "label": label} for n, label in enumerate(labels, 1)] if listed else [],
        "choices": [{"label": label} for label in labels or _numbers(question)],
        "progress": f"{question.done}/{question.total}",
    }


def _numbers(question: Question) -> list[str]:
    """The numbers of a scale, which a page shows as a slider; elsewhere they are said by the question."""
    if question.kind != "scale":
        return []
    return [str(number) for number in range(int(question.low), int(question.high) + 1)]


def _hint(content: Content, question: Question, language: str) -> str:
    """What helps to answer: that several options may be chosen, how to write it, what the ends of a scale mean."""
    ends = ((question.low, question.low_label), (question.high, question.high_label))
    said = [
        (question.several and not question.options_shown, "word_several"),
        (question.unlisted > 0, "word_unlisted"),
        (question.kind == "attachment", "word_photo"),
    ]
    hints = [content.word(key, language) for wanted, key in said if wanted]
    hints += [f"{number} = {label}" for number, label in ends if number and label]
    return " ".join([*hints, *([question.entry_format] if question.entry_format else [])])


def _summary(content: Content, question: Question, language: str) -> dict[str, Any]:
    yes_no = _yes_no(content, language)
    lines = [
        {
            "number": line.number,
            "question": line.text,
            "answer": ", ".join(one.label or yes_no.get(one.key, one.key) for one in line.answers),
        }
        for line in question.summary
    ]
    choices = [{"label": yes_no["true"]}, {"label": yes_no["false"]}]
    return {"context": "\n".join(question.context), "lines": lines, "choices": choices}


def _yes_no(content: Content, language: str) -> dict[str, str]:
    return {"true": content.word("word_yes", language), "false": content.word("word_no", language)}


def _inbox(ctx: Context) -> int | None:
    return int(ctx.message_id) if ctx.message_id.isdigit() else None
