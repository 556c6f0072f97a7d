"""Words typed in a hurry or by their sound, "only" beside an option, and things that no option is."""

from datetime import UTC, datetime

import pytest

from carethread.questionnaires import load
from carethread.questionnaires.outcomes import NotUnderstood, Taken
from carethread.questionnaires.readings.choice import only_first
from carethread.questionnaires.readings.several import names_something
from carethread.questionnaires.readings.spelling import respelled, sounds
from carethread.questionnaires.understanding import understand

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

RESPELT = [
    ("es", ["Taxi, Uber o Lyft"], "en uver", "en uber"),
    ("es", ["Me lleva un amigo o familiar"], "mi biejo me lleba", "mi viejo me lleva"),
    ("es", ["Solo manchas"], "solo manxas", "solo manchas"),
    ("es", ["Diarrea"], "diarea 4 beces", "diarrea 4 veces"),
    ("en", ["Severe", "Mild"], "svere!!! i cant move", "severe!!! i cant move"),
    ("en", ["Headache"], "headake", "headache"),
    ("en", ["Never", "Daily"], "nvr", "never"),
    ("en", [], "day b4 yesterday", "day before yesterday"),
]  # fmt: skip
# Right as they are, whatever they look like.
KEPT = [("en", ["Nine", "None"], "fine"), ("en", ["Mild"], "mind"), ("es", ["Poco"], "peor"), ("en", ["Bath"], "both")]


@pytest.mark.parametrize(("language", "labels", "text", "meant"), RESPELT)
def test_what_was_meant_is_written(language: str, labels: list[str], text: str, meant: str) -> None:
    assert respelled(text, language, labels) == meant


@pytest.mark.parametrize(("language", "labels", "text"), KEPT)
def test_other_words_stay(language: str, labels: list[str], text: str) -> None:
    assert respelled(text, language, labels) == text


def test_sounds() -> None:
    assert sounds("uver") == sounds("uber")
    assert sounds("lleba") == sounds("lleva") == sounds("yeva")
    assert sounds("casa") != sounds("cosa")


@pytest.mark.parametrize(
    ("text", "language", "labels", "meant"),
    [
        ("Leve nada más.", "es", ["Leve", "Fuerte"], "Leve"),
        ("just nausea", "en", ["Nausea", "Cough"], "nausea"),
        ("Fórmula nada más", "es", ["Solo fórmula", "Fórmula y leche"], "solo Fórmula"),
        ("nada más", "es", ["Nada", "Todo"], "nada más"),
        ("nada nada más", "es", ["Nada", "Todo"], "nada nada más"),
        ("only when it's cold", "en", ["Never", "When it's cold"], "when it's cold"),
    ],
)
def test_only_beside_an_option(text: str, language: str, labels: list[str], meant: str) -> None:
    assert only_first(text, labels, language) == meant


@pytest.mark.parametrize("text", ["blurry sight", "chills", "ronchas"])
def test_a_further_thing(text: str) -> None:
    assert names_something(text, "en")


@pytest.mark.parametrize("text", ["since monday", "two times", "", "it has been going on for a long while now"])
def test_a_comment(text: str) -> None:
    assert not names_something(text, "en")


def test_a_list_of_which_a_part_is_not_understood_is_asked_again() -> None:
    options = [{"valueCoding": {"code": name, "display": name}} for name in ("Fever", "Cough", "Nausea")]
    item = load(
        {
            "resourceType": "Questionnaire",
            "status": "active",
            "item": [{"linkId": "q", "type": "choice", "repeats": True, "text": "Which?", "answerOption": options}],
        }
    ).item("q")
    assert item is not None
    assert isinstance(understand(item, "fever and blurry sight", "en", NOW), NotUnderstood)
    taken = understand(item, "fever, and cough since monday", "en", NOW)
    assert isinstance(taken, Taken)
    assert len(taken.values) == 2


def test_what_is_nearly_so_or_hurts_is_not_taken_for_all_or_none() -> None:
    for options, text in (
        (("No pain", "Mild", "Severe"), "it hurts"),
        (("All of it", "Part of it", "None of it"), "almost all of it"),
    ):
        answers = [{"valueCoding": {"code": name, "display": name}} for name in options]
        question = {"linkId": "q", "type": "choice", "text": "How much pain or drink?", "answerOption": answers}
        item = load({"resourceType": "Questionnaire", "status": "active", "item": [question]}).item("q")
        assert item is not None
        outcome = understand(item, text, "en", NOW)
        assert not isinstance(outcome, Taken) or outcome.values[0] == item.options[1].value


def test_a_quantity_of_which_no_unit_is_known_is_taken_as_it_is() -> None:
    height = {"linkId": "q", "type": "quantity", "text": "How tall are you?"}
    item = load({"resourceType": "Questionnaire", "status": "active", "item": [height]}).item("q")
    assert item is not None
    assert isinstance(understand(item, "168", "en", NOW), Taken)
