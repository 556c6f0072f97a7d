"""Carrier keywords are whole messages, never words inside of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from carethread.safety.keywords import Keyword, Keywords, load_keywords
from carethread.safety.tables import TableError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def keywords() -> Keywords:
    return load_keywords(ROOT / "content" / "safety" / "keywords.yml")


@pytest.mark.parametrize(
    ("text", "channel", "keyword"),
    [
        ("STOP", "sms", Keyword.STOP),
        ("stop", "web", Keyword.STOP),
        (" Stop. ", "whatsapp", Keyword.STOP),
        ('"STOP"', "sms", Keyword.STOP),
        ("StopAll", "sms", Keyword.STOP),
        ("stop all", "sms", Keyword.STOP),
        ("UNSUBSCRIBE!", "sms", Keyword.STOP),
        ("alto", "sms", Keyword.STOP),
        ("¡ALTO!", "whatsapp", Keyword.STOP),
        ("parar", "sms", Keyword.STOP),
        ("Basta", "sms", Keyword.STOP),
        ("cancel", "sms", Keyword.STOP),
        ("END", "sms", Keyword.STOP),
        ("quit", "sms", Keyword.STOP),
        ("cancel", "web", None),
        ("cancel", "whatsapp", None),
        ("cancelar", "sms", None),
        ("end", "web", None),
        ("START", "sms", Keyword.START),
        ("unstop", "sms", Keyword.START),
        ("iniciar", "sms", Keyword.START),
        ("HELP", "sms", Keyword.HELP),
        ("info", "sms", Keyword.HELP),
        ("ayuda", "sms", Keyword.HELP),
        ("¡Ayuda!", "web", Keyword.HELP),
        ("STOP my appointment", "sms", None),
        ("please stop", "sms", None),
        ("stop it hurts", "sms", None),
        ("help me", "sms", None),
        ("ayuda no respira", "sms", None),
        ("yes", "sms", None),
        ("", "sms", None),
        ("🛑", "sms", None),
    ],
)
def test_keyword(keywords: Keywords, text: str, channel: str, keyword: Keyword | None) -> None:
    assert keywords.read(text, channel=channel) is keyword


def test_yes_starts_again_only_after_a_stop(keywords: Keywords) -> None:
    assert keywords.read("Yes", channel="sms", stopped=True) is Keyword.START
    assert keywords.read("sí", channel="sms", stopped=True) is Keyword.START
    assert keywords.read("Yes", channel="sms") is None
    assert keywords.read("Yes", channel="web", stopped=True) is None


def test_one_word_cannot_mean_two_things(tmp_path: Path) -> None:
    path = tmp_path / "keywords.yml"
    path.write_text(
        "keywords:\n  - {keyword: stop, source: x, words: [alto]}\n  - {keyword: help, source: x, words: [ALTO]}\n",
        encoding="utf-8",
    )
    with pytest.raises(TableError, match=r"keywords\.yml:3: 'alto' is already 'stop'"):
        load_keywords(path)


def test_an_unknown_keyword_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keywords.yml"
    path.write_text("keywords:\n  - {keyword: pause, source: x, words: [wait]}\n", encoding="utf-8")
    with pytest.raises(TableError, match=r"keywords\.yml:2: keyword 'pause' is not known"):
        load_keywords(path)
