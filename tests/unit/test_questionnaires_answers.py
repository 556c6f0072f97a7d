"""Answers as patients write them, per type of item: none is taken wrongly, and nearly all as they are meant.

The tables are read by `benchmarks/answers.py`, which also prints them with what was understood.
"""

from collections import Counter

import pytest

from benchmarks.answers import LANGUAGES, NOW, TABLES, cases, read_items
from carethread.questionnaires.definition import AnswerOption, Item, Wording
from carethread.questionnaires.outcomes import Taken, Which
from carethread.questionnaires.understanding import understand
from carethread.questionnaires.values import Coding, Value

TO_ASK = 0.05  # of a table's answers: so many may be asked about though a person would know
FILES = sorted(TABLES.glob("*.yml"))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_answers_are_taken_as_meant(path: object, language: str) -> None:
    verdicts: Counter[str] = Counter()
    amiss: list[str] = []
    for item, raw in read_items(path):  # type: ignore[arg-type]
        for case in cases(item, raw, language):
            got = case.got()
            verdict = case.verdict(got)
            verdicts[verdict] += 1
            if verdict != "exact":
                amiss.append(f"{verdict}: {case.text!r} to {item.link_id} is {case.expected}, understood as {got}")
    assert not verdicts["wrong"], [line for line in amiss if line.startswith("wrong")]
    assert verdicts["asked"] <= TO_ASK * verdicts.total(), amiss


MOVING = Item(
    "moving",
    "choice",
    Wording("How do you get about?"),
    options=tuple(
        AnswerOption(label, Value("Coding", Coding(label, "", label)), Wording(label))
        for label in ("I have no problems walking", "I have some problems walking", "I am confined to bed")
    ),
)
# Vectors as an encoder might give them: one direction per thing that is meant.
MEANINGS = {
    "I have no problems walking": (1.0, 0.2, 0.0),
    "I have some problems walking": (0.6, 0.8, 0.0),
    "I am confined to bed": (0.0, 0.1, 1.0),
    "they must lift me out every day": (0.0, 0.3, 0.9),
    "so so with my cane these weeks": (0.8, 0.5, 0.0),
    "we had soup and bread": (0.0, -1.0, 0.1),
}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("they must lift me out every day", Taken),
        ("so so with my cane these weeks", Which),
        ("we had soup and bread", None),
    ],
)
def test_a_paraphrase_is_taken_by_its_nearness_to_one_option(text: str, kind: type | None) -> None:
    outcome = understand(MOVING, text, "en", NOW, encoder=lambda texts: [MEANINGS[one] for one in texts])
    assert isinstance(outcome, kind) if kind is not None else not isinstance(outcome, Taken | Which)
    if isinstance(outcome, Taken):
        assert (outcome.values[0].value, outcome.how) == (MOVING.options[2].value.value, "similarity")
