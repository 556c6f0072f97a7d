"""Pages from templates: escaped by default, times in the clinic's zone, codes in words."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from carethread.clinic import ConfigError
from carethread.yamls import parse

_HERE: Final = Path(__file__).parent
STATIC: Final = _HERE / "static"

Segment = tuple[str, bool]


def environment() -> Environment:
    """The console's templates with their filters; read once a process."""
    words = load_words(_HERE / "words.yml")
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    env.filters.update(
        word=lambda code, table: word(words, table, code),
        clock=clock,
        moment=moment,
        minutes=minutes,
        segments=segments,
        yes_no=lambda said: {"true": "Yes", "false": "No"}.get(said, said),
    )
    env.globals["static_version"] = _version(STATIC)
    return env


def load_words(path: Path) -> dict[str, dict[str, str]]:
    """Tables of code → words; raises `ConfigError` for anything else."""
    raw = parse(path.read_text(encoding="utf-8"))
    for table, entries in raw.items():
        if not isinstance(entries, dict) or not all(isinstance(text, str) and text for text in entries.values()):
            raise ConfigError(f"{path}: table '{table}' must map codes to words")
    return {table: dict(entries) for table, entries in raw.items()}


def word(words: dict[str, dict[str, str]], table: str, code: str) -> str:
    """The words for `code`; a code nobody wrote words for is readable all the same."""
    return words[table].get(code) or code.replace("_", " ").capitalize()


def clock(at: datetime, zone: ZoneInfo) -> str:
    """Time of day in the clinic's zone: `2:05 pm`."""
    local = at.astimezone(zone)
    return f"{local.hour % 12 or 12}:{local.minute:02} {'am' if local.hour < 12 else 'pm'}"


def moment(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """Time of day, with the day where it is not today's: `Mar 2, 2:05 pm`."""
    local = at.astimezone(zone)
    today = now.astimezone(zone)
    if local.date() == today.date():
        return clock(at, zone)
    day = f"{local:%b} {local.day}" if local.year == today.year else f"{local:%b} {local.day}, {local.year}"
    return f"{day}, {clock(at, zone)}"


def minutes(later: datetime, earlier: datetime) -> int:
    """Whole minutes from `earlier` to `later`, rounded away from zero: a deadline in 20 s is one minute off."""
    seconds = (later - earlier).total_seconds()
    return int(-(-seconds // 60)) if seconds > 0 else int(seconds // 60)


def segments(text: str, spans: Iterable[tuple[int, int]]) -> list[Segment]:
    """`text` cut into pieces, each with whether it lies in one of `spans`. Spans outside the text are cut to it."""
    marked = [False] * len(text)
    for start, end in spans:
        for index in range(max(0, start), min(len(text), end)):
            marked[index] = True
    pieces: list[Segment] = []
    start = 0
    for index in range(1, len(text) + 1):
        if index == len(text) or marked[index] != marked[start]:
            pieces.append((text[start:index], marked[start]))
            start = index
    return pieces


def _version(folder: Path) -> str:
    """Changes with any file, so that browsers may keep what they have and still get a new one at once."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
