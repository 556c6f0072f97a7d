"""The deterministic readings of a text that come before anything that can be down."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carethread.safety.keywords import Keyword, Keywords, load_keywords
from carethread.safety.language import LanguageTable, decide_language, load_language_table
from carethread.safety.screening import Screener, Screening, load_screener


@dataclass(frozen=True, slots=True)
class Screens:
    """Red flags, carrier keywords and language, from the tables in `content/safety/`."""

    screener: Screener
    keywords: Keywords
    languages: LanguageTable

    def screen(self, text: str, earlier: Iterable[str] = (), facts: Iterable[str] = ()) -> Screening:
        """Screen a text; signs in `earlier` texts of the same patient and facts of their chart count too."""
        known = frozenset(facts).union(*(self.screener.rules.screen(before).signs for before in earlier))
        return self.screener.screen(text, known)

    def keyword(self, text: str, channel: str, stopped: bool) -> Keyword | None:
        return self.keywords.read(text, channel=channel, stopped=stopped)

    def language(self, text: str, current: str, supported: tuple[str, ...]) -> str:
        """The language to go on in after this message."""
        return decide_language(text, current, supported, self.languages).language


def load_screens(directory: Path) -> Screens:
    """Read `content/safety`; raises with file, line and mend for a bad table."""
    return Screens(
        load_screener(directory),
        load_keywords(directory / "keywords.yml"),
        load_language_table(directory / "language.yml"),
    )
