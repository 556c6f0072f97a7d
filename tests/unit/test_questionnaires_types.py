"""Every item type and what hangs on an item: formats, limits, photos, tables, long lists, help."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from forms import HL7, NOW, asked, extension, form, hold, q, scored

from carethread.questionnaires import Attachment, Input, Skipped, Step, WrongFormat, answer, load, start, to_response


def control(code: str) -> dict[str, Any]:
    return extension("questionnaire-itemControl", valueCodeableConcept={"coding": [{"code": code}]})


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("dateTime", "2026-03-04T10:30:00Z", {"valueDateTime": "2026-03-04T10:30:00+00:00"}),
        ("dateTime", "2026-03-04 10:30", {"valueDateTime": "2026-03-04T10:30:00+00:00"}),
        ("dateTime", "2026-03-03", {"valueDateTime": "2026-03-03"}),
        ("time", "14:30", {"valueTime": "14:30:00"}),
        ("time", "2:30 pm", {"valueTime": "14:30:00"}),
        ("url", "www.example.org/a", {"valueUri": "https://www.example.org/a"}),
        ("url", "it is https://example.org.", {"valueUri": "https://example.org"}),
        ("reference", "Doctor Green", {"valueReference": {"display": "Doctor Green"}}),
    ],
)
def test_the_types_that_are_no_plain_words(kind: str, text: str, value: dict[str, Any]) -> None:
    steps, _ = hold(form(q("a", kind)), text)
    (item,) = to_response(load(form(q("a", kind))), steps[-1].session)["item"]
    assert {key: one for key, one in item["answer"][0].items() if key != "extension"} == value


@pytest.mark.parametrize(("kind", "text"), [("dateTime", "blub"), ("time", "blub"), ("url", "blub"), ("time", "25:99")])
def test_what_is_no_such_value_is_asked_again(kind: str, text: str) -> None:
    assert asked(hold(form(q("a", kind)), text)[0]) == ["a", "a retry"]


PHOTO = Attachment("https://media.example/1", "image/jpeg")


def sent(step: Step, resource: dict[str, Any], *media: Attachment, text: str = "") -> Step:
    return answer(load(resource), step.session, Input(text, "en", "m1", NOW, media=media))


def test_a_photo_is_taken_where_the_channel_takes_photos() -> None:
    resource = form(q("wound", "attachment", required=True), q("end"))
    step = sent(start(load(resource), language="en", now=NOW, media=True), resource, PHOTO)
    assert step.question is not None
    assert step.question.link_id == "end"
    (item,) = to_response(load(resource), step.session)["item"]
    assert item["answer"][0]["valueAttachment"] == {"contentType": "image/jpeg", "url": "https://media.example/1"}


def test_a_photo_is_not_asked_for_where_there_is_no_way_to_send_one() -> None:
    resource = form(q("wound", "attachment", required=True), q("end"))
    step = start(load(resource), language="en", now=NOW)
    assert step.question is not None
    assert (step.question.link_id, step.question.no_photo) == ("end", True)
    assert step.events == (Skipped("wound", "no_media", ""),)


def test_words_instead_of_a_photo_are_asked_again() -> None:
    resource = form(q("wound", "attachment"), q("end"))
    begun = start(load(resource), language="en", now=NOW, media=True)
    step = sent(begun, resource, text="it is red")
    assert step.question is not None
    assert (step.question.link_id, step.question.framing) == ("wound", "retry")


FORMATS = [
    # extensions, further elements, what is written, how it is asked again (None: taken)
    ([extension("regex", valueString="[0-9]{5}")], {}, "1234", "format"),
    ([extension("regex", valueString="[0-9]{5}")], {}, "12345", None),
    ([extension("regex", valueString="^[A-Z]+$")], {}, "ABC", None),
    ([extension("minLength", valueInteger=4)], {}, "abc", "too_short"),
    ([], {"maxLength": 3}, "abcd", "too_long"),
    ([extension("regex", valueString="(a+)+$")], {}, "b", None),  # could take for ever: not checked
]


@pytest.mark.parametrize(("extensions", "more", "text", "framing"), FORMATS)
def test_a_text_is_held_to_its_form(
    extensions: list[dict[str, Any]], more: dict[str, Any], text: str, framing: str | None
) -> None:
    steps, found = hold(form(q("a", "string", *extensions, **more), q("b")), text)
    assert asked(steps)[-1] == (f"a {framing}" if framing else "b")
    assert found == ({} if framing else {"a": text})
    if framing == "format":
        assert steps[-1].events[0] == WrongFormat("a", text, "m1")


LIMITS = [
    ("integer", extension("minValue", valueInteger=3), "2"),
    ("decimal", extension("maxValue", valueDecimal=3.5), "4"),
    ("date", extension("maxValue", valueDate="2020-01-01"), "2021-05-05"),
    ("time", extension("minValue", valueTime="08:00:00"), "07:30"),
    ("dateTime", extension("minValue", valueDateTime="2026-01-01"), "2025-05-05T10:00:00Z"),
    ("quantity", {"url": HL7.replace("StructureDefinition", "uv/sdc/StructureDefinition")
                  + "sdc-questionnaire-maxQuantity", "valueQuantity": {"value": 10}}, "11"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "limit", "text"), LIMITS)
def test_what_is_out_of_range_is_questioned(kind: str, limit: dict[str, Any], text: str) -> None:
    assert asked(hold(form(q("a", kind, limit)), text)[0]) == ["a", "a range"]


def test_rows_of_a_table_show_their_scale_once() -> None:
    scale = scored("Never", "Often")
    rows = [q(f"r{n}", "choice", answerOption=scale) for n in range(3)]
    other = q("r3", "choice", answerOption=scored("Yes", "No"))
    table = q("t", "group", control("gtable"), text="How often?", item=[*rows, other])
    steps, _ = hold(form(table, q("x", "choice", answerOption=scale)), "never", "often", "never", "no")
    questions = [step.question for step in steps if step.question]
    assert [one.options_shown for one in questions] == [False, True, True, False, False]
    assert [one.context for one in questions] == [("How often?",), (), (), (), ()]
    assert asked(hold(form(table), "never", "blub")[0])[-1] == "r1 retry"
    again = hold(form(table), "never", "blub")[0][-1].question
    assert again is not None
    assert not again.options_shown


def test_an_option_that_stands_alone_is_not_taken_with_others() -> None:
    none = {**scored("None of these")[0], "extension": [extension("questionnaire-optionExclusive", valueBoolean=True)]}
    item = q("a", "choice", repeats=True, answerOption=[*scored("Fever", "Cough"), none])
    steps, found = hold(form(item), "1 and 3", "fever")
    assert asked(steps) == ["a", "a retry"]
    assert found == {"a": "fever"}


def test_a_long_list_is_not_read_out_but_understood() -> None:
    options = [{"valueCoding": {"system": "s", "code": f"c{n}", "display": f"Medicine {n}"}} for n in range(300)]
    steps, found = hold(form(q("a", "choice", answerOption=options)), "Medicine 250")
    assert steps[0].question is not None
    assert (steps[0].question.options, steps[0].question.unlisted) == ((), 300)
    assert found == {"a": "c250"}


def test_what_stands_beside_a_question_goes_with_it() -> None:
    def beside(code: str, text: str) -> dict[str, Any]:
        return q(code, "display", control(code), text=text)

    item = q(
        "a", "integer", control("slider"), extension("entryFormat", valueString="a number"),
        extension("questionnaire-supportLink", valueUri="https://x.example/help"), prefix="1.",
        item=[beside("flyover", "Why we ask"), beside("lower", "none"), beside("upper", "worst"), beside("unit", "kg")],
    )  # fmt: skip
    (step,) = hold(form(item))[0]
    assert step.question is not None
    assert (step.question.help, step.question.low_label, step.question.high_label) == ("Why we ask", "none", "worst")
    assert (step.question.entry_format, step.question.support_link) == ("a number", "https://x.example/help")
    assert (step.question.prefix, step.question.unit, step.question.context) == ("1.", "kg", ())


def test_the_clock_is_the_message_s() -> None:
    later = datetime(2030, 1, 1, tzinfo=NOW.tzinfo)
    step = start(load(form(q("a", "date"))), language="en", now=NOW)
    step = answer(load(form(q("a", "date"))), step.session, Input("today", "en", "m1", later))
    assert step.session.given[0].values[0].value == "2030-01-01"
