"""Patients' answers beside what a careful nurse writes down (`tests/data/answers`): how each is taken.

Run as `python -m tests.answer_proof` for the figures; the texts themselves are shown to nobody who works on the rules.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from carethread.bootstrap import meaning
from carethread.questionnaires import Input, Questionnaire, answer, load, start
from carethread.questionnaires.events import Answered, AskedBack, Event, Postponed, Restarted, Skipped, WentBack
from carethread.questionnaires.meaning_training import item_resource
from carethread.questionnaires.values import Amount, Coding
from carethread.yamls import parse

SET = Path(__file__).parent / "data" / "answers"
NOW = datetime(2026, 11, 30, 10, 0, tzinfo=ZoneInfo("America/Chicago"))

_BEFORE = {"linkId": "before", "type": "boolean", "text": "Shall we begin?"}
_HL7 = "http://hl7.org/fhir/StructureDefinition/"
# exact: the nurse's value, or asked back where she would; asked: asked back for nothing; wrong: another value.
Outcome = Literal["exact", "asked", "wrong"]


@dataclass(frozen=True, slots=True)
class Row:
    item: str
    language: str
    noisy: bool
    text: str
    value: Any


@cache
def rows() -> tuple[Row, ...]:
    """All but the requests for a human: those are heard before any questionnaire is."""
    lines = (SET / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    found = [Row(**json.loads(line)) for line in lines]
    return tuple(row for row in found if row.value != {"request": "human"})


@cache
def forms() -> dict[str, Questionnaire]:
    """A questionnaire of one question for each item, behind one to go back to."""
    items = parse((SET / "items.yml").read_text(encoding="utf-8"))
    return {
        raw["id"]: load({"resourceType": "Questionnaire", "status": "active", "item": [_BEFORE, _item(raw)]})
        for raw in items
    }


@cache
def types() -> dict[str, str]:
    return {raw["id"]: raw["type"] for raw in parse((SET / "items.yml").read_text(encoding="utf-8"))}


def taken(row: Row) -> Any:
    """What the engine makes of the text: the value as the set writes it, {"request": …} or {"ask": True}."""
    form = forms()[row.item]
    first = start(form, language=row.language, now=NOW)
    asked = answer(form, first.session, Input("", row.language, "m0", NOW, selected="true"))
    step = answer(form, asked.session, Input(row.text, row.language, "m1", NOW), meaning=meaning())
    given = step.session.of(row.item)
    if given is None or not given.values:
        return next((request for event in step.events for request in _request(event)), {"ask": True})
    kept = [_plain(value.value, value.kind) for value in given.values]
    kind = types()[row.item]
    if kind == "open-choice" and given.values[0].kind == "String":
        return {"other": kept[0]}
    return kept if kind in ("choice", "open-choice") else kept[0]


def outcome(row: Row) -> Outcome:
    got = taken(row)
    if _same(row, got):
        return "exact"
    # The question still waits, or nothing but the patient's own words is kept.
    unread = got == {"ask": True} or (isinstance(got, dict) and ("other" in got or got.get("request") in _ASIDES))
    left_out = isinstance(got, dict) and isinstance(row.value, dict) and {"request"} == set(got) == set(row.value)
    return "asked" if unread or left_out else "wrong"


def figures(some: Iterable[Row]) -> tuple[int, float, float]:
    """How many, the share that is exact, and the share that is wrong."""
    counted = Counter(map(outcome, some))
    total = counted.total()
    return total, counted["exact"] / total, counted["wrong"] / total


_ASIDES = ("repeat", "why", "what", "back", "restart", "later")  # after these the question still waits


def _same(row: Row, got: Any) -> bool:
    want = row.value
    if isinstance(want, dict) and "other" in want:
        return isinstance(got, dict) and _loose(want["other"]) in _loose(str(got.get("other", "")))
    if isinstance(want, list):
        return (isinstance(got, list) and sorted(want) == sorted(got)) or (not want and got == {"request": "nothing"})
    if isinstance(want, dict) and "unit" in want:
        return isinstance(got, dict) and got.get("unit") == want["unit"] and abs(got["value"] - want["value"]) <= 0.051
    if isinstance(want, int | float) and not isinstance(want, bool):
        return isinstance(got, int | float) and not isinstance(got, bool) and float(got) == float(want)
    return bool(want == got and type(want) is type(got))


def _loose(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())


def _request(event: Event) -> Iterator[dict[str, Any]]:
    match event:
        case Skipped(why=why) if why in ("skip", "decline", "dont_know", "nothing"):
            yield {"request": why}
        case AskedBack(request=request):
            yield {"request": request}
        case WentBack():
            yield {"request": "back"}
        case Restarted():
            yield {"request": "restart"}
        case Postponed():
            yield {"request": "later"}
        case Answered():
            return


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, Coding):
        return value.code
    if isinstance(value, Amount):
        return {"value": float(value.value), "unit": value.code or value.unit}
    if isinstance(value, Decimal):
        return float(value)
    if kind == "DateTime":
        return str(value)[:16]
    if kind == "Time":
        return str(value)[:5]
    return value


def _item(raw: dict[str, Any]) -> dict[str, Any]:
    kind = {"integer": "valueInteger", "decimal": "valueDecimal"}.get(raw["type"])
    limits = [("minValue", raw.get("min")), ("maxValue", raw.get("max"))]
    extensions = [{"url": _HL7 + name, kind: limit} for name, limit in limits if kind and limit is not None]
    units = [
        {"system": "http://unitsofmeasure.org", "code": unit["code"], "display": unit["en"]}
        for unit in raw.get("units", ())
    ]
    extensions += [{"url": _HL7 + "questionnaire-unitOption", "valueCoding": unit} for unit in units]
    return item_resource(raw) | ({"extension": extensions} if extensions else {})


def main() -> None:
    kinds = types()
    slices = {
        "all": list(rows()),
        **{language: [row for row in rows() if row.language == language] for language in ("en", "es")},
        "noisy": [row for row in rows() if row.noisy],
        **{kind: [row for row in rows() if kinds[row.item] == kind] for kind in sorted(set(kinds.values()))},
        "requests": [row for row in rows() if isinstance(row.value, dict) and "request" in row.value],
        "to be asked again": [row for row in rows() if row.value == {"ask": True}],
    }
    for name, some in slices.items():
        total, exact, wrong = figures(some)
        print(f"{name:20} {total:5d}  exact {exact:6.1%}  wrong {wrong:6.1%}")


if __name__ == "__main__":
    main()
