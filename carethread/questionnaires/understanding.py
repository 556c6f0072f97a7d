"""What a text answers to an item: a value, a choice still open between some, a value out of range, or nothing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from carethread.questionnaires.definition import AnswerOption, Item
from carethread.questionnaires.keys import LARGEST, amount, beyond, key_value, numeric
from carethread.questionnaires.outcomes import (
    Beyond,
    NothingToSay,
    NotUnderstood,
    Outcome,
    Second,
    Taken,
    TooLong,
    Which,
)
from carethread.questionnaires.readings import (
    Choice,
    Control,
    Encoder,
    Option,
    Quantity,
    Reading,
    Scale,
    alike,
    asked_period,
    asked_units,
    asks_ahead,
    asks_back,
    asks_birth,
    corrected,
    current_part,
    is_a_scale,
    is_about_the_question,
    is_empty_option,
    is_negated,
    is_undermined,
    is_usual,
    measure_of,
    names_something,
    only_first,
    only_takes_back,
    opens_with_none,
    place_on,
    polar_options,
    read_birth_date,
    read_choice,
    read_control,
    read_date,
    read_fraction,
    read_in_interval,
    read_label,
    read_moment,
    read_none,
    read_number,
    read_on_scale,
    read_one,
    read_pressure,
    read_quantity,
    read_several,
    read_similar,
    read_state,
    read_sum,
    read_time,
    read_url,
    read_yes_no,
    respelled,
    says_instead,
    says_no_option,
    says_nothing,
    topics,
    usual_units,
)
from carethread.questionnaires.readings.clock import half_of_day
from carethread.questionnaires.readings.text import fold, plain
from carethread.questionnaires.values import Value, compare

_OWN_WORDS = ("string", "text", "open-choice")  # taken as they are when the question was put before
_WIDEST_SCALE = 20  # a wider range of whole numbers is no scale whose ends have words
_MOST_CANDIDATES = 4  # more numbers than this are no choice to offer
_SURE_NO = 0.85
_SHORT_DENIAL = 4  # words
_PLAINLY = 0.9  # from here a yes is one even with a question mark behind it
_ALWAYS = 100  # percent of the time
_POSSIBLE = 0.5  # confidence from which a reading of a date is worth offering


def understand(
    item: Item,
    text: str,
    language: str,
    now: datetime,
    *,
    between: Sequence[str] = (),
    again: bool = False,
    numbered: bool = False,
    encoder: Encoder | None = None,
    meaning: Second | None = None,
) -> Outcome:
    """Reads a text as an answer to an item.

    `between` are the answers the patient was asked to choose from last, in the order shown; `numbered` says that
    a number was asked for; `again` that the question was put before, so that a free text is taken as it is.
    `now` is the patient's time in their zone. `encoder` turns texts into vectors whose angle tells how alike they
    are in meaning; with it, a paraphrase of one option is taken where no word of it was said. `meaning` has the last
    word on what all of these make of it.
    """
    if meaning is not None:
        outcome = understand(
            item, text, language, now, between=between, again=again, numbered=numbered, encoder=encoder
        )
        judged = meaning(item, text, language, outcome)
        own = isinstance(outcome, Taken) and outcome.how == "exact" and item.type in _OWN_WORDS
        return outcome if again and own and not isinstance(judged, Taken) else judged
    if not text.strip() or not re.search(r"\w|[^\x00-\x7f]", text):
        return NotUnderstood()
    if item.type in _SHORTHAND_FIRST:
        text = respelled(text, language, ())
    asked = _Asked(item, language, now, tuple(between), again=again, numbered=numbered, encoder=encoder)
    if between and item.type not in ("choice", "open-choice"):
        chosen = _of_values(item, text, language, between)
        if chosen is not None:
            return chosen
    exact = exactly_an_option(item, text, language)
    if exact is not None and not between and not numbered:
        return exact
    if not (again and item.type in ("string", "text")) and _is_request(asked, text):
        return NotUnderstood()
    outcome = _with_correction(asked, text)
    if not _is_unread(outcome) or item.type in ("string", "text"):
        return outcome
    respelt = respelled(text, language, [wording for option in item.options for wording in option.wording.all()])
    instead = _with_correction(asked, respelt) if respelt != text else outcome
    return outcome if _is_unread(instead) else instead


_SHORTHAND_FIRST = ("date", "dateTime", "time")  # half of one is another: "day b4 yesterday"


def _is_unread(outcome: Outcome) -> bool:
    """Whether nothing was understood, or the patient's own words are kept."""
    own = isinstance(outcome, Taken) and any(value.kind == "String" for value in outcome.values)
    return own or isinstance(outcome, NotUnderstood)


@dataclass(frozen=True, slots=True)
class _Asked:
    """An item as it was put."""

    item: Item
    language: str
    now: datetime
    between: tuple[str, ...]
    again: bool
    numbered: bool
    encoder: Encoder | None

    @property
    def wording(self) -> str:
        return self.item.wording.in_language(self.language)


def _is_request(asked: _Asked, text: str) -> bool:
    """Whether the patient asks or wishes something instead of answering."""
    if asked.item.type not in ("string", "text") and asks_back(text, asked.language):
        return True
    if only_takes_back(text, asked.language):
        return True
    control = read_control(text, asked.language)
    return control is not None and control.sure


def _with_correction(asked: _Asked, text: str) -> Outcome:
    """ "5 no wait 6" is 6, where both are answers; "used to be 9, now it's 6" is 6, too."""
    current = current_part(text, asked.wording) if asked.item.type in _OF_A_TIME else None
    if current is not None:
        outcome = _with_correction(asked, current)
        return NotUnderstood() if _is_unread(outcome) else outcome
    outcome = _read(asked, text)
    if asked.item.type in ("string", "text"):
        return outcome
    taken_back = corrected(text, asked.language)
    if taken_back is None:
        return outcome
    before, after, plainly = taken_back
    if not plainly and asked.item.type in ("boolean", "choice", "open-choice"):
        better = says_instead(after)
        if better is None:
            return outcome  # "headache, no nausea"
        after, plainly = respelled(better, asked.language, ()), True  # "walgreens, no, mejor walmart"
    instead = _read(asked, after)
    if isinstance(instead, Taken) and asked.item.type == "open-choice" and instead.values[0].kind == "String":
        return outcome
    if not isinstance(instead, Taken | Which | Beyond):
        return NotUnderstood() if plainly and asked.item.type == "date" else outcome  # "nov 1 no wait 2"
    if asked.item.type == "date" and _is_vaguer(instead, _read(asked, before)):
        return NotUnderstood()  # "feb 2024 no 2023"
    if plainly or not isinstance(_read(asked, before), NotUnderstood):
        return instead
    return outcome


def _is_vaguer(outcome: Outcome, than: Outcome) -> bool:
    written = [str(one.values[0].value) for one in (outcome, than) if isinstance(one, Taken)]
    return len(written) > 1 and len(written[0]) < len(written[1])


# What an answer to these was in former times is no answer; a date may well be long ago.
_OF_A_TIME = ("boolean", "choice", "open-choice", "integer", "decimal", "quantity", "time")


def _read(asked: _Asked, text: str) -> Outcome:
    return _READERS.get(asked.item.type, _text)(asked, text)


def exactly_an_option(item: Item, text: str, language: str) -> Taken | None:
    """The option whose very words were written: "not sure" is an answer where it is offered."""
    options = offered(item.options, language)
    picked = read_label(text, options) if options and text.strip() else None
    if picked is None:
        return _same_request(item, text, language)
    option = item.option(picked.value)
    return None if option is None else Taken((option.value,), picked.how, 1.0)


def _same_request(item: Item, text: str, language: str) -> Taken | None:
    """The option that says what a request says: "idk" where "Don't know" is offered."""
    control = read_control(text, language) if item.options else None
    return offers_request(item, control.value, language) if control is not None and control.sure else None


def offers_request(item: Item, control: Control, language: str) -> Taken | None:
    """The one option that says the same as a request: "Don't know"."""
    if control not in _OFFERED_REQUESTS:
        return None
    same = [
        option
        for option in item.options
        for meant in [read_control(option.wording.in_language(language), language)]
        if meant is not None and meant.value is control
    ]
    return Taken((same[0].value,), "synonym", 0.95) if len(same) == 1 else None


_OFFERED_REQUESTS = (Control.DONT_KNOW, Control.DECLINE, Control.SKIP)


def offered(options: Sequence[AnswerOption], language: str) -> list[Option]:
    """The options as the readers take them: shown in one language, known in all."""
    return [
        Option(
            option.key,
            option.wording.in_language(language),
            tuple(dict.fromkeys((*option.wording.all(), *option.also_said))),
        )
        for option in options
    ]


# --- yes and no -------------------------------------------------------------------------------------------------


def _boolean(asked: _Asked, text: str) -> Outcome:
    if asked.numbered and text.strip().rstrip(".)") in ("1", "2"):
        return Taken((Value("Boolean", text.strip().startswith("1")),), "number", 0.95)
    reading = read_yes_no(text, asked.language)
    states = reading is not None and reading.sure and reading.how != "synonym"  # "ok" agrees, it does not state a fact
    asking = text.rstrip().endswith("?") and reading is not None and reading.confidence < _PLAINLY
    if reading is not None and states and not asking:
        undermined = is_undermined(reading, text, asked.wording, asked.language)
        if not undermined and not _lacks_something_else(asked, text, reading):
            return _taken(Value("Boolean", reading.value), reading)
    state = read_state(text, asked.wording, asked.language)
    if state is not None and state.sure:
        return _taken(Value("Boolean", state.value), state)
    return NotUnderstood()


_LACKS = re.compile(
    r"\b(?:have|had|got|tengo|tenemos|hay|tenia)\b(?:\s+(?:a|an|un|una|my|mi|the|el|la))?\s+\w+", re.IGNORECASE
)


def _lacks_something_else(asked: _Asked, text: str, reading: Reading[bool]) -> bool:
    """ "i dont have a thermometer" says why nothing can be said, not no."""
    if reading.value or not reading.rest or reading.span[0] > 1 or not _LACKS.search(text):
        return False
    said = text[reading.span[0] : reading.span[1]].lower()
    return said.endswith(("have", "tengo", "hay")) and not is_about_the_question(
        reading.rest, asked.wording, asked.language
    )


def _taken(value: Value, reading: Reading[object]) -> Taken:
    return Taken((value,), reading.how, round(reading.confidence, 3), reading.rest)


# --- choices ----------------------------------------------------------------------------------------------------


# "right" in these is no side.
_IDIOMS = re.compile(r"\b(?:right (?:now|away|there|here)|all right)\b", re.IGNORECASE)


def _choice(asked: _Asked, text: str) -> Outcome:
    outcome = _choice_of(asked, text)
    if isinstance(outcome, Taken) and _ALMOST_ALL.search(fold(text).text):
        taken = [option for option in asked.item.options if option.value in outcome.values]
        if any(_ALL.match(fold(option.wording.in_language(asked.language)).text) for option in taken):
            return NotUnderstood()  # "almost all of it" is not all of it
    return outcome


_ALL = re.compile(r"(?:all|everything|every bit|tod[oa]s?)\b")
_ALMOST_ALL = re.compile(r"\b(?:almost|nearly|casi) (?:all|everything|every|tod[oa]s?)\b")


def _choice_of(asked: _Asked, text: str) -> Outcome:
    item, language = asked.item, asked.language
    text = only_first(_IDIOMS.sub(" ", text), [one.wording.in_language(language) for one in item.options], language)
    if not text.strip(" ,.!?"):
        return NotUnderstood()
    shown = [option for option in item.options if option.key in asked.between] or list(item.options)
    options = offered(shown, language)
    written = _OTHER.match(text.strip()) if item.type == "open-choice" else None
    if written is not None:
        return _kept_text(item, written.group(1).strip(), again=True)
    empties = [option for option in options if says_no_option(option.label, language)]
    if not empties:
        empties = [option for option in options if is_empty_option(option.label, language)]
    empty = empties[0] if len(empties) == 1 else None
    if empty is not None and _says_none(asked, text, options, empty):
        return _chosen(item, Choice(picked=Reading(empty.value, 0.85, (0, len(text)), "polarity")))
    if item.repeats and not item.required and empty is None and _applies_not(asked, text, options):
        return NothingToSay()
    if item.repeats:
        several = _several(asked, text, [option for option in options if option is not empty])
        if several is not None:
            return several
    choice = _one(asked, text, options)
    if not choice.understood and len(shown) < len(item.options):
        choice = _one(asked, text, offered(item.options, language))
    if item.repeats and choice.between and _all_named(choice, text):
        choice = Choice(several=choice.between)
    outcome = _chosen(item, _with_topics(asked, text, choice, options))
    if not isinstance(outcome, NotUnderstood) or choice.any:
        return outcome
    plainly_no = says_no_option(text, language, least=_SURE_NO) and not re.search(r"\bnot\b", text, re.IGNORECASE)
    if empty is not None and (plainly_no or _denies(asked, text, empty)):
        return _chosen(item, Choice(picked=Reading(empty.value, 0.75, (0, len(text)), "polarity")))
    outcome = _chosen(item, _by_topic(asked, text, options))
    if not isinstance(outcome, NotUnderstood):
        return outcome
    if asked.encoder is not None:
        similar = read_similar(text, options, asked.wording, asked.encoder)
        outcome = _chosen(item, similar)
        if not isinstance(outcome, NotUnderstood):
            return outcome
    return _other(asked, text) if item.type == "open-choice" else NotUnderstood()


_UNSURE = re.compile(r"\b(?:know|sure|remember|recall|se|recuerdo|acuerdo|segur[oa])\b", re.IGNORECASE)


def _says_none(asked: _Asked, text: str, options: Sequence[Option], empty: Option) -> bool:
    """Whether a text says that nothing applies, and neither a scale nor another option says it better."""
    if not says_no_option(text, asked.language, least=_SURE_NO):
        return False
    said = topics(text, asked.language)
    others = [option for option in options if option is not empty and said & topics(option.label, asked.language)]
    return not others and not is_a_scale([option.label for option in options], asked.language)


def _applies_not(asked: _Asked, text: str, options: Sequence[Option]) -> bool:
    """ "None of those today", "ninguna, gracias a Dios": whether a text says that nothing of a list applies."""
    if not says_no_option(text, asked.language) and not opens_with_none(text):
        return False
    said = topics(text, asked.language)
    return not any(
        said & topics(option.label, asked.language) or is_about_the_question(text, option.label, asked.language)
        for option in options
    )


def _denies(asked: _Asked, text: str, empty: Option) -> bool:
    """ "don't drink" to "How often do you drink?": a short denial of what was asked."""
    short = len(text.split()) <= _SHORT_DENIAL and is_negated(text) and not _UNSURE.search(fold(text).text)
    spoken = read_yes_no(text, asked.language)
    if not short or (spoken is not None and spoken.value):
        return False
    return is_about_the_question(text, asked.wording, asked.language) and not any(
        is_about_the_question(text, option.wording.in_language(asked.language), asked.language)
        for option in asked.item.options
        if option.key != empty.value
    )


def _with_topics(asked: _Asked, text: str, choice: Choice, options: Sequence[Option]) -> Choice:
    """The choice, or both where the text is also about another option: "mi esposo y mi hija"."""
    if choice.picked is None or choice.picked.confidence >= 1 or choice.picked.how in ("number", "letter"):
        return choice
    said = topics(text, asked.language)
    about = [option for option in options if said & topics(option.label, asked.language)]
    others = [option for option in about if option.value != choice.picked.value]
    if not others or (is_negated(text) and choice.picked.how == "exact"):
        return choice
    readings = tuple(Reading(option.value, 0.8, choice.picked.span, "synonym") for option in others)
    return Choice(between=(choice.picked, *readings))


def _by_topic(asked: _Asked, text: str, options: Sequence[Option]) -> Choice:
    """The one option about the same as the text: "my head hurts" of "Headache"."""
    said = topics(text, asked.language)
    spoken = read_yes_no(text, asked.language)
    if not said or (spoken is not None and not spoken.value) or is_negated(text) or _OR.search(text):
        return Choice()
    same = [option for option in options if said & topics(option.label, asked.language)]
    same = [option for option in same if not is_empty_option(option.label, asked.language)]  # "it hurts" of "No pain"
    return Choice(picked=Reading(same[0].value, 0.75, (0, len(text)), "synonym")) if len(same) == 1 else Choice()


def _one(asked: _Asked, text: str, options: Sequence[Option]) -> Choice:
    """One option: its very words or place in the list, else where the words stand on the options' scale."""
    labels = [option.label for option in options]
    counted = read_in_interval(text, labels, asked.language, asked.wording)
    if counted is not None and counted.place is not None and not asked.numbered:
        places = {counted.place}
        if counted.bare and 1 <= int(re.sub(r"\D", "", text)) <= len(options):
            places.add(int(re.sub(r"\D", "", text)) - 1)
        found = tuple(Reading(options[place].value, 0.9, (0, len(text)), "number") for place in sorted(places))
        return Choice(picked=found[0]) if len(found) == 1 else Choice(between=found)
    choice = read_choice(text, options, asked.language, numbered=asked.numbered)
    if counted is not None and not counted.bare and (choice.picked is None or choice.picked.how != "exact"):
        return Choice()  # a number that no option holds
    if choice.picked is not None and choice.picked.sure and choice.picked.how in ("number", "letter"):
        return choice
    if choice.picked is not None and choice.picked.confidence >= 1:
        return choice
    period = asked_period(asked.wording, asked.language)
    if is_a_scale(labels, asked.language) and _compares(text, options):
        return Choice()
    placed = read_on_scale(text, labels, asked.language, period=period)
    if placed is None and is_a_scale(labels, asked.language):
        return choice if _is_worded(choice, text, options) else Choice()
    if placed is None:
        return _unless_plain(asked, text, choice, options)
    readings = tuple(
        Reading(options[place].value, placed.confidence, (0, len(text)), "synonym") for place in placed.nearest
    )
    return Choice(picked=readings[0]) if placed.certain else Choice(between=readings)


def _unless_plain(asked: _Asked, text: str, choice: Choice, options: Sequence[Option]) -> Choice:
    """A plain yes or no picks the option that is one, whatever words it shares with others ("i dont", "Don't know")."""
    spoken = read_yes_no(text, asked.language)
    sure = spoken is not None and spoken.sure and not spoken.rest and spoken.how == "polarity"
    if sure and spoken is not None and choice.picked is not None and choice.picked.how != "exact":
        polar = polar_options(options, asked.language, spoken.value)
        if len(polar) == 1:
            return Choice(picked=Reading(polar[0].value, 0.85, spoken.span, "polarity"))
    if choice.picked is not None and choice.picked.how == "polarity" and (spoken is None or spoken.how == "synonym"):
        return Choice()  # "perfect", "ok" agree, they state no fact
    if choice.picked is not None and _leaves_open(asked, text, choice.picked, options):
        return Choice()
    return choice


def _leaves_open(asked: _Asked, text: str, picked: Reading[str], options: Sequence[Option]) -> bool:
    """ "uber or bus": one of two things said is no option."""
    parts = [part for part in _OR.split(text) if part.strip()]
    if len(parts) < 2 or picked.how in ("number", "letter"):
        return False
    read = [read_choice(part, options, asked.language).picked for part in parts]
    return any(one is None or not one.sure for one in read)


_OR = re.compile(r"\b(?:or|o|u)\b", re.IGNORECASE)


def _compares(text: str, options: Sequence[Option]) -> bool:
    """ "more than mild", "menos que moderado": more or less than an option, not it."""
    said = plain(text)
    labels = (plain(label) for option in options for label in (option.label, *option.synonyms))
    return any(
        label and not _COMPARED.match(label) and _COMPARING.search(said.partition(label)[0])
        for label in labels
        if label in said
    )


_COMPARING = re.compile(r"\b(?:more|less|worse|better|over|under|mas|menos|peor|mejor) (?:than |de |que )?$")
_COMPARED = re.compile(r"(?:more|less|mas|menos|much|mucho)\b")


def _all_named(choice: Choice, text: str) -> bool:
    """ "diabetes high blood pressure": whole labels side by side, with no "or" between them."""
    named = all(reading.how == "exact" for reading in choice.between)
    return named and not _OR.search(text)


def _is_worded(choice: Choice, text: str, options: Sequence[Option]) -> bool:
    """Whether a choice on a scale rests on more than a word shared: "more than before" is not "More than half"."""
    if choice.picked is None or choice.picked.how in ("number", "letter"):
        return True
    if choice.picked.how in ("exact", "polarity"):
        return not _compares(text, options) and (choice.picked.how == "exact" or len(text.split()) == 1)
    labels = [
        label for option in options if option.value == choice.picked.value for label in (option.label, *option.synonyms)
    ]
    return any(alike(text, label) for label in labels)


def _several(asked: _Asked, text: str, options: Sequence[Option]) -> Outcome | None:
    """Several of the options, of which `options` are those that do not stand for "none"."""
    item = asked.item

    def read(part: str) -> Choice:
        found = _one(asked, part, offered(item.options, asked.language))
        single = found.picked is not None and item.option(found.picked.value) is not None
        return found if single or found.between else Choice()

    found = read_several(text, options, asked.language, read)
    if found is None or (found.unclear and not found.values):
        return NotUnderstood() if found is not None else None
    if found.rest:
        respelt = respelled(text, asked.language, [option.label for option in options])
        again = read_several(respelt, options, asked.language, read) if respelt != text else None
        found = again if again is not None and len(again.values) > len(found.values) else found
    if found.rest and names_something(found.rest, asked.language):
        return NotUnderstood()  # "fever and blurry sight", of which one is offered
    chosen = [option.value for option in item.options if option.key in found.values]
    how = "number" if any(char.isdigit() for char in text) else "synonym"
    return Taken(tuple(chosen), how, 0.9, found.rest) if chosen else None


def _chosen(item: Item, choice: Choice) -> Outcome:
    if choice.picked is not None and choice.picked.sure:
        option = item.option(choice.picked.value)
        if option is not None:
            return _taken(option.value, choice.picked)
    if choice.several and item.repeats:
        options = [option for reading in choice.several for option in [item.option(reading.value)] if option]
        return Taken(tuple(option.value for option in options), "number", 0.9)
    if choice.between or choice.several:
        return Which(tuple(reading.value for reading in (*choice.between, *choice.several)))
    return NotUnderstood()


_OTHER = re.compile(r"^\W*(?:other|otro|otra|otros|otras)\s*[:,;–-]\s*(\S.*)$", re.IGNORECASE | re.DOTALL)


def _other(asked: _Asked, text: str) -> Outcome:
    """What is not offered, in the patient's words: "other: my nephew's taxi"."""
    bare = read_yes_no(text, asked.language)
    if re.fullmatch(r"\W*\d+\W*|\W*\w\W*", text) or (bare is not None and not bare.rest):
        return NotUnderstood()  # a number past the end of the list, a letter, a mere yes or no
    return _kept_text(asked.item, text.strip(), again=True)


# --- texts ------------------------------------------------------------------------------------------------------


def _text(asked: _Asked, text: str) -> Outcome:
    item = asked.item
    if not item.required and says_nothing(text, asked.language):
        return NothingToSay()
    spoken = read_yes_no(text, asked.language)
    if spoken is not None and spoken.value and spoken.sure and not spoken.rest and not asked.again:
        return NotUnderstood()  # "yes" to "anything else?": go on and say it
    if item.type == "string" and _measure(asked) == "pressure":
        pair = read_pressure(text, asked.language)
        if pair is not None:
            return Taken((Value("String", f"{pair.value[0]}/{pair.value[1]}"),), "number", pair.confidence, pair.rest)
    return _kept_text(item, text.strip(), again=asked.again)


def _kept_text(item: Item, words: str, *, again: bool) -> Outcome:
    if item.max_length is not None and len(words) > item.max_length:
        if not again:
            return TooLong()
        words = words[: item.max_length].rstrip()
    return Taken((Value("String", words),), "exact", 1.0)


def _url(asked: _Asked, text: str) -> Outcome:
    reading = read_url(text, asked.language)
    return NotUnderstood() if reading is None else _taken(Value("Uri", reading.value), reading)


# --- numbers ----------------------------------------------------------------------------------------------------


def scale_of(item: Item) -> Scale | None:
    """The scale of a question for a whole number with near limits, such as 0 to 10."""
    low, high = item.minimum, item.maximum
    if item.type not in ("integer", "decimal") or low is None or high is None:
        return None
    if not isinstance(low.value, int | Decimal) or not isinstance(high.value, int | Decimal):
        return None
    if high.value - low.value > _WIDEST_SCALE or int(low.value) != low.value or int(high.value) != high.value:
        return None
    return Scale(int(low.value), int(high.value))


def _measure(asked: _Asked) -> str | None:
    item = asked.item
    codes, units = [code.code for code in item.codes], [unit.code for unit in item.units]
    return measure_of(codes, units, asked.wording, asked.language)


def _number(asked: _Asked, text: str) -> Outcome:
    item, measure = asked.item, _measure(asked)
    if measure in ("systolic", "diastolic"):
        pair = read_pressure(text, asked.language)
        if pair is not None:
            place = 0 if measure == "systolic" else 1
            return _settled(asked, [Reading(Decimal(pair.value[place]), pair.confidence, pair.span, "number")])
    scale = scale_of(item) if measure is None else None
    units = tuple(unit.code for unit in item.units[:1]) or asked_units(asked.wording, asked.language)
    units = units or usual_units(measure)
    fraction = read_fraction(text, asked.language, scale)
    if units and (scale is None or asked_units(asked.wording, asked.language)) and not fraction:
        quantities = read_quantity(text, asked.language, units, measure)
        for quantity in quantities:
            if not is_usual(quantity.value, measure):
                return Beyond(_written(quantity.value.value))
        summed = read_sum(text, asked.language) if len(units) == 1 else None
        readings = [summed] if summed else [_as_number(item, quantity) for quantity in quantities]
    else:
        readings = list(read_number(text, asked.language, scale, counted=True))
    if not readings:
        counted = read_one(text, asked.wording, asked.language) or _every_day(asked, text)
        scaled = scale is not None and scale.low == 0
        none = (
            read_none(text, asked.wording, asked.language, scaled=scaled)
            if _may_be_none(item) and counted is None
            else None
        )
        readings = [one for one in (counted, none) if one is not None]
    return _settled(asked, readings)


def _every_day(asked: _Asked, text: str) -> Reading[Decimal] | None:
    """All the days a question counts: "daily" of "the past 7 days"."""
    period = asked_period(asked.wording, asked.language)
    if period is None or asked_units(asked.wording, asked.language) != ("d",):
        return None
    always = place_on(text, "scale_frequency", asked.language) == _ALWAYS
    return Reading(Decimal(period), 0.85, (0, len(text)), "synonym") if always else None


def _as_number(item: Item, quantity: Reading[Quantity]) -> Reading[Decimal]:
    """A quantity's number; one converted for a whole number is rounded."""
    value = quantity.value.value
    converted = quantity.how == "unit" and value != value.to_integral_value() and value.as_tuple().exponent == -2
    if item.type == "integer" and converted and abs(value) > 1:
        value = value.to_integral_value()
    return Reading(value, quantity.confidence, quantity.span, quantity.how, quantity.rest)


def _may_be_none(item: Item) -> bool:
    return item.minimum is None or (compare(Value("Integer", 0), item.minimum) or 0) >= 0


def _settled(asked: _Asked, readings: Sequence[Reading[Decimal]]) -> Outcome:
    """The one number that was said, those it may be, or that it is beyond the item's limits."""
    item = asked.item
    if not readings or not all(reading.sure for reading in readings):
        return NotUnderstood()
    if len(readings) > 1:
        fitting = [key for key in (_written(reading.value) for reading in readings) if key_value(item, key) is not None]
        return Which(tuple(fitting)) if 1 < len(fitting) <= _MOST_CANDIDATES else NotUnderstood()
    (reading,) = readings
    if item.type == "integer" and reading.value != reading.value.to_integral_value():
        whole = int(reading.value // 1)
        return Which((str(whole), str(whole + 1)))
    value = numeric(item, reading.value)
    if value is None:
        return NotUnderstood()
    return Beyond(_written(reading.value)) if beyond(item, value) else _taken(value, reading)


def _written(number: Decimal) -> str:
    """Without the zeros a conversion leaves behind: "90.7", not "90.70"."""
    return f"{number.normalize():f}" if number == number.to_integral_value() or "." in str(number) else str(number)


def _quantity(asked: _Asked, text: str) -> Outcome:
    item, measure = asked.item, _measure(asked)
    if measure in ("systolic", "diastolic"):
        pair = read_pressure(text, asked.language)
        if pair is not None:
            place = 0 if measure == "systolic" else 1
            unit = item.units[0].code if item.units else ""
            return _taken(Value("Quantity", amount(item, Quantity(Decimal(pair.value[place]), unit))), pair)
    readings = read_quantity(text, asked.language, [unit.code for unit in item.units], measure)
    if not readings or not all(reading.sure for reading in readings):
        return NotUnderstood()
    if len(readings) > 1:
        keys = tuple(f"{_written(one.value.value)} {amount(item, one.value).unit}".strip() for one in readings)
        fitting = tuple(key for key in keys if key_value(item, key) is not None)
        return Which(fitting) if 1 < len(fitting) <= _MOST_CANDIDATES else NotUnderstood()
    quantity = readings[0].value
    if abs(quantity.value) >= LARGEST:
        return NotUnderstood()
    value = Value("Quantity", amount(item, quantity))
    if beyond(item, value) or not is_usual(quantity, measure):
        return Beyond(_written(quantity.value))
    return _taken(value, readings[0])


# --- dates and times --------------------------------------------------------------------------------------------


def _date(asked: _Asked, text: str) -> Outcome:
    item, today = asked.item, asked.now.date().isoformat()
    ahead = asks_ahead(asked.wording, asked.language)
    birth = asks_birth(asked.wording, asked.language)
    if birth:
        born = read_birth_date(text, asked.language, asked.now.date())
        found = tuple(Reading(one.value.isoformat(), one.confidence, one.span, one.how) for one in born)
    else:
        found = read_date(text, asked.language, asked.now.date(), ahead=ahead)
    readings = [reading for reading in found if reading.confidence >= _POSSIBLE]
    if not readings:
        return NotUnderstood()
    within = [reading for reading in readings if not beyond(item, Value("Date", reading.value))]
    if not within:
        return Beyond(readings[0].value)
    past = within if ahead else [reading for reading in within if reading.value[: len(today)] <= today] or within
    rivals = [reading for reading in past[1:] if _rivals(past[0], reading, birth=birth)]
    if rivals:
        return Which(tuple(reading.value for reading in (past[0], *rivals)[:3]))
    return _taken(Value("Date", past[0].value), past[0]) if past[0].sure else NotUnderstood()


def _rivals(first: Reading[str], other: Reading[str], *, birth: bool) -> bool:
    """Whether both must be offered: equally sure, or for a birth the same day of another century."""
    return other.confidence >= first.confidence or (birth and first.value[4:] == other.value[4:])


def _moment(asked: _Asked, text: str) -> Outcome:
    ahead = asks_ahead(asked.wording, asked.language)
    readings = [one for one in read_moment(text, asked.language, asked.now, ahead=ahead) if one.sure]
    if re.search(r"\b(?:time|hora)\b", asked.wording.lower()):
        readings = [one for one in readings if len(one.value) > len("2026-01-01")]  # "friday night": at what time?
    return _of_time(asked.item, "DateTime", readings)


def _time(asked: _Asked, text: str) -> Outcome:
    """A time of day; the question may say which half of the day is meant ("your evening medicine")."""
    readings = [one for one in read_time(text, asked.language) if one.sure]
    half = half_of_day(asked.wording, asked.language) if len(readings) == 2 else None
    if half is not None:
        readings = [one for one in readings if (one.value >= "12") is (half == "pm")] or readings
    return _of_time(asked.item, "Time", readings)


def _of_time(item: Item, kind: str, readings: Sequence[Reading[str]]) -> Outcome:
    if not readings:
        return NotUnderstood()
    within = [reading for reading in readings if not beyond(item, Value(kind, reading.value))]
    if not within:
        return Beyond(readings[0].value)
    if len(within) > 1:
        return Which(tuple(reading.value for reading in within[:_MOST_CANDIDATES]))
    return _taken(Value(kind, within[0].value), within[0])


def _of_values(item: Item, text: str, language: str, between: Sequence[str]) -> Taken | None:
    """One of the numbers or dates the patient was asked to choose from, said as it is or by its place."""
    written = text.strip()
    value = key_value(item, written) if written in between else None
    if value is None:
        choice = read_choice(text, [Option(key, key) for key in between], language)
        if choice.picked is None or not choice.picked.sure:
            return None
        value = key_value(item, choice.picked.value)
    return None if value is None else Taken((value,), "number", 0.95)


_READERS: dict[str, Callable[[_Asked, str], Outcome]] = {
    "boolean": _boolean,
    "choice": _choice,
    "open-choice": _choice,
    "integer": _number,
    "decimal": _number,
    "quantity": _quantity,
    "date": _date,
    "dateTime": _moment,
    "time": _time,
    "url": _url,
}
