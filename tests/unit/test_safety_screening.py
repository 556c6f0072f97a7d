"""What patients write, and what the screen must make of it. The sentences are in tests/unit/data/safety_*.jsonl."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from carethread.safety.levels import combine
from carethread.safety.screening import RuleSet

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
MOST_FALSE_ALARMS = 0.02


def sentences(name: str) -> list[dict[str, str]]:
    lines = (DATA / f"safety_{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


# Ways in which the same sentence arrives on a phone.
NOISE: dict[str, Callable[[str], str]] = {
    "all capitals": str.upper,
    "no accents": without_accents,
    "no punctuation": lambda text: re.sub(r"[.,;:!?¿¡'’]", "", text),
    "shouted": lambda text: text + "!!!!",
    "emoji": lambda text: " 😭 " + text + " 🙏🏽",
    "spaces and lines": lambda text: "\n " + text.replace(" ", "  ") + " \n",
    "curly quotes": lambda text: text.replace("'", "’"),
}

# What people put around the one thing that matters. None of it may hide an alarm.
AROUND = {
    "en": (
        "hi, this is Maria Lopez, {}",
        "{} what should i do",
        "I know you're busy but {}",
        "no fever. {}",
        "My mom died of a stroke last year. {}",
        "I had surgery last week and now {}",
        "I need a refill on my meds, also {}",
        "I don't feel well and {}",
        "my appointment is tomorrow but {}",
        "{} should i wait for my appointment on friday?",
        "idk if this is the right number but {}",
        "I was in the ER 2 weeks ago for something else. {}",
    ),
    "es": (
        "hola, soy María López, {}",
        "{} qué hago",
        "perdón que moleste pero {}",
        "no tengo fiebre. {}",
        "Mi mamá murió de un derrame el año pasado. {}",
        "me operaron la semana pasada y ahora {}",
        "necesito mi receta, también {}",
        "no me siento bien, {}",
        "mi cita es mañana pero {}",
        "{} ¿espero a mi cita del viernes?",
        "no sé si este es el número correcto pero {}",
        "estuve en urgencias hace 2 semanas por otra cosa. {}",
    ),
}


def test_the_sets_are_as_large_as_promised() -> None:
    assert len(sentences("emergencies")) >= 150
    assert len(sentences("crisis")) >= 60
    assert len(sentences("lookalikes")) >= 200
    for name in ("emergencies", "crisis", "lookalikes"):
        languages = [row["language"] for row in sentences(name)]
        assert min(languages.count("en"), languages.count("es")) >= len(languages) // 4


def test_every_rule_keeps_its_word(rules: RuleSet) -> None:
    assert rules.check() == ()


@pytest.mark.parametrize("name", ["emergencies", "crisis"])
def test_no_alarm_is_missed(rules: RuleSet, name: str) -> None:
    wrong = [row["text"] for row in sentences(name) if rules.screen(row["text"]).level != row["level"]]
    assert wrong == []


def test_look_alikes_stay_quiet(rules: RuleSet) -> None:
    rows = sentences("lookalikes")
    alarmed = [row["text"] for row in rows if rules.screen(row["text"]).level != "none"]
    assert len(alarmed) <= MOST_FALSE_ALARMS * len(rows), alarmed


@pytest.mark.slow  # screens three thousand messages
@pytest.mark.parametrize("name", ["emergencies", "crisis", "lookalikes"])
def test_noise_changes_nothing(rules: RuleSet, name: str) -> None:
    changed = []
    for at, row in enumerate(sentences(name)):
        noise = list(NOISE)[at % len(NOISE)]
        level = rules.screen(NOISE[noise](row["text"])).level
        if level not in {row["level"], "none" if name == "lookalikes" else "emergency"}:
            changed.append((noise, row["text"]))
    assert changed == []


@pytest.mark.slow  # screens the alarms again, each among other words
@pytest.mark.parametrize("language", ["en", "es"])
def test_nothing_around_an_alarm_hides_it(rules: RuleSet, language: str) -> None:
    missed = []
    for name in ("emergencies", "crisis"):
        rows = [row for row in sentences(name) if row["language"] == language]
        for at, row in enumerate(rows):
            text = AROUND[language][at % len(AROUND[language])].format(row["text"])
            if rules.screen(text).level not in (row["level"], "emergency"):
                missed.append(text)
    assert missed == []


@pytest.mark.parametrize(
    ("text", "level", "rule"),
    [
        ("I took all my pills because I want to die", "emergency", "wants-to-die"),
        ("me corté las venas y quiero morirme", "emergency", "wants-to-die"),
    ],
)
def test_an_act_under_way_is_an_emergency_and_a_crisis(rules: RuleSet, text: str, level: str, rule: str) -> None:
    screening = rules.screen(text)
    assert screening.level == level
    assert rule in screening.rules


def test_the_span_is_where_the_patient_wrote_it(rules: RuleSet) -> None:
    text = "Hola 😀, perdón… ¡ME DUELE EL PECHO! gracias"
    screening = rules.screen(text)
    assert screening.span is not None
    assert "DUELE" in text[slice(*screening.span)]
    assert "PECHO" in text[slice(*screening.span)]
    assert screening.language == "es"


def test_signs_of_earlier_messages_and_the_chart_count(rules: RuleSet) -> None:
    first = rules.screen("I have a fever of 102")
    assert first.level == "none"
    assert "fever" in first.signs
    assert rules.screen("my neck is stiff").level == "none"
    assert rules.screen("my neck is stiff", known=first.signs).rule == "fever-and-stiff-neck"
    assert rules.screen("veo borroso", known={"pregnant-in-chart"}).rule == "pregnant-and-danger"
    assert rules.screen("see you tomorrow", known={"fever", "stiff-neck"}).level == "none"


def test_a_denial_in_one_language_counts_in_the_other(rules: RuleSet) -> None:
    assert rules.screen("no tengo chest pain").level == "none"
    assert rules.screen("tengo chest pain muy fuerte").level == "emergency"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "\n\n",
        "😀😀😀",
        "\x00\x01\x02",
        "....",
        "?!?!",
        "¿¡",
        "-",
        "'''",
        "12345",
        "\u202etxet",
        "a" * 20_000,
    ],
)
def test_odd_texts_are_quiet(rules: RuleSet, text: str) -> None:
    assert rules.screen(text).level == "none"


def test_an_alarm_is_found_in_a_very_long_message(rules: RuleSet) -> None:
    story = "I went to the store and bought bread and then I came home. " * 100
    assert rules.screen(story + "I can't breathe.").level == "emergency"


def test_what_patients_wrote_is_not_kept(rules: RuleSet) -> None:
    rules.screen("zyxwvutsrq is my secret word and my chest hurts")
    for language in rules._languages:
        assert "zyxwvutsrq" not in language._nlp.vocab.strings


def test_the_highest_level_stands() -> None:
    assert combine("none", "crisis", "urgent") == "crisis"
    assert combine("crisis", "emergency", "none") == "emergency"
    assert combine() == "none"
