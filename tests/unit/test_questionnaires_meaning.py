"""Answers read by their meaning: what must be read, what must be asked again, and what the model is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from carethread.questionnaires import Input, Questionnaire, answer, load, start
from carethread.questionnaires.definition import Item
from carethread.questionnaires.keys import key_value
from carethread.questionnaires.meaning import (
    BUCKETS,
    MODEL,
    Chances,
    Floats,
    Limits,
    Meaning,
    MeaningError,
    decide,
    hashed,
)
from carethread.questionnaires.meaning_training import ANSWERS, digest
from carethread.questionnaires.outcomes import NotUnderstood, Outcome, Taken, Which
from carethread.questionnaires.understanding import understand
from carethread.questionnaires.values import Value
from carethread.safety.encoder import SentenceEncoder

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LIMITS = Limits(
    take=0.9, take_boolean=0.9, take_own=0.9, doubt=0.3, doubt_boolean=0.3, between=0.85, ask=0.5, ask_text=0.9, own=0.1
)


def _item(type_: str, text: str, options: tuple[str, ...] = ()) -> dict[str, Any]:
    coded = [{"valueCoding": {"code": option, "display": option}} for option in options]
    return {"linkId": text, "type": type_, "text": text, **({"answerOption": coded} if coded else {})}


def form(*items: dict[str, Any]) -> Questionnaire:
    return load({"resourceType": "Questionnaire", "status": "active", "url": "urn:meaning", "item": list(items)})


OFTEN = ("Never", "Some days", "Most days", "Every day")
FORM = form(
    _item("boolean", "Did you drink all of the bowel prep?"),
    _item("boolean", "Do you feel dizzy when you stand up?"),
    _item("choice", "How often do you feel tired?", OFTEN),
    _item("choice", "How do you get to your visits?", ("I drive myself", "A family member or friend drives me", "Bus")),
    _item("open-choice", "What do you do for work?", ("Working", "Retired", "Student")),
    _item("text", "What would you like to ask the doctor?"),
)


def item(part: str) -> Item:
    return next(found for found in FORM.walk() if part in found.wording.text)


TIRED, VISITS, WORK, DIZZY, ASK = (item(part) for part in ("tired", "visits", "work", "dizzy", "doctor"))


def own(words: str) -> Taken:
    return Taken((Value("String", words),), "exact", 1.0)


def by_words(of: Item, key: str) -> Taken:
    value = key_value(of, key)
    assert value is not None
    return Taken((value,), "similarity", 0.8)


# item, what the readers made of it, probabilities of options, of asking again, of own words → key taken, or outcome
DECIDED: list[tuple[Item, Outcome, dict[str, float], float, float, str | type[Outcome] | Which]] = [
    (VISITS, NotUnderstood(), {"Bus": 0.95, "I drive myself": 0.01}, 0.04, 0.0, "Bus"),
    (VISITS, NotUnderstood(), {"Bus": 0.7, "I drive myself": 0.2}, 0.1, 0.0, Which(("Bus", "I drive myself"))),
    (VISITS, NotUnderstood(), {"Bus": 0.5, "I drive myself": 0.1}, 0.4, 0.0, NotUnderstood),
    (DIZZY, NotUnderstood(), {"false": 0.92, "true": 0.05}, 0.03, 0.0, "false"),
    (DIZZY, NotUnderstood(), {"false": 0.6, "true": 0.38}, 0.02, 0.0, NotUnderstood),
    (VISITS, by_words(VISITS, "Bus"), {"Bus": 0.1, "I drive myself": 0.85}, 0.05, 0.0, NotUnderstood),
    (VISITS, by_words(VISITS, "Bus"), {"Bus": 0.4, "I drive myself": 0.6}, 0.0, 0.0, "Bus"),
    (WORK, own("at the post office"), {"Working": 0.93, "Retired": 0.01}, 0.02, 0.04, "Working"),
    (WORK, own("at the post office"), {"Working": 0.6, "Retired": 0.2}, 0.15, 0.05, Which(("Working", "Retired"))),
    (WORK, own("what was the question"), {"Working": 0.1, "Retired": 0.1}, 0.7, 0.1, NotUnderstood),
    (WORK, own("homemaker"), {"Working": 0.2, "Retired": 0.2}, 0.1, 0.5, Taken),
    (ASK, own("what was that?"), {}, 0.95, 0.05, NotUnderstood),
    (ASK, own("my knee"), {}, 0.1, 0.9, Taken),
]


@pytest.mark.parametrize(("of", "read", "options", "ask", "words", "expected"), DECIDED)
def test_what_is_made_of_probabilities(
    of: Item, read: Outcome, options: dict[str, float], ask: float, words: float, expected: str | type[Outcome] | Which
) -> None:
    ranked = tuple(sorted(options.items(), key=lambda pair: -pair[1]))
    outcome = decide(of, Chances(ranked, ask, words), read, LIMITS)
    if isinstance(expected, str):
        assert isinstance(outcome, Taken)
        assert outcome.values == (key_value(of, expected),)
    elif isinstance(expected, Which):
        assert outcome == expected
    else:
        assert isinstance(outcome, expected)


class Broken:
    """An encoder that cannot be loaded."""

    def encode(self, _texts: object, /) -> Floats | None:
        return None


def test_without_an_encoder_everything_is_as_without_meaning() -> None:
    meaning = Meaning.load(MODEL, Broken())
    for text in ("my sister takes me everywhere", "the bus", "¿mande?"):
        assert understand(VISITS, text, "en", NOW, meaning=meaning) == understand(VISITS, text, "en", NOW)


def test_what_was_said_by_its_place_in_the_list_is_never_doubted() -> None:
    def never(_item: Item, _text: str, _language: str, outcome: Outcome) -> Outcome:
        return outcome

    meaning = Meaning.load(MODEL, Broken())
    meaning.chances = None  # type: ignore[method-assign,assignment]  # would be called
    for text in ("2", "b", "the last one", "I drive myself"):
        assert understand(VISITS, text, "en", NOW, meaning=meaning) == understand(
            VISITS, text, "en", NOW, meaning=never
        )


def test_own_words_said_again_are_taken() -> None:
    def doubt(_item: Item, _text: str, _language: str, _outcome: Outcome) -> Outcome:
        return NotUnderstood()

    assert isinstance(understand(WORK, "homemaker", "en", NOW, meaning=doubt), NotUnderstood)
    assert isinstance(understand(WORK, "homemaker", "en", NOW, again=True, meaning=doubt), Taken)
    assert isinstance(understand(DIZZY, "yes", "en", NOW, again=True, meaning=doubt), NotUnderstood)


def test_a_conversation_hands_its_answers_to_meaning() -> None:
    def bus(_item: Item, _text: str, _language: str, outcome: Outcome) -> Outcome:
        return by_words(VISITS, "Bus") if isinstance(outcome, NotUnderstood) else outcome

    asked = form(_item("choice", "How do you get to your visits?", ("I drive myself", "Bus")))
    step = start(asked, language="en", now=NOW)
    message = Input("whatever stops at my corner", "en", "m1", NOW)
    assert answer(asked, step.session, message, meaning=bus).status == "completed"
    assert answer(asked, step.session, message).status == "in-progress"


def test_the_model_in_use_is_made_of_the_answers_as_they_are() -> None:
    assert Meaning.load(MODEL, Broken()).made_of == digest(ANSWERS), "run `carethread questionnaire learn`"


@pytest.mark.parametrize("content", [None, b"", b"no model"])
def test_a_file_that_is_no_model_names_its_mend(tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "meaning.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MeaningError, match="carethread questionnaire learn"):
        Meaning.load(path, Broken())


def test_a_saved_model_says_what_it_said(tmp_path: Any) -> None:
    meaning = Meaning.load(MODEL, Noise())
    meaning.save(tmp_path / "meaning.npz")
    again = Meaning.load(tmp_path / "meaning.npz", Noise())
    said = (VISITS, "somebody picks me up", "en", NotUnderstood())
    assert meaning.chances(*said) == again.chances(*said) == meaning.chances(*said)


class Noise:
    """The same vector for the same text, and no meaning."""

    def encode(self, texts: Any, /) -> Floats | None:
        rows = [np.random.default_rng(sum(map(ord, text))).normal(size=512) for text in texts]
        return np.array(rows, dtype=np.float32)


def test_probabilities_add_up_to_one() -> None:
    chances = Meaning.load(MODEL, Noise()).chances(VISITS, "a stranger", "en", NotUnderstood())
    assert chances is not None
    assert sum(chance for _, chance in chances.options) + chances.ask + chances.own == pytest.approx(1, abs=1e-5)
    assert chances.of("nothing that is offered") == 0


def test_ngrams_are_the_same_whatever_the_case_or_accents() -> None:
    assert np.array_equal(hashed("Sí, MAÑANA"), hashed("si manana"))
    assert hashed("").shape == (BUCKETS,)


@pytest.fixture(scope="module")
def meaning() -> Meaning:
    return Meaning.load(MODEL, SentenceEncoder())


# item, language, answer → key; None: it must be asked again
READ: list[tuple[str, str, str, str | None]] = [
    ("work", "es", "trabajo en una tienda", "Working"),
    ("work", "es", "ya me jubilé", "Retired"),
    ("work", "es", "ando en la construcción", "Working"),
    ("work", "en", "could you say that again please", None),
    ("work", "es", "¿me repite?", None),
    ("prep", "en", "which prep", None),
    ("prep", "en", "my neighbor brought it over", None),
    ("dizzy", "en", "my legs are swollen", None),
    ("dizzy", "es", "depende del día", None),
    ("visits", "en", "it is far away", None),
    ("visits", "en", "why do you need to know", None),
    ("tired", "en", "this is a strange question", None),
    ("doctor", "en", "what did you say", None),
    ("doctor", "es", "no entiendo la pregunta", None),
]


@pytest.mark.slow
def test_what_may_be_either_of_two_is_asked_and_the_meant_one_is_among_them(meaning: Meaning) -> None:
    outcome = understand(item("work"), "collecting my pension these days", "en", NOW, meaning=meaning)
    assert isinstance(outcome, Which)
    assert "Retired" in outcome.keys


@pytest.mark.slow
@pytest.mark.parametrize(("part", "language", "text", "key"), READ)
def test_answers_are_read_by_what_they_mean(
    meaning: Meaning, part: str, language: str, text: str, key: str | None
) -> None:
    outcome = understand(item(part), text, language, NOW, meaning=meaning)
    if key is None:
        assert not isinstance(outcome, Taken)
    else:
        assert isinstance(outcome, Taken)
        assert outcome.values == (key_value(item(part), key),)


def test_limits_are_probabilities() -> None:
    limits = Meaning.load(MODEL, Broken()).limits
    assert all(0 < getattr(limits, name) <= 1 for name in limits.__dataclass_fields__)
    assert replace(limits, take=1.0) != limits
