"""The examples in `content/safety/examples/`: the learned alarm is fitted to them, a changed table is held to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from carethread.safety.levels import Level
from carethread.safety.tables import LANGUAGES, TableError

EXAMPLE_LEVELS: Final[tuple[Level, ...]] = ("none", "emergency", "crisis", "urgent")


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what it is. `ordinary`: background from the intents' training data, no look-alike; `unclear`: of
    which nobody could say that it is harmless without knowing what was asked before.
    """

    text: str
    level: Level
    ordinary: bool = False
    unclear: bool = False


def example_texts(directory: Path) -> list[Example]:
    """The examples of `content/safety/examples/`: one text a line, `#` begins a comment."""
    found: list[Example] = []
    for level in EXAMPLE_LEVELS:
        for language in LANGUAGES:
            path = directory / "examples" / f"{level}.{language}.txt"
            try:
                lines = path.read_text(encoding="utf-8").splitlines()
            except FileNotFoundError:
                raise TableError(f"{path}: the examples are missing; write one text a line") from None
            found += [Example(line.strip(), level) for line in lines if line.strip() and not line.startswith("#")]
    return found


def digest(examples: Iterable[Example]) -> str:
    """What a model was made of: changes when a text or its level does."""
    lines = sorted({f"{example.level}\t{example.text}" for example in examples if not example.ordinary})
    return sha256("\n".join(lines).encode()).hexdigest()[:16]
