"""Triage tables that cannot work are refused with file, line and mend; and what the words of the tables hear."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from carethread.config import PROJECT
from carethread.safety.tables import TableError
from carethread.safety.triage import TriageTable
from carethread.safety.triage_loading import load_triage
from carethread.safety.triage_words import age_said, complaints_of, mentions, numbers_said, temperature_said

FOLDER = PROJECT / "content" / "safety" / "triage"
TABLE = load_triage(FOLDER)
FACTS = """
spelling: {dont: do not}
negators: [no, sin]
breakers: [but]
age_units: {year: [years]}
about: []
facts:
  - {id: fever, kind: yes_no, name: Fever, ask: yes, unsure: no, en: [fever], es: [fiebre]}
  - {id: age, kind: age, name: Age, ask: yes}
  - {id: severity, kind: severity, name: How bad, ask: yes}
  - {id: sex, kind: choice, name: Sex, choices: [female, male], chart: [sex]}
"""
COUGH = """id: cough
name: {en: Cough, es: Tos}
en: [cough]
es: [tos]
rules:
  - {id: hot, when: {fever: yes}, level: today, reason: r, source: s}
  - {id: rest, level: self_care, reason: r, source: s}
"""
OTHER = """id: other
name: {en: Other, es: Otra}
rules:
  - {id: rest, level: within_3_days, reason: r, source: s}
"""


def load(folder: Path, *, facts: str = FACTS, cough: str = COUGH, other: str | None = OTHER) -> TriageTable:
    (folder / "facts.yml").write_text(facts, encoding="utf-8")
    (folder / "cough.yml").write_text(cough, encoding="utf-8")
    if other is not None:
        (folder / "other.yml").write_text(other, encoding="utf-8")
    return load_triage(folder, {"utter_triage_fever", "utter_triage_age", "utter_triage_severity"})


def test_the_small_table_itself_works(tmp_path: Path) -> None:
    assert set(load(tmp_path).complaints) == {"cough", "other"}


HOT = "{id: hot, when: {fever: yes}, level: today, reason: r, source: s}"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{fever: yes}", "{fevre: yes}", r"cough\.yml:6: fact 'fevre' is not in facts\.yml"),
        ("{fever: yes}", "{fever: no}", r"cough\.yml:6: 'fever' can only be 'yes' here"),
        ("{fever: yes}", "{severity: bad}", r"cough\.yml:6: severity is 'bad', not a range"),
        ("{fever: yes}", "{age: 3mo-}", None),
        ("{fever: yes}", "{age: 3x-}", r"cough\.yml:6: age is '3x-', not a range; write for example 0-3mo"),
        ("{fever: yes}", "{age: 9-3}", r"cough\.yml:6: age is '9-3', which ends before it begins"),
        ("{fever: yes}", "{sex: unsure}", r"cough\.yml:6: 'unsure' is no choice of 'sex'"),
        ("level: today", "level: soon", r"cough\.yml:6: level 'soon' is not known"),
        ("level: self_care", "level: emergency_now", r"cough\.yml:7: rule 'rest' is more urgent than the one above"),
        (
            "id: rest, level",
            "id: rest, when: {severity: 2-}, level",
            r"cough\.yml:6: the last rule must fit everything",
        ),
        (HOT, HOT.replace("when: {fever: yes}, ", ""), r"cough\.yml:7: rule 'rest' is never reached: 'hot' above"),
        (
            HOT,
            f"{HOT}\n  - {{id: hotter, when: {{fever: yes, severity: 8-}}, level: today, reason: r, source: s}}",
            r"cough\.yml:7: rule 'hotter' is never reached: 'hot' above fits whenever it does",
        ),
        ("id: rest", "id: hot", r"cough\.yml:7: rule 'hot' stands twice"),
        ("reason: r, source: s}\n  - {id: rest", "reason: r}\n  - {id: rest", r"cough\.yml:6: a rule lacks 'source'"),
        ("id: cough", "id: caugh", r"cough\.yml:1: id 'caugh' is not the name of the file"),
        ("es: [tos]\n", "", r"cough\.yml:1: complaint 'cough' lacks 'es'"),
        ("level: today", "level: today, unknown: maybe", r"cough\.yml:6: unknown can only be 'fits'"),
        ("level: today", "level: today, tells: all", r"cough\.yml:6: tells can only be 'crisis'"),
        ("en: [cough]", "en: ['*']", r"cough\.yml:3: this entry holds no word at its ends"),
    ],
)
def test_a_bad_complaint_says_where(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    assert old in COUGH
    if says is None:
        load(tmp_path, cough=COUGH.replace(old, new, 1))
        return
    with pytest.raises(TableError, match=says):
        load(tmp_path, cough=COUGH.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: severity", "kind: pain", r"facts\.yml:10: kind 'pain' is not known"),
        ("id: age", "id: fever", r"facts\.yml:9: fact 'fever' stands twice"),
        ("unsure: no, ", "", r"facts\.yml:8: fact 'fever' is asked and lacks 'unsure'"),
        ("unsure: no, ", "unsure: often, ", r"facts\.yml:8: unsure must be one of yes, no, unknown"),
        ("id: fever, kind: yes_no, name: Fever, ask: yes", "id: fever, kind: yes_no, name: Fever, ask: utter_x",
         r"facts\.yml:8: fact 'fever' is asked by 'utter_x', which content/messages does not have"),
        (", chart: [sex]", "", r"facts\.yml:11: fact 'sex' can never be known"),
        ("name: Age, ask: yes", "name: Age, ask: yes, only: {sex: male}", r"facts\.yml:9: fact 'age' is no yes_no"),
        ("en: [fever]", "en: [fever], only: {sects: male}", r"facts\.yml:8: fact 'sects' is not in facts\.yml"),
        ("negators: [no, sin]\n", "", r"facts\.yml:2: the facts lacks 'negators'"),
    ],
)  # fmt: skip
def test_bad_facts_say_where(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FACTS
    with pytest.raises(TableError, match=says):
        load(tmp_path, facts=FACTS.replace(old, new, 1))


def test_a_word_of_two_complaints_is_refused(tmp_path: Path) -> None:
    other = OTHER.replace("rules:", "en: [the cough, cough]\nrules:")
    with pytest.raises(TableError, match=r"other\.yml:3: 'cough' already means 'cough'"):
        load(tmp_path, other=other)


def test_too_many_questions_are_refused(tmp_path: Path) -> None:
    more = "".join(f"  - {{id: f{n}, kind: yes_no, name: F, ask: utter_triage_fever, unsure: no}}\n" for n in range(9))
    rules = "".join(f"  - {{id: r{n}, when: {{f{n}: yes}}, level: today, reason: r, source: s}}\n" for n in range(9))
    with pytest.raises(TableError, match=r"cough\.yml:1: may ask 9 questions \(f0, .*at most 8"):
        load(tmp_path, facts=FACTS + more, cough=COUGH.replace(f"  - {HOT}\n", rules))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"facts\.yml:1: the table is missing"):
        load_triage(tmp_path)
    with pytest.raises(TableError, match=r"other\.yml:1: the table is missing"):
        load(tmp_path, other=None)


def test_every_file_as_it_is_refuses_a_fact_nobody_knows(tmp_path: Path) -> None:
    """An unknown name is found in the file that has it."""
    for path in (FOLDER / f"{name}.yml" for name in ("back_pain", "wound", "other")):
        folder = tmp_path / path.stem
        shutil.copytree(FOLDER, folder)
        text = path.read_text("utf-8")
        (folder / path.name).write_text(re.sub(r"when: \{\w+:", "when: {no_such_fact:", text, count=1), "utf-8")
        with pytest.raises(TableError, match=rf"{path.name}:\d+: fact 'no_such_fact'"):
            load_triage(folder)


# --- words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("I have a sore throat", ("sore_throat",)),
        ("me duele la garganta", ("sore_throat",)),
        ("a sore on my lip", ("rash",)),
        ("my left leg is swollen and I'm dizzy", ("leg_swelling", "dizziness")),
        ("swelling in my leg", ("leg_swelling",)),
        ("hedache since monday", ("headache",)),
        ("garganra inflamada desde ayer", ("sore_throat",)),
        ("fever and cough", ("fever", "cough")),
        ("no fever, just a cough", ("cough",)),
        ("tos sin fiebre", ("cough",)),
        ("it burns when I pee", ("urinary",)),
        ("my baby won't stop crying", ("crying_baby",)),
        ("I hit my head on a shelf", ("head_injury",)),
        ("something odd with my nail", ("other",)),
        ("", ("other",)),
    ],
)
def test_complaints_in_a_message(text: str, complaints: tuple[str, ...]) -> None:
    assert complaints_of(text, TABLE) == complaints


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("I have a fever", {"fever": True}),
        ("no fever", {"fever": False}),
        ("I don't have a fever", {"fever": False}),
        ("I don't really have any fever", {"fever": False}),
        ("no I do have a fever", {"fever": True}),
        ("no, I have a fever", {"fever": True}),
        ("sin fiebre", {"fever": False}),
        ("no tengo fiebre pero sí cuello tieso", {"fever": False, "stiff_neck": True}),
        ("ni fiebre ni vómito", {"fever": False, "vomiting": False}),
        ("no fever but I'm throwing up", {"fever": False, "vomiting": True}),
        ("no fever now, but a fever last night", {"fever": True}),
        ("I can't keep anything down", {"cannot_keep_fluids_down": True}),
        ("no puedo respirar", {"hard_breathing": True, "breathless_at_rest": True}),
        ("blood in my stool", {"gut_blood": True}),
        ("there is some blood in the poop", {"gut_blood": True}),
        ("blood. In my stool nothing", {}),
        ("my temperature is normal", {"fever": False}),
        ("My neck is stiff!!", {"stiff_neck": True}),
        ("tomo warfarina", {"blood_thinner": True}),
        ("hello there", {}),
    ],
)
def test_facts_in_a_message(text: str, facts: dict[str, bool]) -> None:
    assert dict(mentions(text, TABLE).facts) == facts


@pytest.mark.parametrize(
    ("text", "who", "child"),
    [
        ("my son has a fever", "son", True),
        ("mi hija tiene tos", "daughter", True),
        ("my husband fell", "man", False),
        ("mi mamá está mareada", "woman", False),
        ("I have a fever", None, None),
    ],
)
def test_who_a_message_is_about(text: str, who: str | None, child: bool | None) -> None:
    about = mentions(text, TABLE).about
    assert (about.id if about else None, about.child if about else None) == (who, child)


@pytest.mark.parametrize(
    ("text", "years"),
    [
        ("my 2 year old has a cough", 2),
        ("my 6-month-old is hot", 0.5),
        ("mi hijo de 3 años tiene tos", 3),
        ("tiene 3 meses", 0.25),
        ("she is 45 years old", 45),
        ("I have had it for 3 years", None),
        ("tengo 3 días con tos", None),
        ("estoy embarazada de 20 semanas", None),
        ("tos de 3 semanas", None),
        ("mi hija tiene tos de 2 semanas", None),
        ("a 3 week old rash", None),
        ("my 3 week old incision is red", None),
        ("she is 3 weeks old", 0.057),
        ("my baby is 3 weeks old", 0.057),
        ("2 weeks", None),
    ],
)
def test_ages_in_a_message(text: str, years: float | None) -> None:
    found = age_said(text, TABLE)
    assert (found[0] if found else None) == years


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("fever of 102", 102.0),
        ("temp 101.3 F", 101.3),
        ("fiebre de 38.9", 102.0),
        ("38,5 grados", 101.3),
        ("39°C", 102.2),
        ("his temperature was 104", 104.0),
        ("room 102", None),
        ("fever for 3 days", None),
        ("fever of 300", None),
        ("39 weeks pregnant", None),
    ],
)
def test_temperatures_in_a_message(text: str, degrees: float | None) -> None:
    assert temperature_said(text, TABLE) == degrees


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("my sugar is 310", {"blood_sugar": 310}),
        ("180/95 blood pressure", {"systolic": 180}),
        ("presión 150 sobre 90", {"systolic": 150}),
        ("azúcar en 55", {"blood_sugar": 55}),
        ("oxygen 89", {"oxygen": 89}),
        ("my sugar is high", {}),
        ("sugar 5000", {}),
    ],
)
def test_measures_in_a_message(text: str, numbers: dict[str, float]) -> None:
    assert numbers_said(text, TABLE) == numbers
