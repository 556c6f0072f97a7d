"""The words patients read: complete in both languages, plain, short enough for a text message, refused when broken."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from carethread.clinic import ConfigError, load_clinic
from carethread.config import PROJECT
from carethread.conversations.wishes import BOUNDARIES
from carethread.dialogue.content import LANGUAGES, Content, ContentError, ContentStore, load_content
from carethread.safety.guard import load_guard

CLINIC = load_clinic(PROJECT / "clinics" / "riverbend" / "clinic.yml")
GUARD = load_guard(PROJECT / "content" / "safety" / "guard.yml")
CONTENT = load_content(PROJECT / "content", facts=sorted(CLINIC.facts))
MESSAGES = list(CONTENT)
# Twilio refuses longer ones: https://www.twilio.com/docs/glossary/what-sms-character-limit
SMS_LIMIT = 1600
_SAMPLES: dict[str, Any] = {
    "text": "Riverbend Clinic North, 4410 North Lincoln Avenue, Chicago, IL 60625",
    "name": "María",
    "number": 3,
    "date": "2026-11-24",
    "time": "2026-11-24T20:30:00+00:00",
    "datetime": "2026-11-24T20:30:00+00:00",
    "url": "https://video.example.org/visit/abcdefgh",
    "phone": "+1 312 555 0100",
}


def sample(content: Content, key: str, many: int = 6) -> dict[str, Any]:
    """Parameters of every declared type."""
    values: dict[str, Any] = {}
    for name, kind in content.message(key).parameters.items():
        values[name] = [sample(content, kind[1:-1]) for _ in range(many)] if kind.startswith("[") else _SAMPLES[kind]
    return values


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.key)
def test_both_languages_say_the_same_things(message: Any) -> None:
    """The same placeholders and as many choices; a translation that lost one has lost a fact."""
    english, spanish = (message.wordings[language] for language in ("en", "es"))
    found = [set(re.findall(r"\{([a-z_]+)\}", wording.text)) for wording in (english, spanish)]
    assert found[0] == found[1]
    assert len(english.quick_replies) == len(spanish.quick_replies)
    assert [option.value for option in english.quick_replies if option.value != option.label] == [
        option.value for option in spanish.quick_replies if option.value != option.label
    ]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.key)
def test_everything_fits_a_text_message(message: Any) -> None:
    for language in LANGUAGES:
        rendered = CONTENT.render(
            message.key, sample(CONTENT, message.key), clinic=CLINIC, language=language, channel="sms"
        )
        assert len(rendered.text) <= SMS_LIMIT, language
        assert "{" not in rendered.text, language


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.key)
def test_nothing_says_what_only_a_clinician_may(message: Any) -> None:
    for wording in message.wordings.values():
        for text in (wording.text, *wording.by_channel.values()):
            assert GUARD.wording(text) == [], text


def test_moments_are_written_for_the_reader() -> None:
    values = {"number": 1, "start": "2026-11-24T20:30:00+00:00", "practitioner": "Dr. Chen", "place": ""}
    said = {
        language: CONTENT.render("line_offer", values, clinic=CLINIC, language=language, channel="sms").text
        for language in LANGUAGES
    }
    assert said == {
        "en": "1. Tuesday, November 24 at 2:30 PM with Dr. Chen",
        "es": "1. martes 24 de noviembre a las 2:30 p.m. con Dr. Chen",
    }


def test_a_line_without_its_fact_is_left_out() -> None:
    values = {"number": 1, "start": "2026-11-24T20:30:00+00:00", "practitioner": "Dr. Chen", "place": "", "video": ""}
    assert "\n" not in CONTENT.render("line_visit", values, clinic=CLINIC, language="en", channel="sms").text


def test_choices_are_words_where_there_are_no_buttons() -> None:
    sms = CONTENT.render("utter_greet", {}, clinic=CLINIC, language="en", channel="sms")
    web = CONTENT.render("utter_greet", {}, clinic=CLINIC, language="en", channel="web")
    assert "Book a visit / My appointments" in sms.text
    assert "Book a visit" not in web.text
    assert web.quick_replies[0] == ("Book a visit", "Book a visit")


def test_missing_parameters_and_unknown_keys_are_errors() -> None:
    with pytest.raises(ContentError, match="without its parameter 'name'"):
        CONTENT.render("utter_verified", {}, clinic=CLINIC, language="en", channel="sms")
    with pytest.raises(ContentError, match="no message 'utter_nothing'"):
        CONTENT.render("utter_nothing", {}, clinic=CLINIC, language="en", channel="sms")


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("utter_a: {en: Hi}", r"topic.yml:1: 'utter_a' has no 'es'"),
        ("utter_a:\n  en: Hi {who}\n  es: Hola {who}", "which it does not declare"),
        ("utter_a: {en: Hi, es: Hola}\nutter_a: {en: Hi, es: Hola}", r"topic.yml:2: 'utter_a' stands twice"),
        ("Utter-A: {en: Hi, es: Hola}", "not lower_case"),
        ("utter_a: {en: Hi, es: Hola, colour: red}", "unknown fields: colour"),
        ("utter_a: {parameters: {text: text}, en: Hi, es: Hola}", "a word of Rasa's"),
        ("utter_a: {parameters: {when: moment}, en: Hi, es: Hola}", "has type 'moment'"),
        ("utter_a: {parameters: {visits: [line_b]}, en: Hi, es: Hola}", "'line_b', which is no message"),
        ("utter_a: [", r"topic.yml:\d+: not YAML"),
    ],
)
def test_a_broken_file_is_refused_with_place_and_mend(tmp_path: Path, file: str, says: str) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    folder.joinpath("topic.yml").write_text(file)
    with pytest.raises(ConfigError, match=says):
        load_content(tmp_path)


def test_staff_change_words_without_a_restart_and_cannot_break_them(tmp_path: Path) -> None:
    folder = tmp_path / "messages"
    folder.mkdir()
    file = folder / "topic.yml"
    file.write_text("utter_a: {en: Hello, es: Hola}")
    store = ContentStore(tmp_path)
    first = store.current.message("utter_a").version
    file.write_text("utter_a: {en: Hello there, es: Hola}")
    assert store.current.message("utter_a").wordings["en"].text == "Hello there"
    assert store.current.message("utter_a").version != first
    file.write_text("utter_a: {en: Broken}")
    assert store.current.message("utter_a").wordings["en"].text == "Hello there"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("intent", sorted(BOUNDARIES))
def test_a_question_for_a_clinician_gets_a_no_a_nurse_and_a_number(intent: str, language: str) -> None:
    """Dose, diagnosis, results, outlook, medicines: the assistant says what it cannot do, and who answers instead."""
    text = CONTENT.message(f"utter_{intent}").wordings[language].text
    no, told = {"en": ("I cannot", "I have asked"), "es": ("No puedo", "Ya pedí")}[language]
    assert intent == "medication_refill" or text.startswith(no)
    assert told in text
    assert {"en": "nurse", "es": "enfermera"}[language] in text
    assert "{clinic_phone}" in text or "{emergency_number}" in text
