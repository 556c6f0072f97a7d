"""An automatic patient that tries every question, option and branch of a questionnaire. Pure; the clock is an argument.

It answers from a short list for each question: every option, yes and no, both ends of a range, the values that other
questions wait for and their neighbours, and no answer where that is allowed. Round after round it gives each question
an answer it has not given yet; for what stays unreached it works out which answers would switch it on, and gives those.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from carethread.questionnaires.conversation import Input, Step, answer, start
from carethread.questionnaires.definition import Condition, Expressions, Item, Questionnaire
from carethread.questionnaires.enabling import holds
from carethread.questionnaires.events import Answered, ConstraintBroken, NeedsHuman, Skipped, WrongFormat
from carethread.questionnaires.questions import Question
from carethread.questionnaires.samples import sample
from carethread.questionnaires.values import Amount, Attachment, Coding, Value, compare

_ROUNDS = 400  # conversations at most
_WORK = 1_500_000  # items looked at, an expression counting as fifty, before the walk is content with what it has seen
_EXPRESSION = 50
_OPTIONS = 12  # options of a question that are tried besides those that other items wait for
_ROWS = 2  # rows of a group, or answers to one question, in the first conversation
_IDLE = 3  # rounds without anything new after which the rest is looked for on purpose
_STEPS_AN_ITEM = 6  # messages after which a round is taken for a loop
_ALTERNATIVES = 24  # ways to switch one item on that are tried

Wish = Mapping[str, int]  # which answer of its list a question is to get


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of the automatic patient: `text` as typed, `selected` a button's key, `also` what is said besides."""

    text: str
    selected: str | None = None
    value: Value | None = None
    media: tuple[Attachment, ...] = ()
    also: tuple[Value, ...] = ()


@dataclass(slots=True)
class Walk:
    """What came of it. All but the counts are link ids; `dead_ends` and `loops` say where it went no further."""

    items: int
    reached: list[str] = field(default_factory=list)
    unreachable: list[str] = field(default_factory=list)
    dead_ends: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    questions_asked: int = 0

    def to_json(self) -> dict[str, Any]:
        return {
            "items": self.items,
            "reached": len(self.reached),
            "unreachable": self.unreachable,
            "dead_ends": self.dead_ends,
            "questions_asked": self.questions_asked,
            "loops": self.loops,
        }


def walk(
    questionnaire: Questionnaire,
    *,
    now: datetime,
    language: str = "en",
    launch: Mapping[str, Any] | None = None,
    tired: Callable[[], bool] = lambda: False,
) -> Walk:
    """Go every way through a questionnaire that there is, as far as a few hundred conversations can.

    `launch` is what expressions may refer to. Once `tired` says so no further conversation is begun.
    """
    return _Walker(questionnaire, now, language, launch, tired).walk()


class _Walker:
    def __init__(
        self,
        questionnaire: Questionnaire,
        now: datetime,
        language: str,
        launch: Mapping[str, Any] | None,
        tired: Callable[[], bool],
    ) -> None:
        self._questionnaire = questionnaire
        self._now = now
        self._language = language
        self._launch = launch
        self._tired = tired
        self._questions = [item for item in questionnaire.walk() if item.is_question and not item.silent]
        waited_for: defaultdict[str, list[Condition]] = defaultdict(list)
        for item in questionnaire.walk():
            for condition in item.conditions:
                waited_for[condition.question].append(condition)
        self._replies = {item.link_id: list(replies(item, waited_for[item.link_id], now)) for item in self._questions}
        self._given: Counter[tuple[str, int]] = Counter()
        self._refused: set[tuple[str, int]] = set()
        self._puzzled: set[str] = set()  # where a form of writing was asked for that nobody can guess
        self._reached: dict[str, None] = {}
        self._dead_ends: dict[str, None] = {}
        self._loops: dict[str, None] = {}
        self._asked = 0
        self._rounds = 0
        self._work = 0
        expressions = [questionnaire.expressions, *(item.expressions for item in questionnaire.walk())]
        all_items = list(questionnaire.walk())
        self._most_steps = _STEPS_AN_ITEM * (len(all_items) + 1) * (1 + sum(item.repeats for item in all_items))
        self._cost = sum(1 for _ in questionnaire.walk()) + _EXPRESSION * sum(map(_count, expressions))

    def walk(self) -> Walk:
        self._until_idle()
        for item in self._questions:
            for wish in self._wishes(item):
                if item.link_id in self._reached or self._is_tired():
                    break
                self._round(wish)
        self._until_idle()
        return Walk(
            items=len(self._questions),
            reached=list(self._reached),
            unreachable=[item.link_id for item in self._questions if item.link_id not in self._reached],
            dead_ends=list(self._dead_ends),
            loops=list(self._loops),
            questions_asked=self._asked,
        )

    def _until_idle(self) -> None:
        """Converse until nothing new has come up for a while."""
        idle = 0
        while not self._is_tired() and idle < _IDLE:
            idle = 0 if self._round({}) else idle + 1

    def _is_tired(self) -> bool:
        return self._rounds >= _ROUNDS or (self._rounds > 0 and (self._work >= _WORK or self._tired()))

    def _round(self, wish: Wish) -> bool:
        """One conversation; whether it did anything that none before it did."""
        self._rounds += 1
        new = False
        step = start(self._questionnaire, language=self._language, now=self._now, launch=self._launch, media=True)
        tried: Counter[str] = Counter()
        for number in range(self._most_steps):
            question = step.question
            if question is None:
                return new
            link_id = question.link_id
            if link_id not in self._reached and question.kind != "group":
                self._reached[link_id] = None
                new = True
            self._asked += 1
            self._work += self._cost
            if question.framing == "more":
                step = self._after_more(question, step, tried, number)
                continue
            place = self._choose(link_id, wish, tried[link_id])
            tried[link_id] += 1
            new = new or not self._given[link_id, place]
            self._given[link_id, place] += 1
            step = self._say(step, self._reply(question, place), number)
            if not any(isinstance(event, Answered | Skipped) and event.link_id == link_id for event in step.events):
                self._refused.add((link_id, place))
            if any(isinstance(event, ConstraintBroken | WrongFormat) for event in step.events):
                self._puzzled.add(link_id)
            if any(isinstance(event, NeedsHuman) for event in step.events):
                every = range(len(self._replies[link_id]))
                if link_id not in self._puzzled and all((link_id, at) in self._refused for at in every):
                    self._dead_ends[link_id] = None
                return new
        if step.question is not None:
            self._loops[step.question.link_id] = None
        return new

    def _reply(self, question: Question, place: int) -> Reply:
        """The reply at a place of the list; of options that come with the answers so far, one that is offered."""
        reply = self._replies[question.link_id][place]
        offered = [option.key for option in question.options]
        item = self._questionnaire.item(question.link_id)
        if item is None or item.expressions.options is None or not offered:
            return reply
        if reply.text == "skip" and not item.required:
            return reply
        key = offered[place % len(offered)]
        return Reply(key, key)

    def _say(self, step: Step, reply: Reply, number: int) -> Step:
        message = Input(reply.text, self._language, f"m{number}", self._now, selected=reply.selected, media=reply.media)
        return answer(self._questionnaire, step.session, message)

    def _after_more(self, question: Question, step: Step, tried: Counter[str], number: int) -> Step:
        """Another row or answer in the first conversation, else no more."""
        kept = f"more {question.link_id}"
        tried[kept] += 1
        if self._rounds > 1 or tried[kept] >= _ROWS:
            return self._say(step, Reply("no", "false"), number)
        if question.kind == "group":
            return self._say(step, Reply("yes", "true"), number)
        return self._say(step, self._replies[question.link_id][0], number)

    def _choose(self, link_id: str, wish: Wish, tried: int) -> int:
        """The reply that is wished for, else the one given least of those that were taken."""
        if link_id in wish and not tried:
            return wish[link_id]
        places = range(len(self._replies[link_id]))
        return min(places, key=lambda place: ((link_id, place) in self._refused, self._given[link_id, place], place))

    def _wishes(self, item: Item) -> Iterator[Wish]:
        """Sets of replies that would switch an item on, with all that it lies in."""
        chain = [*self._questionnaire.ancestors(item.link_id), item]
        ways = [way for above in chain if (way := list(self._ways(above, set())))]
        for number, combination in enumerate(product(*ways)):
            if number >= _ALTERNATIVES:
                return
            yield {question: place for part in combination for question, place in part.items()}

    def _ways(self, item: Item, seen: set[str]) -> Iterator[Wish]:
        """For each way to fulfil an item's own conditions: which replies, those to the questions before included."""
        if not item.conditions or item.link_id in seen:
            return
        seen = seen | {item.link_id}
        each = [list(self._fulfilling(condition, seen)) for condition in item.conditions]
        if item.all_conditions:
            for combination in product(*each):
                yield {question: place for part in combination for question, place in part.items()}
        else:
            for alternatives in each:
                yield from alternatives

    def _fulfilling(self, condition: Condition, seen: set[str]) -> Iterator[Wish]:
        asked = self._questionnaire.item(condition.question)
        if asked is None:
            return
        before = next(iter(self._ways(asked, seen)), {})
        for place, reply in enumerate(self._replies.get(condition.question, ())):
            if holds(condition, (reply.value, *reply.also) if reply.value is not None else ()):
                yield {**before, condition.question: place}


def replies(item: Item, waited_for: list[Condition], now: datetime) -> Iterator[Reply]:
    """What the automatic patient may say to an item, each once."""
    found: dict[tuple[str, str | None], Reply] = {}

    def add(reply: Reply) -> None:
        found.setdefault((reply.text, reply.selected), reply)

    wanted = [condition.answer for condition in waited_for if condition.operator != "exists"]
    named = [option for option in item.options[_OPTIONS:] if option.value in wanted or option.exclusive]
    for option in (*item.options[:_OPTIONS], *named):
        add(Reply(option.wording.text or option.key, option.key, option.value))
    for several in _several(item, wanted):
        first, *others = (item.options[place].value for place in several)
        add(Reply(" and ".join(str(place + 1) for place in several), value=first, also=tuple(others)))
    if item.type == "boolean":
        add(Reply("yes", "true", Value("Boolean", True)))
        add(Reply("no", "false", Value("Boolean", False)))
    if item.type in ("integer", "decimal", "quantity"):
        for number in _numbers(item, wanted):
            add(_number(item, number))
    if item.type == "date":
        for day in _days(item, wanted, now.date()):
            add(Reply(day.isoformat(), value=Value("Date", day.isoformat())))
    for text in _texts(item, wanted, now):
        add(Reply(text, value=Value("String", text)))
    if item.type == "attachment":
        photo = Attachment("https://example.org/photo.jpg", "image/jpeg")
        add(Reply("", value=Value("Attachment", photo), media=(photo,)))
    if not item.required or not found:
        add(Reply("skip"))
    yield from found.values()


def _several(item: Item, wanted: list[Value]) -> Iterator[list[int]]:
    """Places of options that are chosen together: the first two, and all that other items wait for."""
    plain = [place for place, option in enumerate(item.options[:_OPTIONS]) if not option.exclusive]
    waited_for = [place for place in plain if any(compare(item.options[place].value, one) == 0 for one in wanted)]
    if item.repeats and len(plain) > 1:
        yield plain[:2]
        if len(waited_for) > 1:
            yield waited_for


def _texts(item: Item, wanted: list[Value], now: datetime) -> Iterator[str]:
    """What is typed where any words are an answer, and where a moment or an address is."""
    if item.type in ("string", "text", "open-choice"):
        waited_for = [str(_plain(value)) for value in wanted if not isinstance(value.value, Coding)]
        yield from waited_for
        yield from (f"{text} z" for text in waited_for)  # what is greater, as texts are compared
        fitting = [found for text in (item.pattern, *_patterns(item.expressions)) for found in [sample(text)] if found]
        yield from fitting
        if not fitting:
            yield "something else".ljust(item.min_length or 0, ".")[: item.max_length or None]
    if item.type in ("dateTime", "time"):
        known = [str(value.value) for value in (item.minimum, item.maximum, *wanted) if value is not None]
        yield from known
        yield now.isoformat(timespec="seconds") if item.type == "dateTime" else "14:30"
    if item.type == "url":
        yield "https://example.org/page"
    if item.type == "reference":
        yield "Doctor Green"


def _patterns(expressions: Expressions) -> Iterator[str]:
    """The patterns that the constraints of an item hold a text against."""
    for constraint in expressions.constraints:
        yield from re.findall(r"matches(?:Full)?\('((?:[^'\\\\]|\\\\.)*)'\)", constraint.path.text)


def _count(expressions: Expressions) -> int:
    single = (expressions.calculated, expressions.initial, expressions.asked_if, expressions.options)
    return (
        sum(1 for found in single if found is not None)
        + len(expressions.variables)
        + len(expressions.constraints)
        + len(expressions.toggles)
    )


def _numbers(item: Item, wanted: list[Value]) -> Iterator[Decimal]:
    low, high = (_decimal(limit) for limit in (item.minimum, item.maximum))
    ends = [number for number in (low, high) if number is not None]
    if low is not None and high is not None:
        ends.append((low + high) // 2)
    for number in (*ends, *(near for value in wanted for near in _near(_decimal(value))), Decimal(5)):
        if (low is None or number >= low) and (high is None or number <= high) and number >= 0:
            yield number


def _near(number: Decimal | None) -> tuple[Decimal, ...]:
    return () if number is None else (number, number - 1, number + 1)


def _days(item: Item, wanted: list[Value], today: date) -> Iterator[date]:
    known = [str(value.value) for value in (item.minimum, item.maximum, *wanted) if value is not None]
    days = [day for written in known for day in _day(written)]
    yield from (near for day in days for near in (day, day - timedelta(1), day + timedelta(1)))
    yield today - timedelta(30)


def _day(written: str) -> Iterator[date]:
    """A date that is written in full."""
    with suppress(ValueError):
        found = date.fromisoformat(written[:10])
        if date.min < found < date.max:
            yield found


def _number(item: Item, number: Decimal) -> Reply:
    plain = f"{number.normalize():f}"
    if item.type == "integer":
        return Reply(plain, value=Value("Integer", int(number)))
    if item.type == "decimal":
        return Reply(plain, value=Value("Decimal", number))
    unit = item.units[0] if item.units else Coding("")
    shown = unit.display or unit.code
    return Reply(plain, value=Value("Quantity", Amount(number, shown, unit.code)))


def _plain(value: Value) -> object:
    return getattr(value.value, "value", value.value)


def _decimal(value: Value | None) -> Decimal | None:
    bare = None if value is None else _plain(value)
    return Decimal(str(bare)) if isinstance(bare, int | float | Decimal) and not isinstance(bare, bool) else None
