"""How hard texts are to read: the formulas, what they count, and the room that a chat message needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.config import PROJECT
from carethread.safety.reading import LIMIT, Reading, english_syllables, load_reading, spanish_syllables
from carethread.safety.tables import TableError

READING = load_reading(PROJECT / "content" / "reading.yml")
BARE = Reading({})


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        # plain words, short words
        ("a", 1), ("visit", 2), ("doctors", 2), ("any", 2), ("ago", 2), ("the", 1), ("eye", 1), ("area", 3), ("ZIP", 1),
        # the silent e, at the end and inside
        ("please", 1), ("home", 1), ("medicine", 3), ("times", 1), ("something", 2), ("safely", 2), ("careful", 2),
        ("every", 2), ("maybe", 2), ("language", 2), ("movement", 2),
        # the e that is heard
        ("people", 2), ("table", 2), ("nurses", 2), ("messages", 3), ("pages", 2), ("examples", 3), ("element", 3),
        # -ed
        ("called", 1), ("needed", 2), ("wanted", 2), ("confirmed", 2), ("doubled", 2), ("hundred", 2), ("tired", 2),
        # vowels that part
        ("appointment", 3), ("reschedule", 3), ("being", 2), ("going", 2), ("trying", 2), ("quiet", 2), ("fluid", 2),
        ("serious", 3), ("reaction", 3), ("idea", 3), ("diarrhea", 4), ("create", 2), ("treat", 1), ("dear", 1),
        # the apostrophe
        ("nurse's", 2), ("it's", 1), ("didn't", 2), ("haven't", 2), ("don't", 1), ("can't", 1), ("we\u2019ll", 1),
    ],
)  # fmt: skip
def test_english_syllables(word: str, syllables: int) -> None:
    assert english_syllables(word) == syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("cita", 2), ("médico", 3), ("y", 1), ("enfermera", 4), ("emergencia", 4), ("automático", 5),
        # hiatus: two strong vowels, or a stressed weak one
        ("leer", 2), ("día", 2), ("país", 2), ("aún", 2), ("reúne", 3), ("continúe", 4), ("vehículo", 4), ("oído", 3),
        ("ahora", 3), ("albahaca", 4), ("cardiología", 5),
        # diphthong and triphthong, with and without the accent mark
        ("ciudad", 2), ("cuidado", 3), ("huevo", 2), ("después", 2), ("también", 2), ("continuó", 3), ("siéntese", 3),
        ("cambiáis", 2), ("Uruguay", 3), ("seis", 1), ("causa", 2), ("construir", 2),
        # silent letters: the u of que, qui, gue, gui; h; and the u that is heard
        ("quiero", 2), ("que", 1), ("guerra", 2), ("siguiente", 3), ("hay", 1), ("hoy", 1), ("lingüista", 3),
        ("antigüedad", 4), ("guardia", 2),
        # y as a consonant and as a vowel
        ("ayuda", 3), ("oye", 2), ("estoy", 2), ("muy", 1),
        # an accent written as a sign of its own
        ("di\u0301a", 2),
    ],
)  # fmt: skip
def test_spanish_syllables(word: str, syllables: int) -> None:
    assert spanish_syllables(word) == syllables


LONG = {
    "en": "We will call you back very soon about the test you had at our desk today by noon.",
    "es": "Le vamos a llamar muy pronto para hablar de la prueba que le hicimos hoy antes de las doce en la sala.",
}


def test_the_grade_of_english_follows_flesch_and_kincaid() -> None:
    words, syllables = 18, 21
    assert BARE.grade(LONG["en"], "en") == pytest.approx(0.39 * words + 11.8 * syllables / words - 15.59)


def test_the_grade_of_spanish_follows_fernandez_huerta() -> None:
    words, syllables = 22, 33
    ease = 206.84 - 60 * syllables / words - 1.02 * words
    assert 90 < ease < 100  # "very easy", which is grade 3 to 4
    assert BARE.grade(LONG["es"], "es") == pytest.approx(3 + (100 - ease) / 10)


def test_plain_is_easier_than_official() -> None:
    plain = {
        "en": "Your visit is on Monday. Please bring your pills with you.",
        "es": "Su cita es el lunes. Por favor traiga sus pastillas.",
    }
    official = {
        "en": "Documentation regarding pharmaceutical administration necessitates professional consultation.",
        "es": "La documentación sobre la administración farmacológica requiere consulta profesional especializada.",
    }
    for language in ("en", "es"):
        assert READING.grade(plain[language], language) <= 5
        assert READING.grade(official[language], language) > 10
        assert READING.trouble(plain[language], language) is None
    assert READING.grade("", "en") == READING.grade("{visits}\n911", "en") == 0.0


@pytest.mark.parametrize(
    ("language", "one", "three"),
    [
        ("en", "Please sign at registration.", "Please complete registration documentation immediately."),
        ("es", "Firme en el departamento.", "Complete inmediatamente la documentación administrativa."),
    ],
)
def test_one_long_word_does_not_fail_a_short_text_and_three_do(language: str, one: str, three: str) -> None:
    assert READING.trouble(one, language) is None
    assert READING.trouble(three, language) is not None


def test_a_short_text_with_a_long_sentence_gets_no_room() -> None:
    """The words that are added lengthen no sentence, and shorten none."""
    text = "Bring all of your pills and the card of your plan when you come here to see us"
    assert BARE.grade(text, "en") == pytest.approx(BARE.grade(f"{text}.", "en"))
    assert BARE.grade(text, "en") > BARE.grade(text.replace(" and ", ". And ").replace(" when ", ". When "), "en")


def test_names_parameters_and_numbers_are_not_held_against_a_text() -> None:
    plain = BARE.grade("Your visit with Ana is in Rome at nine.", "en")
    assert BARE.grade("Your visit with Alejandra is in Philadelphia at nine.", "en") == pytest.approx(plain, abs=0.8)
    assert BARE.grade("Your visit with {practitioner} is in {place} at 9:30.", "en") < 4
    assert BARE.grade("Call 1-800-222-1222 now.", "en") == BARE.grade("Call now.", "en")
    # At the start of a sentence a capital names nobody.
    assert BARE.grade("Registration is here.", "en") > BARE.grade("Here is Registration.", "en")


def test_a_line_of_parameters_does_not_make_a_text_easier() -> None:
    assert BARE.grade("Here is what you have coming up:\n{visits}\n- {note}", "en") == BARE.grade(
        "Here is what you have coming up:", "en"
    )


def test_a_title_before_a_name_ends_no_sentence() -> None:
    assert len(BARE.sentences("You will see Dr. Chen at 9. Come early.", "en")) == 2


def test_a_word_that_is_needed_counts_as_easy_and_its_neighbours_do_not() -> None:
    text = "In an emergency, call 911. This is an emergency line for emergencies."
    assert READING.grade(text, "en") < BARE.grade(text, "en")
    assert READING.grade("una emergencia", "es") < BARE.grade("una emergencia", "es")
    hard = "administration authorization documentation"
    assert READING.grade(hard, "en") == BARE.grade(hard, "en")


def test_the_list_of_easy_words_stays_short() -> None:
    """It is for words without which nothing can be said; a long list would make the measure mean nothing."""
    assert all(len(words) <= 15 for words in READING.easy.values())


def test_trouble_names_grade_words_and_length() -> None:
    trouble = READING.trouble(
        "Documentation regarding your appointment necessitates authorization by the insurance representative.", "en"
    )
    assert trouble is not None
    assert f"{LIMIT:g} is the most" in trouble
    assert "plainer words for: documentation, authorization, representative" in trouble.lower()
    assert "appointment" not in trouble


def test_one_long_sentence_is_refused_among_short_ones() -> None:
    long = "We go to the sea and the sun is hot and the day is long and we eat and we sing and we go home."
    assert READING.trouble(f"Come in. Sit down. {long} It is late.", "en") == (
        "has a sentence of 25 words, and 20 is the most; make two of it"
    )


def test_a_bad_table_says_where(tmp_path: Path) -> None:
    path = tmp_path / "reading.yml"
    with pytest.raises(TableError, match=r"reading\.yml:1: the table is missing"):
        load_reading(path)
    path.write_text("words:\n  - en: [insurance]\n    es: []\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"reading\.yml:2: a row lacks 'why'"):
        load_reading(path)
