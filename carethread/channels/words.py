"""Every page's own words, as an installation has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from carethread.channels.page.texts import PAGE
from carethread.channels.texts import placed_texts
from carethread.channels.web.texts import WIDGET
from carethread.dialogue.plain import Text
from carethread.safety.reading import Reading

_FILES = {"widget.yml": WIDGET, "page.yml": PAGE}


def load_words(content_dir: Path, reading: Reading | None = None) -> list[Text]:
    """Read every page's file; raises `ConfigError` with file, line and mend. Returns the texts with their places."""
    return [text for name, words in _FILES.items() for text in _placed(content_dir / name, name, reading)]


def _placed(path: Path, name: str, reading: Reading | None) -> Iterator[Text]:
    yield from placed_texts(path, _FILES[name].load(path, reading))
