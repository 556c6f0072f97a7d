"""Runs a questionnaire: a pure function of questionnaire, session and what the patient wrote.

Every step gives a new session, the next question if there is one, and what happened. An answer that is not
understood is asked for in other words, then as numbered choices; after that an optional question is left out and a
required one goes to a human. No input can make it wait for ever: requests such as "repeat" are counted too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from carethread.questionnaires.definition import Item, Questionnaire
from carethread.questionnaires.events import (
    Answered,
    AskedBack,
    Completed,
    Corrected,
    Event,
    Misunderstood,
    NeedsHuman,
    OutOfRange,
    Postponed,
    Restarted,
    Skipped,
    Unclear,
    WentBack,
)
from carethread.questionnaires.questions import Question, askable, question, texts_of, unseen_context
from carethread.questionnaires.readings import Control, read_control, read_correction, takes_back
from carethread.questionnaires.sessions import Current, Given, Session, Status
from carethread.questionnaires.understanding import (
    Beyond,
    NothingToSay,
    NotUnderstood,
    Outcome,
    Taken,
    TooLong,
    Which,
    exactly_an_option,
    key_value,
    understand,
)
from carethread.questionnaires.values import Value

_CHOICES = 2  # the attempt at which numbered choices are shown
_GIVE_UP = 3  # answers not taken after which a question is left out or goes to a human
_MOST_ASIDES = 4  # requests about one question after which the next counts as an answer not taken
_FOLLOW_UP_WORDS = 2  # words said besides a "yes" that are enough to answer "what is it?"


@dataclass(frozen=True, slots=True)
class Input:
    """One message. `selected` is the key of a tapped button; `message_id` makes a repeated message harmless."""

    text: str
    language: str
    message_id: str
    now: datetime
    selected: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What comes of an input. `closing` are texts that stand at the end of a completed questionnaire."""

    session: Session
    question: Question | None
    events: tuple[Event, ...] = ()
    closing: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        return self.session.status


def start(
    questionnaire: Questionnaire, *, language: str, now: datetime, launch: Mapping[str, Any] | None = None
) -> Step:
    """A new session and its first question. `launch` holds what expressions may refer to, such as the Patient."""
    session = Session(
        questionnaire.canonical, language, "in-progress", now, now, launch=dict(launch) if launch else None
    )
    for item in questionnaire.walk():
        if item.silent and item.is_question and item.initial:
            session = session.with_given(Given(item.link_id, item.initial, "", now, how="initial"))
    return _Turn(questionnaire, session, now, "").ask_next()


def resume(questionnaire: Questionnaire, session: Session, *, language: str, now: datetime) -> Step:
    """Puts the waiting question again, after a pause or when a human has helped; the count of attempts starts anew."""
    _check(questionnaire, session)
    if session.status == "completed" or session.current is None:
        return Step(session, None)
    current = replace(session.current, framing="resumed", attempt=0, asides=0, between=(), doubted="")
    session = replace(session, status="in-progress", language=language, updated_at=now, current=current)
    return Step(session, question(questionnaire, session, current))


def answer(questionnaire: Questionnaire, session: Session, message: Input) -> Step:
    """Takes a message as the answer to the waiting question, or as a request about it.

    A message that was taken before changes nothing; neither does one to a session that is completed or waits for
    a human (see `resume`).
    """
    _check(questionnaire, session)
    if session.status in ("completed", "needs-human") or session.current is None:
        return Step(session, None)
    if message.message_id and message.message_id == session.last_message:
        return Step(session, question(questionnaire, session, session.current))
    session = replace(
        session,
        status="in-progress",
        language=message.language,
        updated_at=message.now,
        last_message=message.message_id,
    )
    return _Turn(questionnaire, session, message.now, message.message_id).take(message)


def _bare_no(text: str, rest: str) -> bool:
    """Whether nothing but a "no" stands before words that hold no number."""
    before = text.strip()[: -len(rest)] if text.strip().endswith(rest) else text
    return before.strip(" ,.;:!-").casefold() == "no" and not any(char.isdigit() for char in rest)


def _check(questionnaire: Questionnaire, session: Session) -> None:
    if session.questionnaire != questionnaire.canonical:
        raise ValueError(
            f"session: it runs {session.questionnaire}, not {questionnaire.canonical}; load that version for it"
        )


@dataclass(slots=True)
class _Turn:
    """One step in the making."""

    questionnaire: Questionnaire
    session: Session
    now: datetime
    message_id: str
    events: list[Event] = field(default_factory=list)

    # --- taking a message ---------------------------------------------------------------------------------------

    def take(self, message: Input) -> Step:
        current = self.session.current
        item = self.questionnaire.item(current.link_id) if current is not None else None
        if current is None or item is None:
            return self.ask_next()
        if message.selected is not None:
            value = key_value(item, message.selected)
            if value is not None:
                return self.settle(item, Taken((value,), "exact", 1.0), message.text or message.selected)
        exact = exactly_an_option(item, message.text, message.language)
        if exact is not None:
            return self.settle(item, exact, message.text)
        control = read_control(message.text, message.language)
        if control is not None and control.sure:
            return self.obey(control.value, item, current)
        corrected = self.correct(message, item, current)
        if corrected is not None:
            return corrected
        return self.settle(item, self.understood(item, current, message), message.text)

    def understood(self, item: Item, current: Current, message: Input) -> Outcome:
        rest = read_correction(message.text, message.language)
        outcomes = [
            understand(
                item,
                text,
                message.language,
                self.now,
                between=current.between,
                again=current.attempt > 0,
                numbered=current.framing in ("choices", "which"),
            )
            for text in (message.text, rest or "")
            if text
        ]
        taken = (outcome for outcome in outcomes if not isinstance(outcome, NotUnderstood))
        return next(taken, NotUnderstood())

    def settle(self, item: Item, outcome: Outcome, said: str) -> Step:
        """Does what an outcome asks for and puts the next question."""
        if isinstance(outcome, Taken) and self.is_doubtful(item, outcome):
            return self.ask_again(item, "retry", "misunderstood")
        if isinstance(outcome, Taken):
            self.keep(item, outcome, said)
            return self.ask_next()
        if isinstance(outcome, NothingToSay):
            return self.leave_out(item, "nothing")
        if isinstance(outcome, Which):
            self.events.append(Unclear(item.link_id, outcome.keys, self.message_id))
            return self.ask_again(item, "which", "misunderstood", between=outcome.keys)
        if isinstance(outcome, Beyond):
            self.events.append(OutOfRange(item.link_id, outcome.said, self.message_id))
            return self.ask_again(item, "range", "misunderstood", doubted=outcome.said)
        return self.ask_again(item, "too_long" if isinstance(outcome, TooLong) else "retry", "misunderstood")

    def keep(self, item: Item, taken: Taken, said: str) -> None:
        self.session = self.session.with_given(
            Given(item.link_id, taken.values, self.message_id, self.now, taken.how, taken.confidence, said, taken.rest)
        )
        self.events.append(
            Answered(item.link_id, taken.values, taken.how, taken.confidence, self.message_id, taken.rest)
        )
        self.answer_follow_up(item, taken)

    def is_doubtful(self, item: Item, taken: Taken) -> bool:
        """ "yes, but I'm out of pills": taken at its word it would hide what the opposite answer brings up."""
        current = self.session.current
        if item.type != "boolean" or current is None or current.attempt or current.link_id != item.link_id:
            return False
        if not taken.rest or not takes_back(taken.rest, self.session.language):
            return False
        return any(
            condition.question == item.link_id
            and condition.operator == "="
            and condition.answer.value is not taken.values[0].value
            for other in self.questionnaire.walk()
            for condition in other.conditions
        )

    def answer_follow_up(self, item: Item, taken: Taken) -> None:
        """ "yes, my leg is swollen" also answers the question for a text that this yes has just opened."""
        if item.type != "boolean" or len(taken.rest.split()) < _FOLLOW_UP_WORDS:
            return
        upcoming = self.next_item()
        opened = upcoming is not None and any(condition.question == item.link_id for condition in upcoming.conditions)
        if upcoming is None or not opened or upcoming.type not in ("string", "text"):
            return
        words = taken.rest if upcoming.max_length is None else taken.rest[: upcoming.max_length].rstrip()
        self.keep(upcoming, Taken((Value("String", words),), "exact", 0.8), taken.rest)

    def correct(self, message: Input, item: Item, current: Current) -> Step | None:
        """ "no wait 3" takes back the answer before, if it fits there and the waiting question is a fresh one."""
        rest = read_correction(message.text, message.language)
        previous = self.last_answered()
        if rest is None or previous is None or current.attempt > 0 or current.framing == "back":
            return None
        if item.type == "boolean" and _bare_no(message.text, rest):
            return None  # "no, nothing new" answers a yes-no question; "no, 6" cannot
        earlier = self.questionnaire.item(previous.link_id)
        if earlier is None or earlier.type in ("string", "text", "open-choice"):
            return None
        outcome = understand(earlier, rest, message.language, self.now)
        if not isinstance(outcome, Taken):
            return None
        self.events.append(Corrected(earlier.link_id, previous.values, outcome.values, self.message_id))
        self.keep(earlier, outcome, message.text)
        return self.ask_next(framing="again" if self.next_item() == item else "first")

    # --- requests about the question ----------------------------------------------------------------------------

    def obey(self, control: Control, item: Item, current: Current) -> Step:
        if control is Control.BACK:
            return self.go_back(current)
        if control is Control.RESTART:
            silent = tuple(given for given in self.session.given if given.how == "initial")
            self.session = replace(self.session, given=silent, introduced=(), current=None)
            self.events.append(Restarted(self.message_id))
            return self.ask_next()
        if control is Control.LATER:
            self.session = replace(self.session, status="postponed")
            self.events.append(Postponed(item.link_id, self.message_id))
            return self.step(None)
        if control in (Control.SKIP, Control.DECLINE, Control.DONT_KNOW):
            if not item.required:
                return self.leave_out(item, control.value)
            framing = "choices" if control is Control.DONT_KNOW else "required"
            return self.ask_again(item, framing, control.value)
        self.events.append(AskedBack(item.link_id, control.value, self.message_id))
        if current.asides >= _MOST_ASIDES:
            return self.ask_again(item, "choices", "misunderstood")
        framing = "again" if control is Control.REPEAT else "explain"
        current = replace(current, framing=framing, asides=current.asides + 1)
        self.session = replace(self.session, current=current)
        return self.step(current)

    def go_back(self, current: Current) -> Step:
        previous = next((given for given in reversed(self.session.given) if given.how != "initial"), None)
        if previous is None:
            current = replace(current, framing="again", asides=current.asides + 1)
            self.session = replace(self.session, current=current)
            return self.step(current)
        self.session = replace(
            self.session, given=tuple(given for given in self.session.given if given is not previous)
        )
        self.events.append(WentBack(previous.link_id, self.message_id))
        return self.ask_next(framing="back")

    # --- putting questions --------------------------------------------------------------------------------------

    def ask_again(
        self, item: Item, framing: str, why: str, *, between: tuple[str, ...] = (), doubted: str = ""
    ) -> Step:
        """Puts the waiting question once more; after too many attempts it is left out or goes to a human."""
        current = self.session.current or Current(item.link_id)
        attempt = current.attempt + 1
        if why == "misunderstood" and framing in ("retry", "too_long", "choices"):
            self.events.append(Misunderstood(item.link_id, attempt, self.message_id))
        if attempt >= _GIVE_UP:
            if not item.required:
                return self.leave_out(item, why)
            self.session = replace(self.session, status="needs-human", current=replace(current, attempt=attempt))
            self.events.append(NeedsHuman(item.link_id, why, self.message_id))
            return self.step(None)
        if framing == "retry" and attempt >= _CHOICES:
            framing = "choices"
        current = replace(current, framing=framing, attempt=attempt, between=between, doubted=doubted)
        self.session = replace(self.session, current=current)
        return self.step(current)

    def leave_out(self, item: Item, why: str) -> Step:
        self.session = self.session.with_given(
            Given(item.link_id, (), self.message_id, self.now, confidence=1.0, skipped=why)
        )
        self.events.append(Skipped(item.link_id, why, self.message_id))
        return self.ask_next()

    def ask_next(self, framing: str = "first") -> Step:
        item = self.next_item()
        context = unseen_context(self.questionnaire, self.session, item)
        introduced = (*self.session.introduced, *context)
        if item is None:
            self.session = replace(self.session, status="completed", current=None, introduced=introduced)
            self.events.append(Completed())
            closing = texts_of(self.questionnaire, context, self.session.language)
            return Step(self.session, None, tuple(self.events), closing)
        current = Current(item.link_id, framing, context=context)
        self.session = replace(self.session, current=current, introduced=introduced)
        return self.step(current)

    def step(self, current: Current | None) -> Step:
        asked = question(self.questionnaire, self.session, current) if current is not None else None
        return Step(self.session, asked, tuple(self.events))

    def next_item(self) -> Item | None:
        """The first enabled question that is neither answered nor left out."""
        return next(
            (item for item in askable(self.questionnaire, self.session) if self.session.of(item.link_id) is None), None
        )

    def last_answered(self) -> Given | None:
        return next((given for given in reversed(self.session.given) if given.values and given.how != "initial"), None)
