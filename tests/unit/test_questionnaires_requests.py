"""Requests put as whole sentences: which are heard, what is no request, and what the model is made of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from carethread.questionnaires import Input, Questionnaire, answer, load, start
from carethread.questionnaires.meaning import DIMENSIONS, Floats, MeaningError
from carethread.questionnaires.meaning_training import ANSWERS
from carethread.questionnaires.outcomes import Beyond, NotUnderstood, Request, Taken
from carethread.questionnaires.requests import KINDS, REQUESTS, WIDTH, Learned, Limits, Requests, may_be_one
from carethread.questionnaires.requests_training import digest
from carethread.questionnaires.understanding import understand
from carethread.questionnaires.values import Value
from carethread.safety.encoder import SentenceEncoder

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def form(type_: str, text: str, *options: str) -> Questionnaire:
    coded = [{"valueCoding": {"code": option, "display": option}} for option in options]
    item = {"linkId": "q", "type": type_, "text": text, **({"answerOption": coded} if coded else {})}
    return load({"resourceType": "Questionnaire", "status": "active", "item": [item]})


ITEMS = {
    "steps": form("integer", "How many steps did you walk yesterday?").item("q"),
    "wound": form("choice", "How does your wound look?", "Dry", "Red", "Open", "Not sure").item("q"),
    "worry": form("string", "What worries you about going home?").item("q"),
    "shower": form("boolean", "Have you showered since the operation?").item("q"),
}

# item, language, message → the request; None: it is none
HEARD: list[tuple[str, str, str, str | None]] = [
    ("steps", "en", "would you run that question by me again?", "repeat"),
    ("steps", "es", "¿me puede decir la pregunta otra vez?", "repeat"),
    ("steps", "en", "i'll answer this one after work", "later"),
    ("steps", "es", "al rato que llegue a la casa le contesto", "later"),
    ("shower", "en", "let me fix the last one I gave you", "back"),
    ("shower", "es", "déjeme corregir la anterior", "back"),
    ("shower", "es", "eso prefiero no contestarlo", "decline"),
    ("shower", "en", "why does the clinic need to know that", "why"),
    ("worry", "es", "¿Me puede repetir otra vez la pregunta?", "repeat"),
    ("worry", "en", "I don't know how I will get up the stairs", None),
    ("worry", "es", "que otra vez me caiga en el baño", None),
    ("shower", "en", "my chest hurts, ask me later", None),
    ("wound", "en", "it looks the same as last time", None),
]


@pytest.fixture(scope="module")
def learned() -> Learned:
    return Learned.load(SentenceEncoder())


@pytest.mark.slow
@pytest.mark.parametrize(("item", "language", "text", "kind"), HEARD)
def test_requests_are_heard_in_sentences(
    learned: Learned, item: str, language: str, text: str, kind: str | None
) -> None:
    asked = ITEMS[item]
    assert asked is not None
    outcome = understand(asked, text, language, NOW, meaning=learned)
    assert (outcome.control.value if isinstance(outcome, Request) else None) == kind


class Same:
    """Every message the same vector."""

    def encode(self, texts: Sequence[str], /) -> Floats | None:
        return np.ones((len(texts), DIMENSIONS), dtype=np.float32)


def hearing(kind: str, limit: float = 0.5) -> Requests:
    """A model that takes every message for a request of this kind."""
    weights = np.zeros((WIDTH, len(KINDS)), dtype=np.float32)
    weights[DIMENSIONS + 2048, KINDS.index(kind)] = 20.0
    return Requests(weights, Limits(limit, limit, limit, limit), "", Same())


def test_what_was_read_by_number_stands() -> None:
    wound = ITEMS["wound"]
    assert wound is not None
    by_number = Taken((wound.options[0].value,), "number", 0.95)
    for outcome in (by_number, Taken((wound.options[0].value,), "exact", 1.0), Beyond("300")):
        assert hearing("later")(wound, "the first of them", "en", outcome) is outcome


def test_an_option_that_says_the_request_is_taken() -> None:
    wound = ITEMS["wound"]
    assert wound is not None
    heard = hearing("dont_know")(wound, "could be any of these things", "en", NotUnderstood())
    assert isinstance(heard, Taken)
    assert heard.values == (wound.options[3].value,)
    assert hearing("later")(wound, "could be any of these", "en", NotUnderstood()).control.value == "later"  # type: ignore[union-attr]


def test_not_knowing_may_be_an_answer_in_own_words() -> None:
    worry = ITEMS["worry"]
    assert worry is not None
    own = Taken((Value("String", "I don't know how to cook"),), "exact", 1.0)
    assert hearing("dont_know")(worry, "I don't know how to cook", "en", own) is own


@pytest.mark.parametrize(
    "text",
    [
        "I can't breathe, later",
        "me duele el pecho, luego",
        "sangro mucho, después",
        "i want to die",
        "later",
        "a " * 40,
    ],
)
def test_emergencies_single_words_and_stories_are_no_requests(text: str) -> None:
    assert not may_be_one(text)


def test_a_conversation_does_as_it_is_asked() -> None:
    asked = form("integer", "How many steps did you walk?")
    first = start(asked, language="en", now=NOW)
    step = answer(asked, first.session, Input("some other day maybe", "en", "m1", NOW), meaning=hearing("later"))
    assert step.status == "postponed"


def test_the_model_in_use_is_made_of_the_messages_as_they_are() -> None:
    assert Requests.load(REQUESTS, Same()).made_of == digest(ANSWERS), "run `carethread questionnaire learn`"


@pytest.mark.parametrize("content", [None, b"no model"])
def test_a_file_that_is_no_model_names_its_mend(tmp_path: Any, content: bytes | None) -> None:
    path = tmp_path / "requests.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MeaningError, match="carethread questionnaire learn"):
        Requests.load(path, Same())


class Counting:
    """An encoder that writes down what it is asked for, and encodes nothing but zeros."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: Sequence[str], /) -> Floats | None:
        self.asked.append(list(texts))
        return np.zeros((len(texts), DIMENSIONS), dtype=np.float32)


def test_a_message_is_encoded_once_for_both_models() -> None:
    encoder, item = Counting(), ITEMS["wound"]
    assert item is not None
    learned = Learned.load(encoder)
    for text in ("could you run that by me again", "let me fix the last one I gave"):
        learned(item, text, "en", NotUnderstood())
        assert encoder.asked.count([text]) == 1
