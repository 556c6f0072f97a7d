"""Specialties, doctors and visits in the words that patients use."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.clinic import load_clinic
from carethread.scheduling.lay import names_person, plain, specialties_in, specialty_of, table

CLINIC = load_clinic(Path(__file__).parents[2] / "clinics" / "riverbend" / "clinic.yml")
FAMILY, HEART, BONES = "family-medicine", "cardiology", "orthopedics"
SUGAR, WOMEN, SKIN = "endocrinology", "obstetrics-gynecology", "dermatology"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("cardiology", HEART),
        ("I need to see a heart doctor", HEART),
        ("the cardiologyst please", HEART),
        ("quiero ver al doctor del corazón", HEART),
        ("una cita con el cardiólogo", HEART),
        ("skin doctor", SKIN),
        ("I have a weird mole", SKIN),
        ("dermatóloga", SKIN),
        ("algo de la piel", SKIN),
        ("una ginecóloga", WOMEN),
        ("obgyn", WOMEN),
        ("ob/gyn appt", WOMEN),
        ("women's health", WOMEN),
        ("I'm pregnant", WOMEN),
        ("estoy embarazada", WOMEN),
        ("huesos", BONES),
        ("my knee hurts, bone doctor?", BONES),
        ("me duele la rodilla", BONES),
        ("ortopedista", BONES),
        ("sugar doctor", SUGAR),
        ("para el azúcar", SUGAR),
        ("diabetes", SUGAR),
        ("tiroides", SUGAR),
        ("endocrinologist", SUGAR),
        ("my regular doctor", FAMILY),
        ("médico de cabecera", FAMILY),
        ("a check-up", FAMILY),
        ("un chequeo general", FAMILY),
        ("pediatra para mi hijo", FAMILY),
        ("Obstetricia y Ginecología", WOMEN),
    ],
)
def test_a_specialty_in_lay_words(said: str, code: str) -> None:
    assert specialty_of(said, CLINIC.specialties) == code


@pytest.mark.parametrize(
    "said", ["", "hello", "tomorrow at 9", "the doctor", "doctora", "el martes por la tarde", "🙂"]
)
def test_words_that_name_no_specialty(said: str) -> None:
    assert specialty_of(said, CLINIC.specialties) is None


def test_two_specialties_are_both_heard_and_neither_is_guessed() -> None:
    assert specialties_in("heart or maybe skin", CLINIC.specialties) == (HEART, SKIN)
    assert specialty_of("heart or maybe skin", CLINIC.specialties) is None


def test_a_specialty_the_clinic_lacks_is_not_named() -> None:
    without = [s for s in CLINIC.specialties if s.code != HEART]
    assert specialty_of("heart doctor", without) is None


def test_every_specialty_of_the_demo_clinic_has_words_in_both_languages() -> None:
    lay = table()["specialties"]
    for specialty in CLINIC.specialties:
        assert {"en", "es"} <= set(lay[specialty.code])


def test_no_phrase_belongs_to_two_specialties() -> None:
    owners: dict[str, str] = {}
    for code, by_language in table()["specialties"].items():
        for phrase in (p for phrases in by_language.values() for p in phrases):
            assert owners.setdefault(plain(phrase), code) == code, phrase


@pytest.mark.parametrize(
    ("said", "name", "fits"),
    [
        ("dr chen", "Dr. Grace Chen", True),
        ("Chen", "Dr. Grace Chen", True),
        ("with grace chen please", "Dr. Grace Chen", True),
        ("dr. grace", "Dr. Grace Chen", True),
        ("grace", "Dr. Grace Chen", False),
        ("dr cheng", "Dr. Grace Chen", False),
        ("la doctora Alvarez", "Dr. Tomás Álvarez", True),
        ("alvares", "Dr. Tomás Álvarez", True),
        ("doctor oneill", "Dr. Fiona O'Neill", True),
        ("dr lindkvist", "Dr. Karin Lindqvist", True),
        ("dr. brookes", "Dr. Marcus Brooks", True),
        ("I read books", "Dr. Marcus Brooks", False),
        ("doctor", "Dr. Marcus Brooks", False),
        ("", "Dr. Marcus Brooks", False),
    ],
)
def test_a_doctor_by_name(said: str, name: str, fits: bool) -> None:
    assert names_person(plain(said), name) is fits
