"""What a message names: each kind with its value and its place, and how well it is found in unseen messages."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from carethread.cli.evaluating import known_intents, read_examples
from carethread.cli.naming import LOOKUPS, entities_of
from carethread.config import PROJECT
from carethread.dialogue.entities import KINDS, read_entities
from carethread.dialogue.entities.names import load_names
from carethread.dialogue.evaluation import Case, Parse, entity_scores
from carethread.dialogue.labelled import Entity

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=ZoneInfo("America/Chicago"))  # a Wednesday
PROOF = PROJECT / "tests" / "data" / "entities.jsonl"


def read(text: str, language: str = "en", **more: list[str]) -> list[tuple[str, str, str | None]]:
    found = read_entities(text, language=language, now=NOW, lookups=LOOKUPS, **more)
    return [(one.kind, text[one.start : one.end], one.value) for one in found]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "see you friday", ("date", "friday", "2026-03-06")),
        ("es", "el viernes", ("date", "el viernes", "2026-03-06")),
        ("en", "sometime next week", ("date", "next week", "2026-03-09/2026-03-15")),
        ("en", "it broke three days ago", ("date", "three days ago", "2026-03-01")),
        ("es", "se rompió hace tres días", ("date", "hace tres días", "2026-03-01")),
        ("es", "así estoy desde hace tres días", ("duration", "desde hace tres días", "P3D")),
        ("en", "for half an hour", ("duration", "half an hour", "PT30M")),
        ("en", "for a few days", ("duration", "a few days", None)),
        ("en", "after 4pm", ("time", "after 4pm", "16:00/..")),
        ("es", "entre las 2 y las 4 de la tarde", ("time", "entre las 2 y las 4 de la tarde", "14:00/16:00")),
        ("en", "born 3/14/62", ("date", "3/14/62", "1962-03-14")),
        ("en", "only before my trip", ("date", "before my trip", None)),
        ("es", "cuando regrese de vacaciones", ("date", "cuando regrese", None)),
        ("en", "bp 150/95", ("quantity", "150/95", "150/95 mm[Hg]")),
        ("en", "temp 101.2", ("quantity", "101.2", "101.2 [degF]")),
        ("es", "temperatura 38.4", ("quantity", "38.4", "38.4 Cel")),
        ("en", "took 500mg", ("quantity", "500mg", "500 mg")),
        ("en", "an 8 out of 10", ("severity", "8 out of 10", "8")),
        ("es", "es insoportable", ("severity", "insoportable", "severe")),
        ("en", "my throat hurts", ("symptom", "throat hurts", "sore_throat")),
        ("es", "la rodiya", ("body_part", "rodiya", "knee")),
        ("en", "a skin doctor", ("specialty", "skin doctor", "dermatology")),
        ("en", "more lisinipril", ("medication", "lisinipril", "lisinopril")),
        ("es", "la aspirina", ("medication", "aspirina", "aspirin")),
        ("en", "with Dr. Ann O'Neil please", ("practitioner", "Dr. Ann O'Neil", "Ann O'Neil")),
        ("es", "con la doctora Gómez", ("practitioner", "doctora Gómez", "Gómez")),
    ],
)  # fmt: skip
def test_each_kind_is_read_with_its_place_and_value(
    language: str, text: str, expected: tuple[str, str, str | None]
) -> None:
    assert expected in read(text, language)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "thank you so much"),
        ("en", "my doctor said no"),
        ("en", "i never ate there"),
        ("es", "me alegra mucho, gracias"),
        ("es", "la doctora de la otra clínica"),
        ("en", ""),
    ],
)
def test_nothing_is_read_into_everyday_words(language: str, text: str) -> None:
    assert read(text, language) == []


def test_a_score_is_no_day_where_something_hurts_and_a_day_elsewhere() -> None:
    assert ("severity", "5/10", "5") in read("my knee is a 5/10")
    assert ("date", "5/10", "2026-05-10") in read("can i come 5/10")


def test_a_time_beside_one_day_says_the_moment_with_its_offset() -> None:
    found = read_entities("tomorrow at 3 pm", language="en", now=NOW, lookups=LOOKUPS)
    assert [(one.kind, one.at) for one in found] == [("date", None), ("time", "2026-03-05T15:00:00-06:00")]


def test_the_clinics_own_practitioner_is_meant_where_one_fits() -> None:
    known = ["Dr. Anita Patel", "Luis Gómez", "Rosa Gómez"]
    assert ("practitioner", "dr patel", "Dr. Anita Patel") in read("dr patel please", practitioners=known)
    assert ("practitioner", "dr gomez", "gomez") in read("dr gomez please", practitioners=known)


def test_now_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        read_entities("today", language="en", now=NOW.replace(tzinfo=None), lookups=LOOKUPS)


def test_what_must_be_asked_says_so_in_json() -> None:
    (found,) = entities_of("before my trip", "en", NOW)
    assert found == {"entity": "date", "start": 0, "end": 14, "value": None, "ask": True}


def test_a_name_that_only_the_model_knows_is_kept() -> None:
    gadget = {"entity": "gadget", "start": 3, "end": 9, "value": "walker", "extra": 1}
    knee = {"entity": "body_part", "start": 13, "end": 17, "value": "other"}
    found = entities_of("my walker or knee", "en", NOW, [gadget, knee])
    assert [(one["entity"], one["value"]) for one in found] == [("gadget", "walker"), ("body_part", "knee")]


def test_every_name_of_the_lookups_is_known() -> None:
    kinds = Counter(kind for kind, _ in load_names(LOOKUPS).phrases.values())
    assert set(kinds) <= set(KINDS)
    assert kinds["medication"] >= 400
    assert min(kinds.values()) >= 4


def test_the_proof_is_large_enough_and_each_kind_is_found() -> None:
    examples = read_examples([Path(PROOF)], known_intents(PROJECT / "domain.yml"))
    assert len(examples) >= 200
    assert sum(one.language == "es" for one in examples) >= len(examples) / 2
    assert sum(one.noise != "clean" for one in examples) >= len(examples) / 3
    cases = []
    for one in examples:
        assert one.now is not None
        read_here = entities_of(one.text, one.language or "en", one.now)
        found = tuple(Entity(each["entity"], each["value"]) for each in read_here)
        cases.append(Case(one, Parse("greet", (), found)))
    scores = {score.name: score for score in entity_scores(cases)}
    assert set(scores) == set(KINDS)
    assert {name: score.f1 for name, score in scores.items() if (score.f1 or 0) < 0.9} == {}
