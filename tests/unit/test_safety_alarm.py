"""The alarm that is learned from examples: what it hears, what it is made of, and how it goes with the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from carethread.safety.alarm import FILE, WINDOW, LearnedAlarm, Reading, windows, words_of
from carethread.safety.alarm_training import Learned, learn, rule_texts
from carethread.safety.encoder import DIMENSIONS
from carethread.safety.examples import Example, digest, example_texts
from carethread.safety.findings import Findings
from carethread.safety.judge import COLUMNS, Judge, counts
from carethread.safety.judge import FILE as JUDGE
from carethread.safety.levels import ALARMS
from carethread.safety.screening import LEARNED, Screener
from carethread.safety.tables import TableError

SAFETY = Path(__file__).parents[2] / "content" / "safety"
HURTS = ("my belly hurts so bad i cant stand", "the pain is so bad i cant move", "so much pain i cant get up")
PARKS = ("where do i park my car", "can i park by the door", "is the car park free", "how much is the car park")


class Letters:
    """An encoder of a kind: how often each letter is met."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for letter in text:
                row[ord(letter) % DIMENSIONS] += 1
        return rows


class Broken:
    def encode(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        return None


def fitted(*examples: Example) -> Learned:
    return learn(examples, lambda _text: Findings(), Letters())


@pytest.fixture(scope="module")
def small() -> Learned:
    """Fitted to a handful, in a second."""
    return fitted(*(Example(text, "emergency") for text in HURTS), *(Example(text, "none") for text in PARKS))


def test_words_are_plain_and_know_where_they_stood() -> None:
    text = "I CAN\u2019T breatheeee, 40.5°!"
    words = words_of(text)
    assert [word.plain for word in words] == ["i", "cant", "breathee", "00.0", "!"]
    assert [text[word.start : word.end] for word in words] == ["I", "CAN\u2019T", "breatheeee", "40.5", "!"]


def test_a_long_message_is_read_in_windows_that_overlap() -> None:
    words = words_of("word " * (2 * WINDOW + 10))
    read = list(windows(words))
    assert all(len(window) <= WINDOW for window in read)
    assert read[0][WINDOW // 2 :] == read[1][: WINDOW // 2]
    assert read[-1][-1] == words[-1]
    assert list(windows([])) == []
    assert list(windows(words[:3])) == [words[:3]]


def test_it_hears_what_is_like_its_examples(small: Learned) -> None:
    def chance(text: str) -> float:
        return small.alarm.hear(text).probability

    assert chance("the pain is so bad") > 0.5
    assert chance("the pain is so bad") > chance("where is the car park")
    for text in ("", "   ", "😀", "\x00", "a" * 20_000):
        assert chance(text) <= 0.9


def test_the_same_examples_give_the_same_alarm(small: Learned) -> None:
    again = fitted(*(Example(text, "none") for text in PARKS), *(Example(text, "emergency") for text in HURTS))
    assert again.alarm.limits == small.alarm.limits
    assert again.judge.limits == small.judge.limits
    assert again.alarm.made_of == small.alarm.made_of == small.judge.made_of
    read = small.alarm.read("i park with pain")
    assert np.array_equal(again.alarm.read("i park with pain").chances, read.chances)
    assert np.array_equal(judged(again.judge, read), judged(small.judge, read))


def judged(judge: Judge, read: Reading) -> NDArray[np.float32]:
    vectors = Letters().encode(["i park with pain"])
    assert vectors is not None
    return judge.chances(vectors, Findings(), read.chances)


def test_it_is_kept_as_it_was_fitted(small: Learned, tmp_path: Path) -> None:
    small.alarm.save(tmp_path / FILE)
    kept = LearnedAlarm.load(tmp_path / FILE)
    assert kept.limits == small.alarm.limits
    for text in (*HURTS, *PARKS):
        assert kept.chances(words_of(text)) == pytest.approx(small.alarm.chances(words_of(text)), abs=0.03)
    small.judge.save(tmp_path / JUDGE)
    read, judge = small.alarm.read(HURTS[0]), Judge.load(tmp_path / JUDGE)
    assert judge.limits == small.judge.limits
    assert judged(judge, read) == pytest.approx(judged(small.judge, read), abs=0.03)


@pytest.mark.parametrize("content", [None, b"", b"no model", b"PK\x03\x04 broken"])
@pytest.mark.parametrize(("model", "name"), [(LearnedAlarm, FILE), (Judge, JUDGE)])
def test_a_file_that_is_no_model_says_how_to_make_one(
    model: type[LearnedAlarm | Judge], name: str, content: bytes | None, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=rf"{name}.*make it.*carethread safety learn"):
        model.load(tmp_path / name)


def test_what_cannot_be_encoded_is_not_learned_from() -> None:
    with pytest.raises(TableError, match="encoder"):
        learn([Example(HURTS[0], "emergency"), Example(PARKS[0], "none")], lambda _text: Findings(), Broken())


def test_the_models_in_use_are_made_of_the_examples_as_they_are(screener: Screener) -> None:
    examples = [*example_texts(SAFETY), *rule_texts(screener.rules.tables.rules)]
    assert screener.alarm.made_of == screener.judge.made_of == digest(examples), "run `carethread safety learn`"


def test_findings_are_counted_by_level_and_by_what_took_them_away(screener: Screener) -> None:
    plain, denied = (counts(screener.rules.find(text)) for text in ("where do i park", "I have no chest pain"))
    assert plain.shape == denied.shape == (COLUMNS,)
    assert not plain.any()
    assert denied.any()
    assert not np.array_equal(denied, counts(screener.rules.find("I have chest pain")))


def test_a_long_harmless_message_does_not_alarm_by_the_number_of_its_stretches(screener: Screener) -> None:
    told = "I was at my sister's house last week and we had a really nice time with the kids and the dog. "
    assert screener.screen(told * 100).level == "none"
    limits = screener.judge.limits
    assert limits.among(1) == limits.among(0)
    assert limits.emergency < limits.among(2).emergency < limits.among(50).emergency < 1


def test_without_an_encoder_the_alarm_hears_alone(screener: Screener) -> None:
    deaf = Screener(screener.rules, screener.alarm, screener.judge, Broken())
    assert deaf.screen("no puedo respirar").level == "emergency"
    assert deaf.screen("where do i park my car").level == "none"
    meant = [example.text for example in example_texts(SAFETY) if example.level == "emergency"]
    heard = next(
        text for text in meant if screener.rules.screen(text).level == "none" != screener.alarm.hear(text).level
    )
    assert deaf.screen(heard).level == screener.alarm.hear(heard).level


def test_no_example_is_an_alarm_and_none() -> None:
    levels: dict[str, set[str]] = {}
    for example in example_texts(SAFETY):
        levels.setdefault(example.text.casefold(), set()).add(example.level)
    assert {text: found for text, found in levels.items() if len(found) > 1} == {}


@pytest.mark.slow  # screens every fifth of thirty thousand messages
def test_it_does_not_alarm_at_its_look_alikes(screener: Screener) -> None:
    quiet = [example.text for example in example_texts(SAFETY) if example.level == "none"][::5]
    alarmed = [text for text in quiet if screener.screen(text).level in ALARMS]
    assert len(alarmed) <= 0.02 * len(quiet), alarmed


@pytest.mark.slow  # screens every fifth of thirty thousand messages
def test_it_hears_its_alarms(screener: Screener) -> None:
    meant = [example.text for example in example_texts(SAFETY) if example.level in ALARMS][::5]
    heard = [text for text in meant if screener.screen(text).level in ALARMS]
    assert len(heard) >= 0.97 * len(meant)


def test_it_alarms_where_no_rule_does(screener: Screener) -> None:
    meant = [example.text for example in example_texts(SAFETY) if example.level == "emergency"]
    text = next(text for text in meant if screener.rules.screen(text).level == "none" != screener.screen(text).level)
    heard = screener.screen(text)
    assert heard.level != "none"
    assert heard.rule == f"{LEARNED}{heard.level}"
    assert heard.source == "content/safety/examples"
    assert heard.span is not None
    assert text[slice(*heard.span)] in text


def test_what_a_rule_finds_stands(screener: Screener) -> None:
    text = "chest pain should i wait for my appointment on friday?"
    assert screener.screen(text) == screener.rules.screen(text)


def test_what_signs_make_together_stands_always(screener: Screener) -> None:
    first = screener.screen("I have a fever of 102")
    assert screener.screen("my neck is stiff", known=first.signs).rule == "fever-and-stiff-neck"
