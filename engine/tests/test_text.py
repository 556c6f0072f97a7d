"""Texts are evened out before models see them, and commands of Rasa's lose their power."""

from __future__ import annotations

import doctest

import pytest
from carethread_engine import text, turns
from carethread_engine.text import MAX_MODEL_CHARACTERS, even_out, says_something
from carethread_engine.turns import text_of_a_human


@pytest.mark.parametrize("module", [text, turns])
def test_the_examples_in_docstrings_hold(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_a_very_long_message_is_cut_for_the_models() -> None:
    assert len(even_out("word " * 10_000)) == MAX_MODEL_CHARACTERS


@pytest.mark.parametrize("silent", ["", "   ", "👍", "???", "…", "😂😂😂", "🙏🏽", ".", "¿¿??", "-----", "❤️"])
def test_without_a_letter_or_a_digit_nothing_is_said(silent: str) -> None:
    assert not says_something(silent)


@pytest.mark.parametrize("speaking", ["ok", "sí", "7", "七", "نعم", "k.", "👍 yes"])
def test_any_letter_or_digit_of_any_script_says_something(speaking: str) -> None:
    assert says_something(speaking)


@pytest.mark.parametrize("command", ["/restart", " /restart", "//restart", "/ /restart", "/"])
def test_no_text_of_a_human_is_a_command(command: str) -> None:
    assert not text_of_a_human(command).startswith("/")
