"""Loads `content/safety/triage/`, refusing what cannot work with file, line and mend."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, cast

from carethread.safety.tables import LANGUAGES, Entry, Fields, TableError, read_table
from carethread.safety.triage import (
    DISPOSITIONS,
    KINDS,
    MAX_QUESTIONS,
    OTHER,
    UNSURE,
    Complaint,
    Condition,
    Fact,
    Kind,
    Range,
    Rule,
    TriageTable,
    Unsure,
    askable,
)
from carethread.safety.triage_words import About, Phrase, Words, phrase_of

FACTS: Final = "facts.yml"
QUESTION: Final = "utter_triage_"
_UNSURE: Final = ("yes", "no", "unknown")
_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "duration": {"h": 1, "d": 24, "w": 168, "mo": 730},
    "age": {"w": 1 / 52.18, "mo": 1 / 12, "y": 1},
}
_EXAMPLES: Final[Mapping[str, str]] = {"duration": "12h-3d or 2w-", "age": "0-3mo or 65y-"}
_RANGE: Final = re.compile(r"(\d+(?:\.\d+)?)([a-z]*)-(?:(\d+(?:\.\d+)?)([a-z]*))?")


def load_triage(folder: Path, questions: Collection[str] | None = None) -> TriageTable:
    """Load facts and complaints; raise `TableError` for a bad one. `questions` are the content keys that exist."""
    head = read_table(folder / FACTS).fields(
        "the facts",
        required=("facts", "negators", "breakers", "spelling", "about", "age_units"),
        optional=(
            "cannot",
            "no_puede",
            "age_before",
            "age_after",
            "age_third",
            "age_mine",
            "age_verbs",
            "temperature_marks",
        ),
    )
    spelling = {key: entry.text(key) for key, entry in head["spelling"].fields("spelling").values.items()}
    phrases: list[Phrase] = []
    facts = _facts(head, spelling, phrases, questions)
    yes_no = {fact.id for fact in facts.values() if fact.kind == "yes_no"}
    complaints, named = _complaints(folder, facts, spelling)
    words = Words(
        spelling=spelling,
        negators=frozenset(head.texts("negators")),
        breakers=frozenset(head.texts("breakers")),
        cannot=frozenset(head.texts("cannot")),
        no_puede=frozenset(head.texts("no_puede")),
        facts=tuple(phrase for phrase in phrases if phrase.id in yes_no),
        numbers=tuple(phrase for phrase in phrases if phrase.id not in yes_no),
        complaints=tuple(named),
        about=tuple(_about(entry, spelling) for entry in head.items("about")),
        age_units={key: tuple(entry.texts(key)) for key, entry in head["age_units"].fields("age_units").values.items()},
        age_before=frozenset(head.texts("age_before")),
        age_after=frozenset(head.texts("age_after")),
        age_third=frozenset(head.texts("age_third")),
        age_mine=frozenset(head.texts("age_mine")),
        age_verbs=frozenset(head.texts("age_verbs")),
        temperature_marks=frozenset(head.texts("temperature_marks")),
    )
    table = TriageTable(facts, complaints, words)
    for name, complaint in complaints.items():
        if len(asked := askable(complaint, table)) > MAX_QUESTIONS:
            path = folder / f"{name}.yml"
            raise TableError(
                f"{path}:1: may ask {len(asked)} questions ({', '.join(sorted(asked))}), and at most {MAX_QUESTIONS} "
                "are asked; drop what separates least"
            )
    return table


# Facts


def _facts(
    head: Fields, spelling: Mapping[str, str], phrases: list[Phrase], questions: Collection[str] | None
) -> dict[str, Fact]:
    entries = head.items("facts")
    kinds: dict[str, tuple[Kind, tuple[str, ...]]] = {}
    rows: list[Fields] = []
    for entry in entries:
        row = entry.fields(
            "a fact",
            required=("id", "kind", "name"),
            optional=(
                "ask", "unsure", "chart", "from", "only", "choices", "low", "high", "en", "es", "not_en", "not_es",
            ),
        )  # fmt: skip
        name, kind = row["id"].text("id"), row["kind"].text("kind")
        if name in kinds:
            raise row["id"].fail(f"fact '{name}' stands twice; rename one")
        if kind not in KINDS:
            raise row["kind"].fail(f"kind '{kind}' is not known (kinds: {', '.join(KINDS)})")
        kinds[name] = kind, tuple(row.texts("choices"))
        rows.append(row)
    found = {}
    for row in rows:
        fact = _fact(row, kinds, questions)
        found[fact.id] = fact
        for code in LANGUAGES:
            for says, key in ((True, code), (False, f"not_{code}")):
                phrases += [Phrase(fact.id, _words(item, spelling), says) for item in row.items(key)]
        known = fact.question or fact.chart or fact.derived or row.get("en") or row.get("es")
        if not known:
            raise row["id"].fail(f"fact '{fact.id}' can never be known; give it words, a chart fact, or a question")
    return found


def _fact(row: Fields, kinds: Mapping[str, tuple[Kind, tuple[str, ...]]], questions: Collection[str] | None) -> Fact:
    name, kind = row["id"].text("id"), cast(Kind, row["kind"].text("kind"))
    ask, unsure = row.get("ask"), row.get("unsure")
    question: str | None = None
    if ask is not None:
        question = f"{QUESTION}{name}" if ask.text("ask") == "yes" else ask.text("ask")
        if questions is not None and question not in questions:
            raise ask.fail(f"fact '{name}' is asked by '{question}', which content/messages does not have; write it")
        if kind == "yes_no" and unsure is None:
            raise ask.fail(
                f"fact '{name}' is asked and lacks 'unsure'; say what not knowing counts as (yes, no, unknown)"
            )
    if unsure is not None and unsure.text("unsure") not in _UNSURE:
        raise unsure.fail(f"unsure must be one of {', '.join(_UNSURE)}")
    derived = tuple(
        _condition(key, entry, kinds)
        for key, entry in (row["from"].fields("from").values.items() if row.get("from") else ())
    )
    only = tuple(
        _condition(key, entry, kinds)
        for key, entry in (row["only"].fields("only").values.items() if row.get("only") else ())
    )
    if (derived or only) and kind != "yes_no":
        raise row["id"].fail(f"fact '{name}' is no yes_no, so 'from' and 'only' mean nothing; remove them")
    return Fact(
        id=name,
        kind=kind,
        name=row["name"].text("name"),
        question=question,
        unsure=cast(Unsure, unsure.text("unsure")) if unsure is not None else "unknown",
        chart=tuple(row.texts("chart")),
        derived=derived,
        only=only,
        choices=kinds[name][1],
        low=float(row["low"].number("low")) if row.get("low") else -math.inf,
        high=float(row["high"].number("high")) if row.get("high") else math.inf,
    )


def _about(entry: Entry, spelling: Mapping[str, str]) -> About:
    row = entry.fields("somebody", required=("id", "child"), optional=("sex", *LANGUAGES))
    sex = row.get("sex")
    return About(
        id=row["id"].text("id"),
        child=row["child"].text("child") == "yes",
        sex=sex.text("sex") if sex is not None else None,
        phrases=tuple(_words(item, spelling) for code in LANGUAGES for item in row.items(code)),
    )


# Complaints


def _complaints(
    folder: Path, facts: Mapping[str, Fact], spelling: Mapping[str, str]
) -> tuple[dict[str, Complaint], list[Phrase]]:
    kinds = {name: (fact.kind, fact.choices) for name, fact in facts.items()}
    found: dict[str, Complaint] = {}
    named: list[Phrase] = []
    owner: dict[tuple[str, ...], str] = {}
    for path in sorted(folder.glob("*.yml")):
        if path.name == FACTS:
            continue
        file = read_table(path).fields("a complaint", required=("id", "name", "rules"), optional=LANGUAGES)
        name = file["id"].text("id")
        if name != path.stem:
            raise file["id"].fail(f"id '{name}' is not the name of the file; call the file {name}.yml or mend the id")
        if name != OTHER:
            for code in LANGUAGES:
                if code not in file.values:
                    raise file.entry.fail(f"complaint '{name}' lacks '{code}'; add how patients say it")
        for item in (item for code in LANGUAGES for item in file.items(code)):
            words = _words(item, spelling)
            if owner.setdefault(words, name) != name:
                raise item.fail(f"'{item.value}' already means '{owner[words]}'; keep it in one of the two")
            named.append(Phrase(name, words, True))
        names = file["name"].fields("name", required=LANGUAGES)
        rules = _rules(file, name, kinds)
        found[name] = Complaint(name, {code: names[code].text(code) for code in LANGUAGES}, rules)
    if OTHER not in found:
        raise TableError(f"{folder / f'{OTHER}.yml'}:1: the table is missing; restore it from the repository")
    return found, named


def _rules(file: Fields, complaint: str, kinds: Mapping[str, tuple[Kind, tuple[str, ...]]]) -> tuple[Rule, ...]:
    rules: list[Rule] = []
    entries = file.items("rules")
    for entry in entries:
        rule = _rule(entry, complaint, kinds)
        for before in rules:
            if before.id == rule.id:
                raise entry.fail(f"rule '{rule.id}' stands twice; rename one")
            if all(any(b.covers(c) for c in rule.when) for b in before.when):
                raise entry.fail(f"rule '{rule.id}' is never reached: '{before.id}' above fits whenever it does")
        if rules and DISPOSITIONS.index(rule.level) < DISPOSITIONS.index(rules[-1].level):
            raise entry.fail(f"rule '{rule.id}' is more urgent than the one above; the most urgent stand first")
        rules.append(rule)
    if not rules or rules[-1].when:
        raise file["rules"].fail("the last rule must fit everything; add one without 'when'")
    return tuple(rules)


def _rule(entry: Entry, complaint: str, kinds: Mapping[str, tuple[Kind, tuple[str, ...]]]) -> Rule:
    row = entry.fields("a rule", required=("id", "level", "reason", "source"), optional=("when", "unknown", "tells"))
    level = row["level"].text("level")
    if level not in DISPOSITIONS:
        raise row["level"].fail(f"level '{level}' is not known (levels: {', '.join(DISPOSITIONS)})")
    unknown, tells, when = row.get("unknown"), row.get("tells"), row.get("when")
    if unknown is not None and unknown.text("unknown") != "fits":
        raise unknown.fail("unknown can only be 'fits'; remove the line otherwise")
    if tells is not None and tells.text("tells") != "crisis":
        raise tells.fail("tells can only be 'crisis'; remove the line otherwise")
    conditions = when.fields("when").values.items() if when is not None else ()
    return Rule(
        id=row["id"].text("id"),
        complaint=complaint,
        when=tuple(_condition(key, item, kinds) for key, item in conditions),
        level=level,
        reason=row["reason"].text("reason"),
        source=row["source"].text("source"),
        unknown_fits=unknown is not None,
        tells="crisis" if tells is not None else None,
    )


def _condition(key: str, entry: Entry, kinds: Mapping[str, tuple[Kind, tuple[str, ...]]]) -> Condition:
    if key not in kinds:
        raise entry.fail(f"fact '{key}' is not in {FACTS}; add it there or mend the name")
    kind, choices = kinds[key]
    if isinstance(entry.value, list):
        wanted, asks = entry.texts(key), True
    else:
        text = entry.text(key)
        wanted, asks = [text.removesuffix("?")], not text.endswith("?")
    if kind == "yes_no":
        if wanted != ["yes"]:
            raise entry.fail(f"'{key}' can only be 'yes' here: facts are worded so that yes is the worse answer")
        return Condition(key, True, asks)
    if kind == "choice":
        for choice in wanted:
            if choice not in choices or choice == UNSURE:
                raise entry.fail(f"'{choice}' is no choice of '{key}' (choices: {', '.join(choices)})")
        return Condition(key, frozenset(wanted), asks)
    return Condition(key, _range(key, kind, wanted[0], entry), asks)


def _range(key: str, kind: Kind, text: str, entry: Entry) -> Range:
    found = _RANGE.fullmatch(text)
    units = {"": 1.0, **_UNITS.get(kind, {})}
    if not found or found[2] not in units or (found[4] or "") not in units:
        raise entry.fail(f"{key} is {text!r}, not a range; write for example {_EXAMPLES.get(kind, '3-5 or 8-')}")
    low = float(found[1]) * units[found[2]]
    high = math.inf if found[3] is None else float(found[3]) * units[found[4] or ""]
    if high < low:
        raise entry.fail(f"{key} is {text!r}, which ends before it begins; turn it round")
    # "0-3mo" and "3mo-3y" are next to each other: an age ends just below.
    return Range(low, high, open=kind == "age")


def _words(item: Entry, spelling: Mapping[str, str]) -> tuple[str, ...]:
    words = phrase_of(item.text("a word"), spelling)
    if not any(word != "*" for word in words) or words[0] == "*" or words[-1] == "*":
        raise item.fail("this entry holds no word at its ends; write one or remove it")
    return words
