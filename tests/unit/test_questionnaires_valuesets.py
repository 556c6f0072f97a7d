"""Where options come from: value sets in the file, handed in, or known."""

from __future__ import annotations

from typing import Any

import pytest
from forms import form, hold, q

from carethread.questionnaires import load
from carethread.questionnaires.valuesets import UnknownValueSet, common, expanded

URL = "http://x.example/vs"


def value_set(*codes: str, **more: Any) -> dict[str, Any]:
    include = [{"system": "s", "concept": [{"code": code, "display": code.upper()} for code in codes]}]
    return {"resourceType": "ValueSet", "id": "v", "url": URL, "compose": {"include": include}, **more}


TREE = {"contains": [{"code": "a", "abstract": True, "contains": [{"code": "b"}, {"code": "c", "system": "t"}]}]}
SYSTEM = {"resourceType": "CodeSystem", "url": "s", "concept": [{"code": "a", "concept": [{"code": "b"}]}]}


@pytest.mark.parametrize(
    ("reference", "contained", "codes"),
    [
        ("#v", [value_set("a", "b")], ["a", "b"]),
        (URL, [value_set("a", "b")], ["a", "b"]),
        (f"{URL}|1.0", [value_set("a")], ["a"]),
        ("#v", [value_set(expansion=TREE)], ["b", "c"]),
        ("#v", [value_set(compose={"include": [{"system": "s"}]}), SYSTEM], ["a", "b"]),
        ("#v", [value_set(compose={"include": [{"valueSet": ["#w"]}]}), {**value_set("z"), "id": "w"}], ["z"]),
        ("#v", [value_set("a", "b", compose={
            "include": [{"system": "s", "concept": [{"code": "a"}, {"code": "b"}, {"code": "a"}]}],
            "exclude": [{"system": "s", "concept": [{"code": "b"}]}]})], ["a"]),
        ("http://hl7.org/fhir/ValueSet/yesnodontknow", [], ["Y", "N", "asked-unknown"]),
        ("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1", None, ["male", "female", "other", "unknown"]),
    ],
)  # fmt: skip
def test_the_codes_of_a_value_set(reference: str, contained: Any, codes: list[str]) -> None:
    assert [concept.coding.code for concept in expanded(reference, contained, {})] == codes


@pytest.mark.parametrize(
    ("contained", "reason"),
    [
        ([], "not in the file"),
        ([value_set(compose={})], "lists no codes"),
        ([value_set(compose={"include": [{"system": "s", "filter": [{"op": "is-a"}]}]})], "filter"),
        ([value_set(compose={"include": [{"system": "s"}]})], "all of the code system"),
        ([value_set(compose={"include": [{"valueSet": [URL]}]})], "includes itself"),
    ],
)
def test_what_only_a_terminology_server_knows_is_said(contained: Any, reason: str) -> None:
    with pytest.raises(UnknownValueSet, match=reason):
        expanded(URL, contained, {})


def test_a_value_set_is_handed_in() -> None:
    item = load(form(q("a", "choice", answerValueSet=URL)), {URL: value_set("x", "y")}).item("a")
    assert item is not None
    assert [option.key for option in item.options] == ["x", "y"]


def test_an_unknown_one_leaves_free_text_or_no_question() -> None:
    resource = form(q("a", "open-choice", answerValueSet=URL), q("b", "choice", answerValueSet=URL), q("c"))
    _, found = hold(resource, "something of mine", "x")
    assert found == {"a": "something of mine", "c": "x"}


def test_the_common_ones_are_complete() -> None:
    for url, concepts in common().items():
        assert url.startswith("http")
        for concept in concepts:
            assert concept.coding.code, url
            assert concept.coding.display, url
            assert concept.translations.get("es"), (url, concept.coding.code)
    frequency = common()["http://loinc.org/vs/LL358-3"]
    assert [(concept.coding.code, concept.score) for concept in frequency] == [
        ("LA6568-5", 0), ("LA6569-3", 1), ("LA6570-1", 2), ("LA6571-9", 3),
    ]  # fmt: skip
