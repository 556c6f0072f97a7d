"""Carrier keywords: STOP, START and HELP as whole messages. Words and reasons: `content/safety/keywords.yml`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from carethread.safety.tables import read_table
from carethread.safety.text import fold

_NO_WORD = re.compile(r"[\W_]+")


class Keyword(StrEnum):
    """What a keyword asks for."""

    STOP = "stop"
    START = "start"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class _Row:
    keyword: Keyword
    channels: frozenset[str] | None  # None: every channel
    only_stopped: bool


@dataclass(frozen=True, slots=True)
class Keywords:
    """The keyword table."""

    rows: Mapping[str, tuple[_Row, ...]]

    def read(self, text: str, *, channel: str, stopped: bool = False) -> Keyword | None:
        """Return the keyword that the whole message is, if it is one.

        `stopped` says that this patient has stopped messages on this channel: then a plain "yes" starts them again.
        """
        for row in self.rows.get(_plain(text), ()):
            if (row.channels is None or channel in row.channels) and (stopped or not row.only_stopped):
                return row.keyword
        return None


def load_keywords(path: Path) -> Keywords:
    """Load the keyword table; raise `TableError` with file, line and mend for a bad one."""
    table = read_table(path).fields("the keyword table", required=("keywords",))
    rows: dict[str, tuple[_Row, ...]] = {}
    for entry in table.items("keywords"):
        fields = entry.fields(
            "a keyword", required=("keyword", "source", "words"), optional=("channels", "only_stopped")
        )
        name = fields["keyword"].text("keyword")
        if name not in list(Keyword):
            raise fields["keyword"].fail(f"keyword '{name}' is not known (keywords: {', '.join(Keyword)})")
        only_stopped = fields.get("only_stopped")
        row = _Row(
            Keyword(name),
            frozenset(fields.texts("channels")) or None,
            only_stopped is not None and only_stopped.text("only_stopped") == "true",
        )
        for item in fields.items("words"):
            word = _plain(item.text("a word"))
            if not word:
                raise item.fail("a keyword needs letters; write a word or remove the line")
            taken = rows.get(word, ())
            if any(other.channels == row.channels and other.keyword != row.keyword for other in taken):
                raise item.fail(f"'{word}' is already '{taken[0].keyword}'; a word can be only one keyword")
            rows[word] = (*taken, row)
    return Keywords(rows)


def _plain(text: str) -> str:
    return _NO_WORD.sub(" ", fold(text)[0]).strip()
