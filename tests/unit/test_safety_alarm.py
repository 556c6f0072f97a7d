"""The alarm that is learned from examples: what it hears, what it is made of, and how it goes with the rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from carethread.safety.alarm import FILE, WINDOW, LearnedAlarm, windows, words_of
from carethread.safety.alarm_training import Learned, learn, rule_texts
from carethread.safety.examples import Example, digest, example_texts
from carethread.safety.screening import LEARNED, Screener
from carethread.safety.tables import TableError

SAFETY = Path(__file__).parents[2] / "content" / "safety"
HURTS = ("my belly hurts so bad i cant stand", "the pain is so bad i cant move", "so much pain i cant get up")
PARKS = ("where do i park my car", "can i park by the door", "is the car park free", "how much is the car park")


@pytest.fixture(scope="module")
def small() -> Learned:
    """Fitted to a handful, in a second."""
    return learn([*(Example(text, "emergency") for text in HURTS), *(Example(text, "none") for text in PARKS)])


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
    again = learn([*(Example(text, "none") for text in PARKS), *(Example(text, "emergency") for text in HURTS)])
    assert again.alarm.limits == small.alarm.limits
    assert again.alarm.made_of == small.alarm.made_of
    words = words_of("i park with pain")
    assert np.array_equal(again.alarm.chances(words), small.alarm.chances(words))


def test_it_is_kept_as_it_was_fitted(small: Learned, tmp_path: Path) -> None:
    small.alarm.save(tmp_path / FILE)
    kept = LearnedAlarm.load(tmp_path / FILE)
    assert kept.limits == small.alarm.limits
    for text in (*HURTS, *PARKS):
        assert kept.chances(words_of(text)) == pytest.approx(small.alarm.chances(words_of(text)), abs=0.03)


@pytest.mark.parametrize("content", [None, b"", b"no model", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_alarm_says_how_to_make_one(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(TableError, match=r"alarm\.npz.*make it.*carethread safety learn"):
        LearnedAlarm.load(tmp_path / FILE)


def test_the_alarm_in_use_is_made_of_the_examples_as_they_are(screener: Screener) -> None:
    examples = [*example_texts(SAFETY), *rule_texts(screener.rules.tables.rules)]
    assert screener.alarm.made_of == digest(examples), "run `carethread safety learn`"


def test_no_example_is_an_alarm_and_none() -> None:
    levels: dict[str, set[str]] = {}
    for example in example_texts(SAFETY):
        levels.setdefault(example.text.casefold(), set()).add(example.level)
    assert {text: found for text, found in levels.items() if len(found) > 1} == {}


@pytest.mark.slow  # hears ten thousand messages
def test_it_does_not_alarm_at_its_look_alikes(screener: Screener) -> None:
    quiet = [example.text for example in example_texts(SAFETY) if example.level == "none"]
    alarmed = [text for text in quiet if screener.alarm.hear(text).level in ("emergency", "crisis")]
    assert len(alarmed) <= 0.012 * len(quiet), alarmed


@pytest.mark.slow  # hears ten thousand messages
def test_it_hears_its_alarms(screener: Screener) -> None:
    meant = [example.text for example in example_texts(SAFETY) if example.level != "none"]
    heard = [text for text in meant if screener.alarm.hear(text).level != "none"]
    assert len(heard) >= 0.83 * len(meant)


def test_it_alarms_where_no_rule_does(screener: Screener) -> None:
    meant = [example.text for example in example_texts(SAFETY) if example.level == "emergency"]
    text = next(
        text for text in meant if screener.rules.screen(text).level == "none" != screener.alarm.hear(text).level
    )
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
