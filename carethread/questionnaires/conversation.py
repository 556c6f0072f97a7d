"""Runs a questionnaire: a pure function of questionnaire, session and what the patient wrote.

Every step gives a new session, the next question if there is one, and what happened. An answer that is not
understood is asked for in other words, then as numbered choices; after that an optional question is left out and a
required one goes to a human. No input can make it wait for ever: requests such as "repeat" are counted too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from carethread.questionnaires.calculating import Scope, asked_for, constraints_around, settled
from carethread.questionnaires.definition import Constraint, Item, Questionnaire, every
from carethread.questionnaires.enabling import enabled_in, with_given
from carethread.questionnaires.events import (
    Answered,
    AskedBack,
    Completed,
    Confirmed,
    ConstraintBroken,
    Corrected,
    Event,
    Misunderstood,
    NeedsHuman,
    OutOfRange,
    Postponed,
    Restarted,
    RowAdded,
    Skipped,
    Unclear,
    WentBack,
    WrongFormat,
)
from carethread.questionnaires.exact import read
from carethread.questionnaires.fhirpath import safe_pattern
from carethread.questionnaires.keys import key_value
from carethread.questionnaires.outcomes import (
    Beyond,
    NothingToSay,
    NotUnderstood,
    Outcome,
    Request,
    Second,
    Taken,
    TooLong,
    Which,
)
from carethread.questionnaires.questions import (
    MOST_COLLECTED,
    MOST_GIVEN,
    Ask,
    Question,
    askable,
    next_asked,
    proposal,
    question,
    shaped_item,
    shares_scale,
    summary,
    texts_of,
    unseen_context,
)
from carethread.questionnaires.readings import (
    Control,
    Option,
    read_choice,
    read_control,
    read_correction,
    read_yes_no,
    says_nothing,
    takes_back,
)
from carethread.questionnaires.readings.text import words
from carethread.questionnaires.sessions import Current, Given, Place, Rows, Session, Status
from carethread.questionnaires.understanding import exactly_an_option
from carethread.questionnaires.values import Attachment, Value

_CHOICES = 2  # the attempt at which numbered choices are shown
_GIVE_UP = 3  # answers not taken after which a question is left out or goes to a human
_MOST_ASIDES = 4  # requests about one question after which the next counts as an answer not taken
_MOST_CHANGES = 10  # answers changed in the summary after which it is not read back again
_FOLLOW_UP_WORDS = 2  # words said besides a "yes" that are enough to answer "what is it?"
_TEXTS = ("string", "text")
_SUMMARY = Place("")


@dataclass(frozen=True, slots=True)
class Input:
    """One message. `selected` is the key of a tapped button; `message_id` makes a repeated message harmless.

    A page sends `chosen`, the keys of all the options that were ticked, or `request`, what the patient wants instead
    of answering, in the place of words.

    `media` are photos and files that came with it, already kept at the address they name.
    """

    text: str
    language: str
    message_id: str
    now: datetime
    selected: str | None = None
    media: tuple[Attachment, ...] = ()
    chosen: tuple[str, ...] = ()
    request: Control | None = None


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
    questionnaire: Questionnaire,
    *,
    language: str,
    now: datetime,
    launch: Mapping[str, Any] | None = None,
    confirm: bool = False,
    media: bool = False,
) -> Step:
    """A new session and its first question.

    `launch` holds what expressions may refer to by name, such as {"patient": a Patient resource}. With `confirm` the
    answers are read back at the end, and each can still be changed. `media` says that the channel takes photos and
    files; on one that does not, questions for them are left out.
    """
    session = Session(
        questionnaire.canonical, language, "in-progress", now, now,
        launch=dict(launch) if launch else None, confirm=confirm, media=media,
    )  # fmt: skip
    turn = _Turn(questionnaire, session, now, "")
    turn.settle_all()
    return turn.ask_next()


def resume(questionnaire: Questionnaire, session: Session, *, language: str, now: datetime) -> Step:
    """Puts the waiting question again, after a pause or when a human has helped; the count of attempts starts anew."""
    _check(questionnaire, session)
    if session.status == "completed" or session.current is None:
        return Step(session, None)
    kept = session.current.framing if session.current.framing in ("more", "summary", "summary_which") else "resumed"
    current = replace(
        session.current, framing=kept, attempt=0, asides=0, between=(), doubted="", broken="", known_scale=False
    )
    session = replace(session, status="in-progress", language=language, updated_at=now, current=current)
    return Step(session, question(questionnaire, session, current))


def answer(questionnaire: Questionnaire, session: Session, message: Input, *, meaning: Second | None = None) -> Step:
    """Takes a message as the answer to the waiting question, or as a request about it.

    A message that was taken before changes nothing; neither does one to a session that is completed or waits for
    a human (see `resume`). `meaning` reads what grammar and lists of words do not understand (`meaning.Meaning`).
    """
    _check(questionnaire, session)
    if session.status in ("completed", "needs-human") or session.current is None:
        return Step(session, None)
    if message.message_id and message.message_id == session.last_message:
        return Step(session, question(questionnaire, session, session.current))
    session = session.moved_to(
        session.current,
        status="in-progress",
        language=message.language,
        updated_at=message.now,
        last_message=message.message_id,
    )
    return _Turn(questionnaire, session, message.now, message.message_id, meaning=meaning).take(message)


def _bare_no(text: str, rest: str) -> bool:
    """Whether nothing but a "no" stands before words that hold no number."""
    before = text.strip()[: -len(rest)] if text.strip().endswith(rest) else text
    return before.strip(" ,.;:!-").casefold() == "no" and not any(char.isdigit() for char in rest)


def _plain_yes_no(text: str, language: str) -> bool | None:
    """A yes or a no that is all that is said."""
    reading = read_yes_no(text, language)
    return reading.value if reading is not None and reading.sure and not reading.rest.strip() else None


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
    meaning: Second | None = None

    # --- taking a message ---------------------------------------------------------------------------------------

    def take(self, message: Input) -> Step:
        current = self.session.current
        item = self.questionnaire.item(current.link_id) if current is not None else None
        if current is not None and item is not None and message.request is not None:
            return self.obey(message.request, item, current)
        if current is not None and current.framing.startswith("summary"):
            return self.take_on_summary(message, current)
        if current is None or item is None:
            return self.ask_next()
        if item.type == "group":
            return self.take_on_rows(message, item, current)
        item = shaped_item(self.questionnaire, self.session, item, current.place)
        if item.type == "attachment" and message.media:
            values = tuple(Value("Attachment", one) for one in message.media)
            return self.settle(item, Taken(values if item.repeats else values[:1], "exact", 1.0), message.text)
        ticked = [value for key in message.chosen if (value := key_value(item, key)) is not None]
        if ticked and (item.repeats or len(ticked) == 1):
            return self.settle(item, Taken(tuple(ticked), "exact", 1.0), message.text)
        if message.selected is not None:
            if current.framing == "more" and message.selected == "false":
                return self.close(item, current)
            value = key_value(item, message.selected)
            if value is not None:
                return self.settle(item, Taken((value,), "exact", 1.0), message.text or message.selected)
        if current.framing == "more" and self.has_no_more(item, message):
            return self.close(item, current)
        exact = exactly_an_option(item, message.text, message.language)
        if exact is not None:
            return self.settle(item, exact, message.text)
        agreed = self.agreed(item, current, message)
        if agreed is not None:
            return self.settle(item, agreed, message.text)
        control = read_control(message.text, message.language)
        if control is not None and control.sure:
            return self.obey(control.value, item, current)
        corrected = self.correct(message, item, current)
        if corrected is not None:
            return corrected
        outcome = self.understood(item, current, message)
        if isinstance(outcome, Request):
            return self.obey(outcome.control, item, current)
        return self.settle(item, outcome, message.text)

    def agreed(self, item: Item, current: Current, message: Input) -> Taken | None:
        """A yes to what the form proposes."""
        if (
            current.framing not in ("first", "resumed", "again")
            or _plain_yes_no(message.text, message.language) is not True
        ):
            return None
        values = proposal(self.questionnaire, self.session, item, current.place)
        return Taken(values, "proposed", 1.0) if values else None

    def understood(self, item: Item, current: Current, message: Input) -> Outcome:
        rest = read_correction(message.text, message.language)
        outcomes = [
            read(
                item,
                text,
                message.language,
                self.now,
                between=current.between,
                again=current.attempt > 0,
                numbered=current.framing in ("choices", "which"),
                meaning=None if rest else self.meaning,
            )
            for text in (message.text, rest or "")
            if text
        ]
        taken = (outcome for outcome in outcomes if not isinstance(outcome, NotUnderstood))
        return next(taken, NotUnderstood())

    def settle(self, item: Item, outcome: Outcome, said: str) -> Step:
        """Does what an outcome asks for and puts the next question."""
        if isinstance(outcome, Taken):
            return self.settle_taken(item, outcome, said)
        if isinstance(outcome, NothingToSay):
            return self.leave_out(item, "nothing")
        if isinstance(outcome, Which):
            self.events.append(Unclear(item.link_id, outcome.keys, self.message_id))
            return self.ask_again(item, "which", "misunderstood", between=outcome.keys)
        if isinstance(outcome, Beyond):
            self.events.append(OutOfRange(item.link_id, outcome.said, self.message_id))
            return self.ask_again(item, "range", "misunderstood", doubted=outcome.said)
        return self.ask_again(item, "too_long" if isinstance(outcome, TooLong) else "retry", "misunderstood")

    def settle_taken(self, item: Item, taken: Taken, said: str) -> Step:
        if self.is_doubtful(item, taken):
            return self.ask_again(item, "retry", "misunderstood")
        if self.is_misshapen(item, taken):
            self.events.append(WrongFormat(item.link_id, said[:80], self.message_id))
            return self.ask_again(item, self.framing_of_format(item, taken), "misunderstood", doubted=said[:80])
        alone = [option.key for option in item.options if option.exclusive and option.value in taken.values]
        if len(taken.values) > 1 and alone:
            keys = tuple(option.key for option in item.options if option.value in taken.values)
            return self.settle(item, Which(keys), said)
        if item.occurs[1] is not None and not item.collects and len(taken.values) > item.occurs[1]:
            return self.ask_again(item, "too_many", "misunderstood")
        session, events = self.session, tuple(self.events)
        self.keep(item, taken, said)
        broken = self.broken(item)
        if broken is not None and not self.gives_way(broken):
            self.session, self.events = session, list(events)
            self.events.append(ConstraintBroken(item.link_id, broken.key, self.message_id))
            return self.ask_again(item, "constraint", "constraint", doubted=said[:80], broken=broken.key)
        if broken is not None:
            self.events.append(ConstraintBroken(item.link_id, broken.key, self.message_id, kept=True))
        self.answer_follow_up(item, taken)
        return self.ask_next()

    def is_misshapen(self, item: Item, taken: Taken) -> bool:
        """Whether a text is not of the form that its question asks for."""
        if item.type not in (*_TEXTS, "url"):
            return False
        texts = [value.value for value in taken.values if isinstance(value.value, str)]
        pattern = safe_pattern(item.pattern) if item.pattern else None
        short = any(item.min_length is not None and len(text) < item.min_length for text in texts)
        return short or (pattern is not None and not all(pattern.fullmatch(text.strip()) for text in texts))

    def framing_of_format(self, item: Item, taken: Taken) -> str:
        short = item.min_length is not None and any(len(str(value.value)) < item.min_length for value in taken.values)
        return "too_short" if short else "format"

    def keep(self, item: Item, taken: Taken, said: str, place: Place | None = None) -> None:
        current = self.session.current
        if place is None:
            place = current.place if current is not None else Place(item.link_id)
        before = self.session.of(*place)
        values, collecting = taken.values, item.collects
        if collecting and before is not None and before.open:
            values = (*before.values, *values)
        values = values[:MOST_COLLECTED]
        most = min(item.occurs[1] or MOST_COLLECTED, MOST_COLLECTED)
        self.forget_below(item, place, before, values)
        given = Given(
            place.link_id, values, self.message_id, self.now, taken.how, taken.confidence,
            "" if said == values[-1].value else said, taken.rest,
            row=place.at, open=collecting and len(values) < most and len(self.session.given) < MOST_GIVEN,
        )  # fmt: skip
        self.session = with_given(self.questionnaire, self.session, given)
        if current is not None and current.framing == "change" and before is not None and before.values:
            self.events.append(Corrected(item.link_id, before.values, values, self.message_id))
        self.events.append(Answered(item.link_id, values, taken.how, taken.confidence, self.message_id, taken.rest))
        self.settle_all()

    def forget_below(self, item: Item, place: Place, before: Given | None, values: tuple[Value, ...]) -> None:
        """What was said about an answer goes with it; what is added to the end changes nothing before."""
        if not item.items or before is None or before.values == values[: len(before.values)]:
            return
        below = {one.link_id for one in every(item.items)}
        depth = len(place.at)
        self.session = self.session.without(
            given.place for given in self.session.given if given.link_id in below and given.row[:depth] == place.at
        )

    def settle_all(self) -> None:
        """What is computed from the answers, after each of them."""
        self.session, events = settled(self.questionnaire, self.session, self.now, self.message_id)
        self.events += [event for event in events if event not in self.events]

    def broken(self, item: Item) -> Constraint | None:
        """The constraint that the answer just kept does not meet."""
        current = self.session.current
        place = current.place if current is not None and current.link_id == item.link_id else Place(item.link_id)
        if not self.questionnaire.constrained or self.session.of(*place) is None:
            return None
        unanswered = {
            other for _, other in askable(self.questionnaire, self.session) if other not in self.session.by_place
        }
        scope: Scope | None = None
        for constraints, owner, at in constraints_around(self.questionnaire, item, place, unanswered):
            if constraints:
                scope = scope or Scope(self.questionnaire, self.session, self.now)
                found = scope.broken(constraints, owner, at)
                if found is not None:
                    return found
        return None

    def gives_way(self, constraint: Constraint) -> bool:
        """Whether an answer is kept although it breaks a constraint that has been said already: one that only warns, or
        one that is about more than this answer.
        """
        current = self.session.current
        if current is None or current.broken != constraint.key:
            return False
        own = self.questionnaire.item(current.link_id)
        return constraint.warning or own is None or constraint not in own.expressions.constraints

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
        upcoming = next_asked(self.questionnaire, self.session)
        if upcoming is None or upcoming.more or upcoming.item.type not in _TEXTS or upcoming.item.pattern:
            return
        if not any(condition.question == item.link_id for condition in upcoming.item.conditions):
            return
        most = upcoming.item.max_length
        said = taken.rest if most is None else taken.rest[:most].rstrip()
        self.keep(upcoming.item, Taken((Value("String", said),), "exact", 0.8), taken.rest, upcoming.place)

    def correct(self, message: Input, item: Item, current: Current) -> Step | None:
        """ "no wait 3" takes back the answer before, if it fits there and the waiting question is a fresh one."""
        rest = read_correction(message.text, message.language)
        previous = self.last_answered()
        if rest is None or previous is None or current.attempt > 0 or current.framing in ("back", "change"):
            return None
        if item.type == "boolean" and _bare_no(message.text, rest):
            return None  # "no, nothing new" answers a yes-no question; "no, 6" cannot
        earlier = self.questionnaire.item(previous.link_id)
        if earlier is None or earlier.type in (*_TEXTS, "open-choice", "url", "reference", "attachment"):
            return None
        outcome = read(earlier, rest, message.language, self.now)
        if not isinstance(outcome, Taken):
            return None
        values = (*previous.values[:-1], *outcome.values) if earlier.collects else outcome.values
        self.events.append(Corrected(earlier.link_id, previous.values, values, self.message_id))
        if earlier.collects:
            self.session = with_given(
                self.questionnaire, self.session, replace(previous, values=previous.values[:-1], open=True)
            )
        self.keep(earlier, outcome, message.text, previous.place)
        upcoming = next_asked(self.questionnaire, self.session)
        return self.ask_next(framing="again" if upcoming is not None and upcoming.place == current.place else "first")

    # --- what repeats ---------------------------------------------------------------------------------------------

    def has_no_more(self, item: Item, message: Input) -> bool:
        """ "no", "that's all" to whether there is anything to add."""
        if says_nothing(message.text, message.language):
            return True
        if _plain_yes_no(message.text, message.language) is False:
            return True
        control = read_control(message.text, message.language)
        return control is not None and control.value in (Control.SKIP, Control.DECLINE, Control.DONT_KNOW)

    def close(self, item: Item, current: Current) -> Step:
        """No further answers to an item that repeats; fewer than the form wants are asked for once more."""
        given = self.session.of(*current.place)
        if given is None:
            return self.ask_next()
        if len(given.values) < item.occurs[0] and current.attempt + 1 < _GIVE_UP:
            return self.ask_again(item, "more", "required")
        self.session = with_given(self.questionnaire, self.session, replace(given, open=False))
        self.settle_all()
        return self.ask_next()

    def take_on_rows(self, message: Input, group: Item, current: Current) -> Step:
        """Whether a group that repeats has another row. An answer to its first question opens one, too."""
        wants = {"true": True, "false": False}.get(message.selected or "")
        if wants is None and self.has_no_more(group, message):
            wants = False
        if wants is None:
            wants = _plain_yes_no(message.text, message.language)
        if wants is not None:
            if wants:
                self.add_row(group, current.place)
                return self.ask_next()
            return self.close_rows(current)
        control = read_control(message.text, message.language)
        if control is not None and control.sure and control.value in (
            Control.BACK, Control.RESTART, Control.LATER, Control.REPEAT, Control.WHY, Control.WHAT,
        ):  # fmt: skip
            return self.obey(control.value, group, current)
        session, events = self.session, tuple(self.events)
        self.add_row(group, current.place)
        first = next_asked(self.questionnaire, self.session)
        if first is not None and not first.more and first.place.at[: len(current.row)] == current.row:
            outcome = read(first.item, message.text, message.language, self.now)
            if isinstance(outcome, Taken) and not self.is_misshapen(first.item, outcome):
                self.session = replace(self.session, current=Current(first.item.link_id, row=first.place.at))
                return self.settle_taken(first.item, outcome, message.text)
        self.session, self.events = session, list(events)
        if current.attempt + 1 >= _GIVE_UP:
            return self.close_rows(current)
        self.events.append(Misunderstood(group.link_id, current.attempt + 1, self.message_id))
        current = replace(current, attempt=current.attempt + 1)
        self.session = self.session.moved_to(current)
        return self.step(current)

    def add_row(self, group: Item, place: Place) -> None:
        rows = self.session.rows_of(place)
        self.session = self.session.with_rows(replace(rows, count=rows.count + 1))
        self.events.append(RowAdded(group.link_id, rows.count, self.message_id))
        self.settle_all()

    def close_rows(self, current: Current) -> Step:
        self.session = self.session.with_rows(replace(self.session.rows_of(current.place), closed=True))
        return self.ask_next()

    # --- the summary ------------------------------------------------------------------------------------------------

    def take_on_summary(self, message: Input, current: Current) -> Step:
        """Whether the answers are right as they were read back, or which of them is to be changed."""
        control = read_control(message.text, message.language)
        if control is not None and control.sure and control.value in (Control.RESTART, Control.LATER, Control.BACK):
            return self.obey(control.value, None, current)
        agreed = _plain_yes_no(message.text, message.language)
        if message.selected == "confirm" or (agreed is True and message.selected is None):
            self.events.append(Confirmed(self.message_id))
            return self.complete()
        place = None if message.selected == "change" else self.named_on_summary(message, current)
        if place is not None:
            current = Current(place.link_id, "change", row=place.at)
            self.session = self.session.moved_to(current, changes=self.session.changes + 1)
            return self.step(current)
        if current.attempt + 1 >= _GIVE_UP:
            return self.complete()
        self.events.append(Misunderstood("", current.attempt + 1, self.message_id))
        current = replace(current, framing="summary_which", attempt=current.attempt + 1)
        self.session = self.session.moved_to(current)
        return self.step(current)

    def named_on_summary(self, message: Input, current: Current) -> Place | None:
        """The answer that "change 3" or "the pain one" means."""
        lines = summary(self.questionnaire, self.session)
        numbers = [int(number) for number in re.findall(r"(?<![\w.])\d{1,3}(?![\w.]*\d)", message.text)]
        for number in numbers[:1]:
            if 1 <= number <= len(lines):
                return Place(lines[number - 1].link_id, lines[number - 1].row)
        said = [word for word in words(message.text) if len(word) > 2]
        best: list[tuple[int, Place]] = []
        for line in lines:
            of_line = {*words(line.text), *words(line.link_id), *(w for one in line.answers for w in words(one.label))}
            shared = sum(1 for word in said if word in of_line)
            if shared:
                best.append((shared, Place(line.link_id, line.row)))
        best.sort(key=lambda pair: -pair[0])
        if best and (len(best) == 1 or best[0][0] > best[1][0]):
            return best[0][1]
        options = [Option(str(line.number), line.text) for line in lines]
        choice = read_choice(message.text, options, message.language) if options else None
        if choice is None or choice.picked is None or not choice.picked.sure:
            return None
        line = lines[int(choice.picked.value) - 1]
        return Place(line.link_id, line.row)

    # --- requests about the question ----------------------------------------------------------------------------

    def obey(self, control: Control, item: Item | None, current: Current) -> Step:
        if control is Control.BACK:
            return self.go_back(current)
        if control is Control.RESTART:
            kept = tuple(given for given in self.session.given if not asked_for(given))
            self.session = replace(self.session, given=kept, introduced=(), current=None, rows=())
            self.events.append(Restarted(self.message_id))
            self.settle_all()
            return self.ask_next()
        if control is Control.LATER:
            self.session = replace(self.session, status="postponed")
            self.events.append(Postponed(current.link_id, self.message_id))
            return self.step(None)
        if item is None:
            return self.step(current)
        if control in (Control.SKIP, Control.DECLINE, Control.DONT_KNOW):
            if not item.required:
                return self.leave_out(item, control.value)
            framing = "choices" if control is Control.DONT_KNOW else "required"
            return self.ask_again(item, framing, control.value)
        self.events.append(AskedBack(current.link_id, control.value, self.message_id))
        if current.asides >= _MOST_ASIDES:
            if item.type == "group":
                return self.close_rows(current)
            return self.ask_again(item, "choices", "misunderstood")
        framing = "again" if control is Control.REPEAT else "explain"
        if current.framing in ("more", "change"):
            framing = current.framing
        current = replace(current, framing=framing, asides=current.asides + 1)
        self.session = self.session.moved_to(current)
        return self.step(current)

    def go_back(self, current: Current) -> Step:
        if current.framing == "change":
            return self.ask_next()
        previous = next((given for given in reversed(self.session.given) if self.stands(given)), None)
        if previous is None:
            framing = current.framing if current.framing in ("more", "summary", "summary_which") else "again"
            current = replace(current, framing=framing, asides=current.asides + 1)
            self.session = self.session.moved_to(current)
            return self.step(current)
        self.session = self.session.without([previous.place])
        self.reopen(previous.place)
        self.events.append(WentBack(previous.link_id, self.message_id))
        self.settle_all()
        return self.ask_next(framing="back")

    def reopen(self, place: Place) -> None:
        """The rows after the one returned to are gone if nothing is in them, and more may be said of the group."""
        above = self.questionnaire.rows_above(place.link_id)
        for depth, link_id in enumerate(above):
            group = self.questionnaire.item(link_id)
            if group is None or group.is_question:
                continue
            row = place.at[:depth]
            inside = [
                given.row[depth]
                for given in self.session.given
                if given.row[:depth] == row and link_id in self.questionnaire.rows_above(given.link_id)
            ]
            count = max([place.at[depth], *inside]) + 1
            self.session = self.session.with_rows(Rows(link_id, row, count))

    # --- putting questions --------------------------------------------------------------------------------------

    def ask_again(
        self, item: Item, framing: str, why: str, *, between: tuple[str, ...] = (), doubted: str = "", broken: str = ""
    ) -> Step:
        """Puts the waiting question once more; after too many attempts it is left out or goes to a human."""
        current = self.session.current or Current(item.link_id)
        attempt = current.attempt + 1
        if why == "misunderstood" and framing in ("retry", "too_long", "too_short", "format", "too_many", "choices"):
            self.events.append(Misunderstood(item.link_id, attempt, self.message_id))
        if attempt >= _GIVE_UP:
            return self.give_up(item, current, attempt, why)
        if framing == "retry" and attempt >= _CHOICES:
            framing = "choices"
        if current.framing == "more" and framing in ("retry", "choices", "required"):
            framing = "more"
        current = replace(
            current, framing=framing, attempt=attempt, between=between, doubted=doubted, broken=broken or current.broken
        )
        self.session = self.session.moved_to(current)
        return self.step(current)

    def give_up(self, item: Item, current: Current, attempt: int, why: str) -> Step:
        given = self.session.of(*current.place)
        if given is not None and given.values:  # more of what repeats, or a change: what there is stands
            self.session = with_given(self.questionnaire, self.session, replace(given, open=False))
            self.settle_all()
            return self.ask_next()
        if not item.required:
            return self.leave_out(item, why)
        self.session = replace(self.session, status="needs-human", current=replace(current, attempt=attempt))
        self.events.append(NeedsHuman(item.link_id, why, self.message_id))
        return self.step(None)

    def leave_out(self, item: Item, why: str) -> Step:
        current = self.session.current
        place = current.place if current is not None else Place(item.link_id)
        self._skip(place, why)
        return self.ask_next()

    def _skip(self, place: Place, why: str) -> None:
        self.session = with_given(
            self.questionnaire,
            self.session,
            Given(place.link_id, (), self.message_id, self.now, confidence=1.0, skipped=why, row=place.at),
        )
        self.events.append(Skipped(place.link_id, why, self.message_id))
        self.settle_all()

    def ask_next(self, framing: str = "first") -> Step:
        upcoming, no_photo = self.upcoming()
        item = upcoming.item if upcoming is not None else None
        before = self.session.current
        context = unseen_context(self.questionnaire, self.session, item)
        introduced = (*self.session.introduced, *context)
        if upcoming is None or item is None:
            wants = self.session.confirm and self.session.changes < _MOST_CHANGES
            if wants and summary(self.questionnaire, self.session):
                current = Current("", "summary", context=context)
                self.session = self.session.moved_to(current, introduced=introduced)
                return self.step(current)
            return self.complete()
        known = (
            framing == "first"
            and before is not None
            and before.row == upcoming.place.at
            and shares_scale(self.questionnaire, self.questionnaire.item(before.link_id), item)
        )
        current = Current(
            item.link_id,
            "more" if upcoming.more else framing,
            context=context,
            row=upcoming.place.at,
            known_scale=known,
            no_photo=no_photo,
        )
        self.session = self.session.moved_to(current, introduced=introduced)
        return self.step(current)

    def upcoming(self) -> tuple[Ask | None, bool]:
        """What to ask next, and whether photos were left out on the way; rows that the form wants are opened."""
        no_photo = False
        while True:
            found = next_asked(self.questionnaire, self.session)
            if found is None:
                return None, no_photo
            if found.item.type == "attachment" and not self.session.media:
                self._skip(found.place, "no_media")
                no_photo = True
                continue
            wanted = found.item.occurs[0] if found.more and found.item.type == "group" else 0
            if self.session.rows_of(found.place).count < wanted:
                self.add_row(found.item, found.place)
                continue
            if self.offers_nothing(found):
                self._skip(found.place, "nothing_offered")
                continue
            return found, no_photo

    def offers_nothing(self, found: Ask) -> bool:
        """Whether a choice is left without options by the answers so far."""
        item = found.item
        if found.more or item.type != "choice" or not (item.expressions.options or item.expressions.toggles):
            return False
        return not shaped_item(self.questionnaire, self.session, item, found.place).options

    def complete(self) -> Step:
        context = unseen_context(self.questionnaire, self.session, None)
        introduced = (*self.session.introduced, *context)
        before = self.session.current
        if before is not None and before.framing.startswith("summary"):
            context = (*before.context, *context)
        self.session = replace(self.session, status="completed", current=None, introduced=introduced)
        self.events.append(Completed())
        closing = texts_of(self.questionnaire, context, self.session.language)
        return Step(self.session, None, tuple(self.events), closing)

    def step(self, current: Current | None) -> Step:
        asked = question(self.questionnaire, self.session, current) if current is not None else None
        return Step(self.session, asked, tuple(self.events))

    def last_answered(self) -> Given | None:
        return next((given for given in reversed(self.session.given) if given.values and self.stands(given)), None)

    def stands(self, given: Given) -> bool:
        """Whether the patient gave it, and it still counts."""
        return asked_for(given) and given.place in enabled_in(self.questionnaire, self.session)
