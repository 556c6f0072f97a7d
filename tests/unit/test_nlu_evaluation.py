"""`carethread nlu evaluate`: its figures against some worked by hand, its report, its files, and the command itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from carethread.cli import evaluating, reading, understanding
from carethread.cli.baseline import Baseline, default_pipeline
from carethread.cli.evaluating import known_intents, read_examples
from carethread.cli.nlu_report import Beside, Measured, beside, markdown, plots, summary
from carethread.cli.plots import Curve, square_plot
from carethread.clinic import ConfigError
from carethread.config import PROJECT
from carethread.conversations.wishes import BOUNDARIES, TASKS
from carethread.dialogue.evaluation import (
    BOOKING,
    CLINICAL,
    Case,
    Parse,
    area,
    calibration,
    changes,
    confusions,
    entity_scores,
    evaluate,
    intent_scores,
    latency,
    overall,
    percentile,
    roc,
    scope,
    slices,
)
from carethread.dialogue.labelled import Entity, Example, ExampleError, read_example
from carethread.yamls import parse

INTENTS = frozenset({"greet", "deny", "faq_hours", "emergency", "book_appointment", "out_of_scope"})


def case(expected: str, got: str, confidence: float = 0.9, text: str = "x", ms: float = 1.0, **labels: str) -> Case:
    """A text taken for `got` with this confidence, the rest of it going to another intent."""
    best = "deny" if got == "nlu_fallback" else got
    other = "greet" if best != "greet" else "deny"
    ranking = ((best, confidence), (other, round(1 - confidence, 6)))
    return Case(Example(text, expected, **labels), Parse(got, ranking, milliseconds=ms))  # type: ignore[arg-type]


# greet: 2 of 3 right, said 3 times; deny: 1 of 1, said twice; faq_hours: 0 of 1, never said.
CASES = (
    case("greet", "greet", language="en"),
    case("greet", "greet", language="es"),
    case("greet", "deny", text="hm hello", language="es"),
    case("deny", "deny", language="en"),
    case("faq_hours", "greet", text="open?"),
)


def test_precision_recall_and_f1_of_each_intent() -> None:
    deny, hours, greet = intent_scores(CASES)
    assert (greet.name, greet.precision, greet.recall, greet.f1) == ("greet", 2 / 3, 2 / 3, 2 / 3)
    assert (deny.precision, deny.recall, deny.f1, deny.support) == (1 / 2, 1.0, 2 / 3, 1)
    assert (hours.precision, hours.recall, hours.f1) == (None, 0.0, 0.0), "never said: no precision, not a bad one"


def test_macro_f1_is_over_the_intents_that_are_expected() -> None:
    found = overall(CASES)
    assert (found.count, found.accuracy) == (5, 3 / 5)
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    asked_again = overall([case("greet", "greet"), case("greet", "nlu_fallback")])
    assert asked_again.macro_f1 == pytest.approx(2 / 3), "the fallback is no intent that anybody expects"
    assert (overall([]).accuracy, overall([]).macro_f1) == (None, None)


def test_slices_are_of_what_the_texts_name() -> None:
    found = slices(CASES)
    assert set(found) == {"language"}
    assert {value: (one.count, one.accuracy) for value, one in found["language"].items()} == {
        "en": (2, 1.0),
        "es": (2, 0.5),
    }


def test_the_most_frequent_confusion_stands_first() -> None:
    found = confusions([*CASES, case("faq_hours", "greet", text="when?")])
    assert [(one.expected, one.got, one.count) for one in found] == [("faq_hours", "greet", 2), ("greet", "deny", 1)]
    assert found[0].texts == ("open?", "when?")


def test_entities_count_by_kind_and_value() -> None:
    def named(expected: Sequence[tuple[str, str]] | None, got: Sequence[tuple[str, str]]) -> Case:
        told = None if expected is None else tuple(Entity(*one) for one in expected)
        return Case(Example("x", "greet", entities=told), Parse("greet", (), tuple(Entity(*one) for one in got)))

    cases = [
        named([("specialty", "Cardiology"), ("body_part", "knee")], [("specialty", "cardiology")]),
        named([("specialty", "neurology")], [("specialty", "cardiology")]),
        named([("specialty", "eye"), ("specialty", "eye")], [("specialty", "eye")]),
        named([], [("body_part", "foot")]),
        named(None, [("body_part", "arm")]),  # nobody said which there are
    ]
    part, specialty = entity_scores(cases)
    assert (specialty.name, specialty.right, specialty.predicted, specialty.support) == ("specialty", 2, 3, 4)
    assert (part.right, part.predicted, part.support) == (0, 1, 1)
    together = evaluate(cases).entities_overall
    assert together is not None
    assert (together.precision, together.recall) == (2 / 4, 2 / 5)
    assert evaluate(CASES).entities_overall is None


def test_an_entity_may_be_labelled_by_its_words_and_may_have_no_value() -> None:
    line = (
        '{"text": "flu shot before my trip", "intent": null, "now": "2026-03-04T09:00:00-06:00", "entities": ['
        '{"entity": "vaccine", "text": "flu shot"}, {"entity": "date", "value": null}, '
        '{"entity": "vaccine", "start": 0, "end": 3}]}'
    )
    example = read_example(line, "x:1", INTENTS)
    assert example.now is not None
    got = (Entity("date", None, "before my trip"), Entity("vaccine", "influenza", "Flu shot"))
    date, vaccine = entity_scores([Case(example, Parse("greet", (), got))])
    assert (date.right, vaccine.right, vaccine.support) == (1, 1, 2)


def test_a_text_without_a_said_intent_counts_for_entities_only() -> None:
    example = read_example('{"text": "hi", "intent": null, "entities": []}', "x:1", INTENTS)
    told = Case(example, Parse("greet", (("greet", 0.9),), (Entity("date", "2026-03-04"),)))
    figures = evaluate([*CASES, told])
    assert figures.overall == overall(CASES)
    assert figures.scope.outside == 0
    assert figures.entities_overall is not None
    assert (figures.entities_overall.predicted, figures.entities_overall.right) == (1, 0)


def test_calibration_compares_confidence_with_what_is_right() -> None:
    found = calibration(
        [
            case("greet", "greet", 0.95),
            case("greet", "deny", 0.95),
            case("greet", "greet", 0.62),
            case("deny", "nlu_fallback", 0.25),  # right before the fallback spoke
            case("greet", "greet", 1.0),
        ]
    )
    assert [one.count for one in found.bins] == [0, 0, 1, 0, 0, 0, 1, 0, 0, 3]
    last = found.bins[9]
    assert (last.lower, last.upper) == (0.9, 1.0)
    assert last.confidence == pytest.approx(2.9 / 3)
    assert last.accuracy == pytest.approx(2 / 3)
    assert (found.bins[0].confidence, found.bins[0].accuracy) == (None, None)
    assert found.error == pytest.approx((0.75 + 0.38 + 3 * 0.3) / 5)
    assert calibration([]).error is None


def test_roc_goes_through_the_corners_and_halves_a_tie() -> None:
    assert roc([0.9, 0.4], [0.6, 0.1]) == ((0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1))
    assert area(roc([0.9, 0.4], [0.6, 0.1])) == 3 / 4
    assert area(roc([1, 1], [0, 0])) == 1
    assert area(roc([0], [1])) == 0
    assert roc([0.5, 0.5], [0.5]) == ((0, 0), (1, 1))
    assert area(roc([0.5, 0.7], [0.5])) == 3 / 4
    assert roc([], [0.5]) == roc([0.5], []) == ()


def test_scope_tells_what_would_be_set_going() -> None:
    cases = [
        case("out_of_scope", "out_of_scope", 0.8),  # best in scope: 0.2
        case("out_of_scope", "nlu_fallback", 0.25),  # 0.75 for another
        case("out_of_scope", "emergency", 0.7),
        case("out_of_scope", "book_appointment", 0.95),
        case("out_of_scope", "greet", 0.99),
        case("greet", "greet", 0.9),
        case("greet", "out_of_scope", 0.6),
        case("deny", "nlu_fallback", 0.75),
    ]
    found = scope(cases)
    assert (found.outside, found.inside) == (5, 3)
    assert (found.refused, found.asked_again, found.clinical, found.booking) == (1, 1, 1, 1)
    assert found.taken == {"book_appointment": 1, "emergency": 1, "greet": 1}
    assert (found.inside_refused, found.inside_asked_again) == (1, 1)
    # Best in scope: 0.2 0.75 0.7 0.95 0.99 outside; 0.9 0.4 0.75 inside. Lower wins in 3 + 1.5 + 2 of 15 pairs.
    assert found.auroc == pytest.approx(6.5 / 15)
    assert scope(CASES).auroc is None


def test_a_text_that_says_nothing_is_as_strange_as_can_be() -> None:
    assert Parse("nlu_fallback", (("out_of_scope", 0.0),)).strangeness == 1


def test_clinical_and_booking_intents_are_those_that_the_assistant_acts_on() -> None:
    assert known_intents(PROJECT / "domain.yml") >= CLINICAL | BOOKING
    assert set(TASKS) | BOUNDARIES <= CLINICAL | BOOKING
    assert not CLINICAL & BOOKING


def test_percentiles_are_times_that_were_measured() -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], 0.5) == 2.0
    assert latency([float(number) for number in range(1, 101)]).p95 == 95.0
    assert latency([]).p50 is None


def test_changes_begin_with_what_went_wrong() -> None:
    before = [case("greet", "deny"), case("greet", "deny"), case("greet", "greet"), case("deny", "deny")]
    now = [case("greet", "faq_hours"), case("greet", "greet"), case("greet", "deny"), case("deny", "deny")]
    assert [(one.outcome, one.before, one.now) for one in changes(before, now)] == [
        ("right→wrong", "greet", "deny"),
        ("wrong→right", "deny", "greet"),
        ("wrong→wrong", "deny", "faq_hours"),
    ]
    with pytest.raises(ValueError, match="same texts"):
        changes(before, now[1:])


def test_a_line_without_an_intent_is_out_of_scope() -> None:
    assert read_example('{"text": "mow my lawn", "language": "en"}', "x:1", INTENTS) == Example(
        "mow my lawn", "out_of_scope", language="en"
    )
    line = '{"text": "a", "intent": "greet", "entities": [{"entity": "specialty", "value": "eye", "start": 1}]}'
    assert read_example(line, "x:1", INTENTS).entities == (Entity("specialty", "eye"),)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("greet", "not JSON"),
        ("[]", "not an object"),
        ('{"txt": "hello"}', "no text"),
        ('{"text": "  "}', "no text"),
        ('{"text": "\\ud83d"}', "half of a character"),
        ('{"text": "a", "intent": "faq_hour"}', "perhaps 'faq_hours' is meant"),
        ('{"text": "a", "intent": "zzzz"}', "name one of domain.yml"),
        ('{"text": "a", "intent": null}', "no intent null"),
        ('{"text": "a", "intent": ["greet"]}', "no intent"),
        ('{"text": "a", "language": 7}', '"language" is 7'),
        ('{"text": "a", "now": "2026-03-04T09:00:00"}', '"now" is'),
        ('{"text": "a", "entities": [{"entity": "specialty", "text": "eye"}]}', "give a list like"),
        ('{"text": "a", "entities": ["eye"]}', "give a list like"),
        ('{"text": "a", "entities": [{"entity": "specialty"}]}', "give a list like"),
    ],
)
def test_a_line_that_cannot_be_read_says_where_and_how_to_mend_it(line: str, words: str) -> None:
    with pytest.raises(ExampleError, match="texts.jsonl:3: ") as refused:
        read_example(line, "texts.jsonl:3", INTENTS)
    assert words in str(refused.value)


def test_files_are_read_one_after_the_other_and_lines_are_counted(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    first.write_text('{"text": "one\u2028line", "intent": "greet"}\r\n\n{"text": "two"}\n', encoding="utf-8")
    second.write_text('{"text": "three"}', encoding="utf-8")
    assert [one.text for one in read_examples([first, second], INTENTS)] == ["one\u2028line", "two", "three"]
    second.write_text('\n\n{"text": 3}\n', encoding="utf-8")
    with pytest.raises(ExampleError, match=r"b\.jsonl:3: "):
        read_examples([first, second], INTENTS)
    second.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"b\.jsonl.*UTF-8"):
        read_examples([second], INTENTS)
    second.write_text("\n", encoding="utf-8")
    with pytest.raises(ExampleError, match="no texts"):
        read_examples([second], INTENTS)


def measured(cases: Sequence[Case], model: str = "models/a.tar.gz") -> Measured:
    return Measured(model, "f" * 64, cases, evaluate(cases))


ODD = "say | *what*\n<b>`now`</b> " + "z" * 300
SCOPED = (*CASES, case("out_of_scope", "emergency", text=ODD), case("out_of_scope", "out_of_scope", ms=7.0))


def test_the_report_says_every_figure() -> None:
    report = markdown(["texts.jsonl"], [measured(SCOPED)])
    for heading in ("Overall", "Out of scope", "Calibration", "Intents", "Confusions"):
        assert f"\n## {heading}\n" in report
    assert "| all | 7 | 0.571 | 0.500 |" in report  # 4 of 7; (2/3 + 2/3 + 0 + 2/3) / 4
    assert "| language: es | 2 | 0.500 | 0.667 |" in report
    assert "| out of scope: taken as clinical | 1 of 2 (50.0%) |" in report
    assert "| `emergency` | clinical | 1 |" in report
    assert "| `greet` | 3 | 0.667 | 0.667 | 0.667 |" in report
    assert "| `greet` | `deny` | hm hello | 1 |" in report
    assert "| latency p95, ms | 7.0 |" in report
    assert "## Entities" not in report
    assert "before" not in report.split("## Overall")[1].replace("before the fallback", "")


def test_a_message_in_the_report_is_no_markdown() -> None:
    [row] = [line for line in markdown([], [measured(SCOPED)]).splitlines() if "say" in line]
    assert r"say \| \*what\* \<b\>\`now\`\</b\> zzz" in row
    assert len(row) < 250
    assert row.endswith("z… | 1 |")


def test_two_models_stand_side_by_side() -> None:
    worse = (case("greet", "deny", text="once right", language="en"), *SCOPED[1:])
    first = replace(SCOPED[0], example=worse[0].example)
    both = [measured(worse), measured((first, *SCOPED[1:]), "models/previous.tar.gz")]
    report = markdown(["texts.jsonl"], both)
    assert "- before: `models/previous.tar.gz`" in report
    assert "|  | texts | accuracy | before | macro-F1 | before |" in report
    assert "| all | 7 | 0.429 | 0.571 |" in report
    assert "1 right→wrong, 0 wrong→right, 0 wrong→wrong" in report
    assert "| right→wrong | `greet` | `greet` | `deny` | once right |" in report
    assert "1 right→wrong" in summary(both)
    for table in report.split("\n\n"):
        if table.startswith("|"):
            assert len({line.replace(r"\|", "").count("|") for line in table.splitlines()}) == 1, table


def test_the_summary_lines_up() -> None:
    lines = summary([measured(SCOPED)]).splitlines()
    assert len({len(line) for line in lines[:2]}) == 1
    assert lines[0].split() == ["texts", "accuracy", "macro-F1"]
    assert any(line.split() == ["faq_hours", "–", "0.000", "0.000"] for line in lines)


def test_plots_are_well_formed_and_hold_both_models() -> None:
    drawn = plots([measured(SCOPED), measured(SCOPED)])
    assert set(drawn) == {"reliability.svg", "roc.svg"}
    for text in drawn.values():
        root = ElementTree.fromstring(text)  # noqa: S314  # our own
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert {"model", "before"} <= {element.text for element in root}
    assert set(plots([measured(CASES)])) == {"reliability.svg"}, "no curve without texts out of scope"
    odd = square_plot("a < b & c", "x", "y", [Curve("<&>", [(0, 0), (1, 1)], dots=True), Curve("none", [])])
    root = ElementTree.fromstring(odd)  # noqa: S314
    assert "<&>" in {element.text for element in root}
    circles = [element for element in root if element.tag.endswith("circle")]
    assert [(one.get("cx"), one.get("cy")) for one in circles] == [("64.00", "408.00"), ("424.00", "48.00")]


# An engine that takes every text for `greet`, or for what the model's file says.
ENGINE = """
import json, pathlib, sys
intent = pathlib.Path(sys.argv[1]).read_text()
if intent == "broken":
    sys.exit("this model cannot be read")
for line in sys.stdin:
    text = json.loads(line)["text"]
    answer = {"text": text, "intent": intent, "confidence": 0.8, "entities": []}
    if "--ranking" in sys.argv:
        likely = [("nlu_fallback", 0.3), (intent, 0.8), ("deny", 0.1)]
        answer["ranking"] = [{"name": name, "confidence": confidence} for name, confidence in likely]
    print(json.dumps(answer), flush=True)
"""

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`carethread nlu …` with that engine, and models/ in a folder of the test's."""
    engine = tmp_path / "engine.py"
    engine.write_text(ENGINE, encoding="utf-8")
    model = tmp_path / "models" / "carethread.tar.gz"
    model.parent.mkdir()
    model.write_text("greet", encoding="utf-8")

    def command(path: Path, *options: str) -> list[str]:
        return [sys.executable, str(engine), str(path), *options]

    monkeypatch.setattr(understanding, "command", command)
    for module in (evaluating, reading):
        monkeypatch.setattr(module, "model_path", lambda: model)

    def invoke(*arguments: str | Path, said: str = "") -> Result:
        return CliRunner().invoke(reading.nlu, [str(argument) for argument in arguments], input=said)

    return invoke


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    rows = [
        {"text": "hey", "intent": "greet", "language": "en", "entities": []},
        {"text": "nope", "intent": "deny"},
        {"text": "mow"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.slow  # starts the command as a process
def test_without_a_subcommand_lines_go_in_and_out_as_ever(run: Run) -> None:
    done = run(said='{"text": "hola, quisiera una cita"}\n\n{"text": "hi there, doctor"}\n')
    assert done.exit_code == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"text": text, "language": language, "intent": "greet", "confidence": 0.8, "entities": []}
        for text, language in (("hola, quisiera una cita", "es"), ("hi there, doctor", "en"))
    ]
    refused = run(said="hello\n")
    assert refused.exit_code == 1
    assert "standard input, line 1: not JSON" in refused.output


def test_evaluate_writes_a_report_and_prints_figures(run: Run, texts: Path, tmp_path: Path) -> None:
    done = run("evaluate", texts, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert ["all", "3", "0.333", "0.167"] in [line.split() for line in done.stdout.splitlines()]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "reliability.svg", "roc.svg"}
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| `out_of_scope` | `greet` | mow | 1 |" in report
    assert "before" not in done.stdout


def test_evaluate_compares_with_the_model_before(run: Run, texts: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("deny", encoding="utf-8")
    told = "1 right→wrong, 1 wrong→right, 1 wrong→wrong"
    assert told in run("evaluate", texts, "--out", tmp_path, "--against", other).stdout
    (tmp_path / "models" / "previous.tar.gz").write_text("deny", encoding="utf-8")
    assert told in run("evaluate", texts, "--out", tmp_path).stdout
    same = run("evaluate", texts, "--out", tmp_path, "--model", other)  # beside models/previous.tar.gz, its like
    assert "0 right→wrong, 0 wrong→right, 0 wrong→wrong" in same.stdout


def test_a_previous_model_that_cannot_be_read_is_left_out(run: Run, texts: Path, tmp_path: Path) -> None:
    previous = tmp_path / "models" / "previous.tar.gz"
    previous.write_text("broken", encoding="utf-8")
    done = run("evaluate", texts, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "is left out" in done.stderr
    asked = run("evaluate", texts, "--out", tmp_path / "out", "--against", previous)
    assert asked.exit_code == 1
    assert "the engine ended" in asked.output


def test_bad_files_end_with_two(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("evaluate").exit_code == 2
    assert run("evaluate", tmp_path / "none.jsonl").exit_code == 2
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "a"}\n{"text": "a", "intent": "faq_hour"}\n', encoding="utf-8")
    from carethread.cli import main

    monkeypatch.setattr(sys, "argv", ["carethread", "nlu", "evaluate", str(bad)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2


def test_a_missing_model_names_the_mend(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="make setup train"):
        understanding.command(tmp_path / "none.tar.gz")


def test_rasas_default_pipeline_stands_beside_ours() -> None:
    ours = Measured("ours", "0" * 64, CASES, evaluate(CASES))
    theirs = [case("greet", "deny", language=one.example.language or "en") for one in CASES]
    theirs = [Case(one.example, other.parse) for one, other in zip(CASES, theirs, strict=True)]
    other = Beside(Measured("theirs", "1" * 64, theirs, evaluate(theirs)), epochs=3, seconds=61.2)
    table = beside(ours, other).splitlines()
    assert table[0].split() == ["ours", "Rasa's", "default"]
    assert [line.split()[0] for line in table[1:4]] == ["macro-F1", "macro-F1,", "macro-F1,"]
    assert "3 epochs, 61 s" in table[-1]
    report = markdown(["x.jsonl"], [ours], other)
    assert "## Beside Rasa's default pipeline" in report
    assert "| parse p50, ms | 1.0 | 1.0 |" in report


def test_the_default_pipeline_is_the_one_that_rasa_init_uses() -> None:
    pipeline = parse(default_pipeline(7))["pipeline"]
    assert [one["name"] for one in pipeline] == [
        "WhitespaceTokenizer", "RegexFeaturizer", "LexicalSyntacticFeaturizer", "CountVectorsFeaturizer",
        "CountVectorsFeaturizer", "DIETClassifier", "EntitySynonymMapper", "ResponseSelector", "FallbackClassifier",
    ]  # fmt: skip
    assert [one["epochs"] for one in pipeline if "epochs" in one] == [7, 7]


def test_the_baseline_is_measured_on_the_same_texts_and_printed(
    run: Run, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def played(epochs: int) -> Iterator[Baseline]:
        config = tmp_path / "config.yml"
        config.write_text("pipeline: []\n", encoding="utf-8")
        model = tmp_path / "baseline.tar.gz"
        model.write_text("deny", encoding="utf-8")
        yield Baseline(model, config, epochs, 12.0)

    monkeypatch.setattr(evaluating, "trained_baseline", played)
    done = run("evaluate", texts, "--out", tmp_path / "out", "--baseline", "--epochs", "5")
    assert done.exit_code == 0, done.output
    assert "Rasa's default pipeline was trained on the same data in this run: 5 epochs, 12 s." in done.output
