"""The triage engine and its tables: it always ends, asks what separates, and a worse answer is never less urgent."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carethread.safety.triage import (
    DISPOSITIONS,
    MAX_QUESTIONS,
    UNSURE,
    Ask,
    Complaint,
    Disposition,
    Fact,
    Range,
    TriageTable,
    Value,
    askable,
    next_step,
    ordered,
    verdict,
)
from carethread.safety.triage_loading import load_triage
from carethread.yamls import parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "content" / "safety" / "triage"
TABLE = load_triage(FOLDER)
COMPLAINTS = list(TABLE.complaints.values())
EXAMPLES = parse((ROOT / "tests/data/triage_examples.yml").read_text("utf-8"))


def urgency(level: str) -> int:
    """0 is the most urgent."""
    return DISPOSITIONS.index(level)  # type: ignore[arg-type]


def worth_trying(fact: Fact, table: TriageTable) -> list[Value]:
    """Values of a fact on both sides of every border that a rule draws, and not knowing."""
    if fact.kind == "yes_no":
        return [True, False, UNSURE]
    if fact.kind == "choice":
        return list(fact.choices)
    borders = {0.0}
    for complaint in table.complaints.values():
        for condition in (condition for rule in complaint.rules for condition in rule.when):
            if condition.fact == fact.id and isinstance(condition.wanted, Range):
                borders |= {edge for edge in (condition.wanted.low, condition.wanted.high) if edge < 1e6}
    tried = {value for edge in borders for value in (edge, edge + 0.01, max(0.0, edge - 0.01))}
    return [*sorted(tried), UNSURE]


def answered(
    complaints: list[str], known: dict[str, Value], answers: dict[str, Value]
) -> tuple[Disposition, list[str]]:
    """Answer every question from `answers` (else: no, or not known). Returns the end and what was asked."""
    facts, asked = dict(known), list[str]()
    while True:
        step = next_step(complaints, facts, TABLE, MAX_QUESTIONS - len(asked))
        if isinstance(step, Disposition):
            return step, asked
        assert step.fact not in asked, "asked twice"
        asked.append(step.fact)
        otherwise: Value = False if TABLE.facts[step.fact].kind == "yes_no" else UNSURE
        facts[step.fact] = answers.get(step.fact, otherwise)


# --- what the tables hold -----------------------------------------------------------------------------------------


def test_there_are_the_thirty_most_common_complaints_and_more() -> None:
    assert len(COMPLAINTS) >= 31


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda complaint: complaint.id)
def test_every_rule_can_be_reached(complaint: Complaint) -> None:
    """By the facts that its conditions want and nothing else but what an earlier rule of the file does not want."""
    chance = random.Random(complaint.id)
    tries = {fact.id: worth_trying(fact, TABLE) for fact in TABLE.facts.values()}
    used = {condition.fact for rule in complaint.rules for condition in rule.when}
    for rule in complaint.rules:
        wanted = {c.fact: [value for value in tries[c.fact] if value != UNSURE and c.holds(value)] for c in rule.when}
        for _ in range(600):
            facts: dict[str, Value] = {name: False for name in used if TABLE.facts[name].kind == "yes_no"}
            facts |= {n: chance.choice(tries[n]) for n in used if n not in facts and chance.random() < 0.6}
            facts["sex"] = "female" if "pregnant" in {c.fact for c in rule.when} else chance.choice(["female", "male"])
            facts |= {name: chance.choice(values) for name, values in wanted.items()}
            end, _ = answered([complaint.id], facts, {})
            if end.rule == f"{complaint.id}:{rule.id}":
                break
        else:
            raise AssertionError(f"{complaint.id}:{rule.id} was never the end of 600 tries")


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda complaint: complaint.id)
def test_every_walk_ends_after_few_questions(complaint: Complaint) -> None:
    chance = random.Random(complaint.id)
    tries = {name: worth_trying(TABLE.facts[name], TABLE) for name in TABLE.facts}
    for _ in range(250):
        known = {name: chance.choice(tries[name]) for name in tries if chance.random() < 0.03}
        answers = {name: chance.choice(values) for name, values in tries.items()}
        end, asked = answered([complaint.id], known, answers)
        assert len(asked) <= MAX_QUESTIONS
        assert set(asked) <= askable(complaint, TABLE)
        assert end.reason
        assert end.source


@settings(deadline=None)
@given(data=st.data())
def test_a_yes_to_a_danger_is_never_less_urgent(data: st.DataObject) -> None:
    """For one to three complaints, whatever else is known: turning a no, or nothing, into a yes lowers no level."""
    named = data.draw(st.lists(st.sampled_from([c.id for c in COMPLAINTS]), min_size=1, max_size=3, unique=True))
    used = sorted({c.fact for name in named for rule in TABLE.complaints[name].rules for c in rule.when})
    facts = {
        name: data.draw(st.sampled_from(worth_trying(TABLE.facts[name], TABLE)))
        for name in data.draw(st.lists(st.sampled_from(used), unique=True))
    }
    yes_no = [name for name in used if TABLE.facts[name].kind == "yes_no"]
    worse = data.draw(st.sampled_from(yes_no))
    before, _ = answered(named, facts | {worse: False}, {})
    after, _ = answered(named, facts | {worse: True}, {})
    assert urgency(after.level) <= urgency(before.level)


@settings(deadline=None)
@given(data=st.data())
def test_more_pain_is_never_less_urgent(data: st.DataObject) -> None:
    complaint = data.draw(st.sampled_from(COMPLAINTS))
    severity = data.draw(st.integers(0, 9))
    facts: dict[str, Value] = {"duration": data.draw(st.floats(0, 2000)), "age": data.draw(st.floats(0, 100))}
    milder, _ = answered([complaint.id], facts | {"severity": severity}, {})
    worse, _ = answered([complaint.id], facts | {"severity": severity + 1}, {})
    assert urgency(worse.level) <= urgency(milder.level)


@settings(deadline=None)
@given(data=st.data())
def test_two_complaints_are_at_least_as_urgent_as_each(data: st.DataObject) -> None:
    one, two = data.draw(st.lists(st.sampled_from(COMPLAINTS), min_size=2, max_size=2, unique_by=lambda c: c.id))
    used = sorted({c.fact for each in (one, two) for rule in each.rules for c in rule.when})
    facts = {name: data.draw(st.sampled_from(worth_trying(TABLE.facts[name], TABLE)[:-1])) for name in used}
    both = next_step([one.id, two.id], facts, TABLE, 0)
    assert isinstance(both, Disposition)
    for each in (one, two):
        alone = next_step([each.id], facts, TABLE, 0)
        assert isinstance(alone, Disposition)
        assert urgency(both.level) <= urgency(alone.level)


@pytest.mark.parametrize("complaint", COMPLAINTS, ids=lambda complaint: complaint.id)
def test_only_what_can_still_change_the_level_is_asked(complaint: Complaint) -> None:
    """With nothing wrong besides but what a rule wants, one answer leads to another level than another answer."""
    chance = random.Random(complaint.id)
    tries = {name: worth_trying(TABLE.facts[name], TABLE) for name in sorted(askable(complaint, TABLE))}
    for _ in range(25):
        facts = {name: chance.choice(values) for name, values in tries.items() if chance.random() < 0.4}
        step = next_step([complaint.id], facts, TABLE)
        if isinstance(step, Ask):
            assert _separates(complaint, step.fact, facts, tries), f"{step.fact} was asked with {facts}"


def _separates(complaint: Complaint, asked: str, facts: dict[str, Value], tries: dict[str, list[Value]]) -> bool:
    harmless: dict[str, Value] = {
        name: {"yes_no": False, "severity": 0.0}.get(TABLE.facts[name].kind, UNSURE)
        for name in tries
        if name not in facts
    }
    for rule in complaint.rules:
        others = [c for c in rule.when if c.fact in harmless and c.fact != asked]
        wanted = [[value for value in tries[c.fact] if value != UNSURE and c.holds(value)][:3] for c in others]
        for values in itertools.product(*wanted):
            rest = facts | harmless | {c.fact: value for c, value in zip(others, values, strict=True)}
            ends = [next_step([complaint.id], {**rest, asked: value}, TABLE, 0) for value in tries[asked]]
            # An age also says whether more is asked.
            more = [next_step([complaint.id], {**facts, asked: value}, TABLE) for value in tries[asked]]
            if len({end.level for end in ends if isinstance(end, Disposition)}) > 1 or (
                asked == "age" and len(set(more)) > 1
            ):
                return True
    return False


# --- how the engine decides ---------------------------------------------------------------------------------------


def test_emergencies_are_asked_about_first() -> None:
    _, asked = answered(["cough"], {"age": 30.0}, {})
    assert asked[:2] == ["hard_breathing", "cough_blood"]


def test_a_true_emergency_ends_it_without_another_question() -> None:
    end, asked = answered(["headache"], {"sudden_worst": True}, {})
    assert (end.level, asked, end.because) == ("emergency_now", [], ("sudden_worst",))


def test_nothing_is_asked_that_was_said() -> None:
    _, asked = answered(["vomiting"], {"fever": False, "age": 30.0, "dehydrated": False, "duration": 5.0}, {})
    assert not {"age", "dehydrated", "duration"} & set(asked)


def test_a_measured_temperature_answers_for_the_fever() -> None:
    end, asked = answered(["rash"], {"temperature": 101.5, "purple_spots": False, "face_swelling": False}, {})
    assert "fever" not in asked
    assert end.rule == "rash:fever"
    end, asked = answered(["rash"], {"temperature": 98.6, "purple_spots": False, "face_swelling": False}, {})
    assert "fever" not in asked
    assert end.rule == "rash:other"


def test_nobody_is_asked_about_what_is_not_theirs() -> None:
    man: dict[str, Value] = {"age": 40.0, "sex": "male"}
    assert "pregnant" not in answered(["stomach_pain"], man, {})[1]
    assert "pregnant" not in answered(["stomach_pain"], {"age": 70.0, "sex": "female"}, {})[1]
    assert "pregnant" in answered(["stomach_pain"], {"age": 30.0, "sex": "female"}, {})[1]
    assert "barking_cough" not in answered(["cough"], {"age": 30.0}, {})[1]
    assert {"noisy_breathing", "barking_cough"} <= set(answered(["cough"], {"age": 2.0}, {})[1])


def test_an_age_that_matters_is_asked_before_what_depends_on_it() -> None:
    _, asked = answered(["cough"], {}, {"age": 2.0})
    assert asked.index("age") < asked.index("noisy_breathing")


def test_not_knowing_counts_as_the_fact_says() -> None:
    assert TABLE.facts["confused"].unsure == "yes"
    assert answered(["fever"], {"age": 30.0, "confused": UNSURE}, {})[0].rule == "fever:hard-to-wake"
    assert TABLE.facts["stiff_neck"].unsure == "no"
    assert answered(["fever"], {"age": 30.0, "stiff_neck": UNSURE}, {})[0].level != "emergency_now"


def test_a_correction_is_the_same_with_another_fact() -> None:
    facts: dict[str, Value] = {"severity": 3, "duration": 20.0, "age": 30.0}
    first, _ = answered(["headache"], facts, {})
    again, _ = answered(["headache"], facts | {"severity": 8}, {})
    back, _ = answered(["headache"], facts | {"severity": 8} | {"severity": 3}, {})
    assert (first.level, again.level, back) == ("self_care", "today", first)


def test_a_fact_that_no_rule_reads_changes_nothing() -> None:
    facts: dict[str, Value] = {"age": 30.0, "severity": 2}
    assert answered(["tooth"], facts, {}) == answered(["tooth"], facts | {"tick_rash": True, "blood_sugar": 400}, {})


def test_the_chart_counts_without_a_question() -> None:
    walter: dict[str, Value] = {"blood_thinner": True, "age": 77.0, "sex": "male"}
    end, asked = answered(["nosebleed"], walter, {})
    assert end.rule == "nosebleed:thinner"
    assert "blood_thinner" not in asked


def test_when_no_more_may_be_asked_the_worse_case_counts() -> None:
    end = next_step(["headache"], {}, TABLE, room=0)
    assert isinstance(end, Disposition)
    assert end.level == "emergency_now"  # weak_one_side is not known, and not knowing it counts as yes


def test_rules_of_several_complaints_go_by_urgency() -> None:
    levels = [urgency(rule.level) for rule in ordered(["cold", "urinary"], TABLE)]
    assert levels == sorted(levels)


def test_no_complaint_we_know_is_another_one() -> None:
    assert [rule.complaint for rule in ordered([], TABLE)] == ["other"] * len(TABLE.complaints["other"].rules)
    assert [rule.complaint for rule in ordered(["nonsense"], TABLE)][:1] == ["other"]


def test_one_condition_that_fails_needs_no_question_about_the_other() -> None:
    [rule] = [r for r in TABLE.complaints["cough"].rules if r.id == "baby"]
    assert verdict(rule, {"age": 30.0}, TABLE, may_ask=True) is False
    assert verdict(rule, {}, TABLE, may_ask=True) == Ask("age")


# --- examples, written from the cited sources ------------------------------------------------------------------------


@pytest.mark.parametrize("complaint", EXAMPLES, ids=str)
def test_examples_end_as_their_source_says(complaint: str) -> None:
    for number, example in enumerate(EXAMPLES[complaint], start=1):
        facts = {str(name): value for name, value in (example.get("facts") or {}).items()}
        unknown = set(facts) - set(TABLE.facts)
        assert not unknown, f"{complaint} {number} names facts that do not exist: {unknown}"
        # What an example does not say is not so: nobody has it, and nothing was measured.
        rest: dict[str, Value] = {
            name: 40.0 if fact.kind == "age" else False if fact.kind == "yes_no" else UNSURE
            for name, fact in TABLE.facts.items()
            if name not in facts and name != "sex" and not fact.derived
        }
        end = next_step([complaint], {**rest, **facts}, TABLE, 0)
        assert isinstance(end, Disposition)
        assert end.level == example["level"], f"{complaint} {number}: {facts} gives {end.rule} ({end.level})"


def test_every_complaint_has_four_examples() -> None:
    few = [complaint.id for complaint in COMPLAINTS if len(EXAMPLES.get(complaint.id, ())) < 4]
    assert few == []
    assert set(EXAMPLES) == set(TABLE.complaints)


def test_examples_of_a_complaint_end_on_different_levels() -> None:
    for complaint, examples in EXAMPLES.items():
        assert len({example["level"] for example in examples}) >= 2, complaint


def test_ranges_that_touch_do_not_overlap() -> None:
    assert [Range(0, 0.25, open=True).holds(v) for v in (0, 0.24, 0.25)] == [True, True, False]
    assert [Range(3, 5).holds(v) for v in (3, 5, 5.1)] == [True, True, False]
    for outer, inner in itertools.product([Range(0, 9), Range(0, 9, open=True)], repeat=2):
        assert outer.covers(inner) is (not outer.open or inner.open)
