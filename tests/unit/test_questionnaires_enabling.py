"""enableWhen: every operator, any and all, and what lies under disabled items."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from carethread.questionnaires import Amount, Coding, Given, Place, Questionnaire, Session, Value, load
from carethread.questionnaires.enabling import enabled, enabled_in

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
YES, NO = Value("Boolean", True), Value("Boolean", False)

HOT = Value("Quantity", Amount(Decimal(39), "C", "Cel"))
WARM = Value("Quantity", Amount(Decimal(99), "F", "[degF]"))


def number(value: int) -> Value:
    return Value("Integer", value)


def code(value: str) -> Value:
    return Value("Coding", Coding(value, "s"))


ONE_CONDITION = [
    # type, operator, answer[x], what is given, enabled
    ("boolean", "=", {"answerBoolean": True}, [YES], True),
    ("boolean", "=", {"answerBoolean": True}, [NO], False),
    ("boolean", "=", {"answerBoolean": True}, [], False),
    ("boolean", "!=", {"answerBoolean": True}, [NO], True),
    ("boolean", "!=", {"answerBoolean": True}, [YES], False),
    ("boolean", "!=", {"answerBoolean": True}, [], True),
    ("boolean", "exists", {"answerBoolean": True}, [NO], True),
    ("boolean", "exists", {"answerBoolean": True}, [], False),
    ("boolean", "exists", {"answerBoolean": False}, [], True),
    ("boolean", "exists", {"answerBoolean": False}, [YES], False),
    ("integer", ">", {"answerInteger": 5}, [number(6)], True),
    ("integer", ">", {"answerInteger": 5}, [number(5)], False),
    ("integer", ">=", {"answerInteger": 5}, [number(5)], True),
    ("integer", "<", {"answerInteger": 5}, [number(4)], True),
    ("integer", "<", {"answerInteger": 5}, [number(5)], False),
    ("integer", "<=", {"answerInteger": 5}, [number(5)], True),
    ("integer", "<=", {"answerInteger": 5}, [], False),
    ("decimal", ">", {"answerDecimal": 5.5}, [Value("Decimal", Decimal("5.6"))], True),
    ("choice", "=", {"answerCoding": {"system": "s", "code": "a"}}, [code("a")], True),
    ("choice", "=", {"answerCoding": {"code": "a"}}, [code("a")], True),
    ("choice", "=", {"answerCoding": {"system": "t", "code": "a"}}, [code("a")], False),
    ("choice", "!=", {"answerCoding": {"system": "s", "code": "a"}}, [code("b")], True),
    ("choice", "=", {"answerCoding": {"system": "s", "code": "a"}}, [code("b"), code("a")], True),
    ("choice", ">", {"answerCoding": {"system": "s", "code": "a"}}, [code("b")], False),
    ("date", ">", {"answerDate": "2026-01-01"}, [Value("Date", "2026-02-01")], True),
    ("date", ">", {"answerDate": "2026-01-01"}, [Value("Date", "2025")], False),
    ("string", "=", {"answerString": "x"}, [Value("String", "x")], True),
    ("quantity", ">=", {"answerQuantity": {"value": 38, "code": "Cel"}}, [HOT], True),
    ("quantity", ">=", {"answerQuantity": {"value": 38, "code": "Cel"}}, [WARM], False),
]  # fmt: skip


def on(questionnaire: Questionnaire, answers: dict[str, list[Value]]) -> frozenset[str]:
    """What is enabled, worked out in both ways that there are: for forms with rows, and the short one without."""
    found = enabled(questionnaire, {Place(link_id): values for link_id, values in answers.items()}).link_ids
    given = tuple(Given(link_id, tuple(values), "m", NOW) for link_id, values in answers.items() if values)
    session = Session(questionnaire.canonical, "en", "in-progress", NOW, NOW, given)
    assert enabled_in(questionnaire, session).link_ids == found
    return found


def load_two(kind: str, conditions: list[dict[str, Any]], behavior: str | None = None) -> Any:
    first: dict[str, Any] = {"linkId": "a", "type": kind, "text": "a?"}
    if kind == "choice":
        first["answerOption"] = [{"valueCoding": {"system": "s", "code": c, "display": c}} for c in "ab"]
    second: dict[str, Any] = {"linkId": "b", "type": "string", "text": "b?", "enableWhen": conditions}
    if behavior:
        second["enableBehavior"] = behavior
    return load({"resourceType": "Questionnaire", "url": "u", "item": [first, second]})


@pytest.mark.parametrize(("kind", "operator", "answer", "given", "is_on"), ONE_CONDITION)
def test_one_condition(kind: str, operator: str, answer: dict[str, Any], given: list[Value], is_on: bool) -> None:
    questionnaire = load_two(kind, [{"question": "a", "operator": operator, **answer}])
    assert ("b" in on(questionnaire, {"a": given})) is is_on


@pytest.mark.parametrize(
    ("behavior", "value", "is_on"),
    [("all", 5, True), ("all", 9, False), ("any", 9, True), ("any", 1, True), ("all", 1, False)],
)
def test_any_and_all(behavior: str, value: int, is_on: bool) -> None:
    conditions = [
        {"question": "a", "operator": ">", "answerInteger": 3},
        {"question": "a", "operator": "<", "answerInteger": 7},
    ]
    questionnaire = load_two("integer", conditions, behavior)
    assert ("b" in on(questionnaire, {"a": [number(value)]})) is is_on


NESTED = {
    "resourceType": "Questionnaire",
    "url": "u",
    "item": [
        {"linkId": "a", "type": "boolean", "text": "a?"},
        {
            "linkId": "g",
            "type": "group",
            "enableWhen": [{"question": "a", "operator": "=", "answerBoolean": True}],
            "item": [{"linkId": "b", "type": "boolean", "text": "b?", "item": [{"linkId": "c", "type": "string"}]}],
        },
        {
            "linkId": "d",
            "type": "string",
            "enableWhen": [{"question": "b", "operator": "=", "answerBoolean": True}],
        },
    ],
}


@pytest.mark.parametrize(
    ("answers", "enabled_items"),
    [
        ({}, {"a"}),
        ({"a": [NO]}, {"a"}),
        ({"a": [YES]}, {"a", "g", "b"}),
        ({"a": [YES], "b": [YES]}, {"a", "g", "b", "c", "d"}),
        ({"a": [YES], "b": [NO]}, {"a", "g", "b", "c"}),
        ({"a": [NO], "b": [YES]}, {"a"}),  # b's old answer counts no longer
    ],
)
def test_what_lies_under_a_disabled_item_is_disabled(answers: dict[str, list[Value]], enabled_items: set[str]) -> None:
    assert on(load(NESTED), answers) == enabled_items
