"""The language of the rules, the mending of typing mistakes, and what is refused when a table is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from carethread.safety.patterns import Form, PatternError, Words, as_forms, parse
from carethread.safety.rules import load_tables
from carethread.safety.screening import RuleSet, load_rules
from carethread.safety.spelling import Speller, Spelling
from carethread.safety.tables import TableError, parse_table
from carethread.safety.text import Reader, chunks, fold, split, unbroken

ROOT = Path(__file__).parents[2]
CONTENT = ROOT / "content" / "safety"
PLAIN = Reader(Spelling("en", frozenset(), {}, frozenset(), {("cant",): ("can", "not")}))
LEXICON = {"chest": as_forms([("chest",), ("left", "side")]), "hurt": as_forms([("hurts",), ("aches",)])}


def written(pattern: str) -> set[str]:
    """Return the forms of a pattern in a notation that is easy to compare."""

    def show(form: Form) -> str:
        return " ".join("|".join(sorted(step.options)) if isinstance(step, Words) else "·" for step in form)

    return {show(form) for form in parse(pattern, LEXICON, PLAIN.words)}


@pytest.mark.parametrize(
    ("pattern", "forms"),
    [
        ("chest pain", {"chest pain"}),
        ("hurts|aches", {"aches|hurts"}),
        ("can't breathe", {"can not breathe"}),
        ("Dolor DE pécho", {"dolor de pecho"}),
        ("@chest ..3 @hurt", {"chest · aches|hurts", "left side · aches|hurts"}),
        ("(passed out|fainted) now?", {"passed out", "fainted", "passed out now", "fainted now"}),
        ("(want to|going to|ready) die", {"going|want to die", "ready die"}),
        ("very? ..2 bad", {"bad", "very · bad"}),
        ("((no|not) (air|breath)|gasping)", {"no|not air|breath", "gasping"}),
        ("sugar #<54", {"sugar ·"}),
        ("^ help ^", {"· help ·"}),
    ],
)
def test_patterns(pattern: str, forms: set[str]) -> None:
    assert written(pattern) == forms


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("@nowhere pain", r"list '@nowhere' is not in lexicon\.yml \(lists: chest, hurt\)"),
        ("(chest pain", "has a bracket without a partner"),
        ("give up|give in now", "is unclear; put its choices in brackets"),
        ("chest ..x pain", "is not '..' and a number"),
        ("sugar #abc", "is not #, #<54"),
        ("maybe?", "can match without a single word"),
        ("(a|) b", "has an empty choice"),
    ],
)
def test_bad_patterns_say_what_to_change(pattern: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        parse(pattern, LEXICON, PLAIN.words)


def speller(language: str, *words: str, real: str = "") -> Speller:
    return Speller(Spelling(language, frozenset(words), dict.fromkeys(words, 1), frozenset(real.split()), {}))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chst", "chest"), ("cheest", "chest"), ("chestt", "chest"), ("hcest", "chest"), ("cheeeest", "chest"),
        ("siezure", "seizure"), ("seezure", "seizure"), ("breething", "breathing"), ("brething", "breathing"),
        ("unconcious", "unconscious"), ("hemorage", "hemorrhage"), ("throte", "throat"), ("suiside", "suicide"),
        ("chestpain", "chest pain"), ("zebra", "zebra"), ("chess", "chess"), ("abc", "abc"),
    ],
)  # fmt: skip
def test_english_slips(typed: str, meant: str) -> None:
    words = ("chest", "pain", "seizure", "breathing", "unconscious", "hemorrhage", "throat", "suicide")
    assert speller("en", *words, real="chess zebra").mend(typed) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("respirrar", "respirar"), ("rrespirar", "respirar"), ("bomitando", "vomitando"), ("vomitamdo", "vomitando"),
        ("corason", "corazon"), ("desmallado", "desmayado"), ("inchada", "hinchada"), ("hinchada", "hinchada"),
        ("combulsion", "convulsion"), ("sangrandooo", "sangrando"), ("perdon", "perdon"),
    ],
)  # fmt: skip
def test_spanish_slips(typed: str, meant: str) -> None:
    words = ("respirar", "vomitando", "corazon", "desmayado", "hinchada", "convulsion", "sangrando", "person")
    assert speller("es", *words, real="perdon").mend(typed) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Chest PAIN!", ["chest", "pain", "!"]),
        ("I can’t", ["i", "can't"]),
        ("¿Qué pasó?", ["¿", "que", "paso", "?"]),
        ("h e l p me", ["help", "me"]),
        ("38.5 y 102", ["38.5", "y", "102"]),
        ("Sí", ["sip"]),
        ("si", ["si"]),
    ],
)
def test_split(text: str, words: list[str]) -> None:
    assert [piece.word for piece in split(text)] == words


def test_offsets_survive_folding() -> None:
    text = "ÁÉ ﬁn ½ 𝐜𝐡𝐞𝐬𝐭"
    plain, offsets = fold(text)
    assert len(plain) == len(offsets)
    assert "chest" in plain
    assert offsets[plain.index("chest")] == text.index("𝐜")


def test_a_pause_is_no_end() -> None:
    assert [piece.word for piece in unbroken(split("i can't...\nbreathe. help"))] == [
        "i",
        "can't",
        "breathe",
        ".",
        "help",
    ]


def test_long_sentences_are_read_in_stretches_that_overlap() -> None:
    parts = list(chunks(split("word " * 200)))
    assert len(parts) > 1
    assert parts[0].heard == -1
    assert all(len(part.pieces) <= 90 for part in parts)
    assert {piece.start for part in parts for piece in part.pieces} == {piece.start for piece in split("word " * 200)}


def test_yaml_no_is_a_word() -> None:
    entry = parse_table("words: [no, yes, on, 5]", "x.yml")
    assert entry.value["words"].texts("words") == ["no", "yes", "on", "5"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [b", r"x\.yml:\d+: not YAML"),
        ("", r"x\.yml:1: the table is empty"),
        ("a: 1\nb: 2\na: 3", r"x\.yml:3: 'a' is said twice; keep one of them"),
    ],
)
def test_bad_yaml_says_where(text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        parse_table(text, "x.yml")


RULE = """rules:
  - id: bee
    level: emergency
    source: MedlinePlus, "Insect bites and stings"
    en:
      patterns: [bee swarm]
      examples: [a bee swarm]
      counter_examples: [a bee]
    es:
      patterns: [enjambre de abejas]
      examples: [un enjambre de abejas]
      counter_examples: [una abeja]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Every shared table, and only the rule above."""
    for name in ("lexicon.yml", "words.yml", "context.yml"):
        shutil.copy(CONTENT / name, tmp_path / name)
    (tmp_path / "emergencies").mkdir()
    return tmp_path


def load(folder: Path, rule: str) -> RuleSet:
    (folder / "emergencies" / "bees.yml").write_text(rule, encoding="utf-8")
    return load_rules(folder)


def test_a_new_rule_needs_only_a_table(folder: Path) -> None:
    rules = load(folder, RULE)
    assert rules.check() == ()
    assert rules.screen("help, a bee swarm").rule == "bee"
    assert rules.screen("un enjanbre de abejas").rule == "bee"
    assert rules.screen("no bee swarm here").level == "none"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "level: emergency",
            "level: urgentish",
            r"bees\.yml:3: level 'urgentish' is not known \(levels: urgent, crisis",
        ),
        ('    source: MedlinePlus, "Insect bites and stings"\n', "", r"bees\.yml:2: a rule lacks 'source'; add it"),
        ("[bee swarm]", "[bee ..swarm]", r"bees\.yml:6: gap '\.\.swarm' is not"),
        ("[bee swarm]", "['@bees']", r"bees\.yml:6: list '@bees' is not in lexicon\.yml"),
        ("[bee swarm]", "[]", r"bees\.yml:6: a rule needs at least one pattern"),
        ("counter_examples: [a bee]", "counterexamples: [a bee]", r"bees\.yml:6: 'en' lacks 'counter_examples'"),
        ("level: emergency", "level: emergency\n    ignores: [weather]", r"bees\.yml:4: kind 'weather' is not known"),
        ("rules:", "signs:", r"bees\.yml:3: a sign has 'level', which nobody reads"),
    ],
)
def test_a_bad_rule_says_where_and_how_to_mend_it(folder: Path, old: str, new: str, message: str) -> None:
    assert old in RULE
    with pytest.raises(TableError, match=message):
        load(folder, RULE.replace(old, new, 1))


def test_two_rules_cannot_share_an_id(folder: Path) -> None:
    (folder / "emergencies" / "more.yml").write_text(RULE, encoding="utf-8")
    with pytest.raises(TableError, match=r"more\.yml:2: id 'bee' is already used at .*bees\.yml:2"):
        load(folder, RULE)


def test_a_combination_names_signs_that_exist(folder: Path) -> None:
    combination = (
        "combinations:\n"
        "  - {id: both, level: emergency, source: x, all: [bee, wasp], examples: [], counter_examples: []}\n"
    )
    with pytest.raises(TableError, match=r"bees\.yml:14: sign 'wasp' is not defined"):
        load(folder, RULE + combination)


def test_broken_promises_are_named(folder: Path) -> None:
    problems = load(
        folder, RULE.replace("[a bee swarm]", "[a wasp nest]").replace("[una abeja]", "[enjambre de abejas]")
    ).check()
    assert len(problems) == 2
    assert "'bee' misses its example 'a wasp nest'" in problems[0]
    assert "'bee' fires on its counter-example 'enjambre de abejas'" in problems[1]


def test_missing_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"lexicon\.yml:1: the table is missing; restore it"):
        load_tables(tmp_path)
    for name in ("lexicon.yml", "words.yml", "context.yml"):
        shutil.copy(CONTENT / name, tmp_path / name)
    with pytest.raises(TableError, match="no rules in emergencies, crisis, combinations"):
        load_tables(tmp_path)


def test_every_rule_speaks_both_languages_and_names_its_source(rules: RuleSet) -> None:
    assert len(rules.tables.rules) >= 40
    for rule in rules.tables.rules:
        assert set(rule.texts) == {"en", "es"}
        assert any(
            name in rule.source
            for name in ("MedlinePlus", "CDC", "NIH", "AHRQ", "SAMHSA", "HHS", "HRSA", "911.gov", "Ready.gov")
        ), rule.id
