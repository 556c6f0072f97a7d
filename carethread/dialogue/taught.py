"""The training data in data/nlu/<language>/: where an intent's examples stand, and adding one to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from carethread.clinic import ConfigError
from carethread.questionnaires.readings.text import fold
from carethread.yamls import parse

_ANNOTATION = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")


class NotTaught(ConfigError):
    """An example cannot be added; the text says why."""


@dataclass(frozen=True, slots=True)
class Taught:
    """The files of one language."""

    folder: Path

    def texts(self) -> dict[str, str]:
        """Every example, folded, with its intent."""
        found: dict[str, str] = {}
        for path in sorted(self.folder.glob("*.yml")):
            for block in parse(path.read_text(encoding="utf-8")).get("nlu", ()):
                if "intent" in block:
                    found |= {_key(line): str(block["intent"]) for line in _examples(block["examples"])}
        return found

    def file_of(self, intent: str) -> Path:
        """The file with the intent's examples; raises `NotTaught` where there is none."""
        wanted = re.compile(rf"^  - intent: {re.escape(intent)}\s*$", re.MULTILINE)
        for path in sorted(self.folder.glob("*.yml")):
            if wanted.search(path.read_text(encoding="utf-8")):
                return path
        raise NotTaught(
            f"{self.folder}: no examples of '{intent}' here; begin its block in the file of its topic first"
        )

    def add(self, text: str, intent: str) -> Path:
        """Write one more example at the end of the intent's; returns the file. `NotTaught` if it is there."""
        line = " ".join(text.split())
        if not line or "\n" in text.strip() or _ANNOTATION.search(line):
            raise NotTaught(f"{line!r}: one line of plain words is needed")
        if taught := self.texts().get(_key(line)):
            raise NotTaught(f"{line!r}: it is an example of '{taught}' already")
        path = self.file_of(intent)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        start = next(place for place, one in enumerate(lines) if one.rstrip() == f"  - intent: {intent}")
        end = start + 1
        while end < len(lines) and not lines[end].startswith("  - "):
            end += 1
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1  # blank lines and comments belong to what follows
        lines.insert(end, f"      - {line}\n")
        content = "".join(lines)
        blocks = parse(content)["nlu"]
        if not any(block.get("intent") == intent and line in _examples(block["examples"]) for block in blocks):
            raise NotTaught(f"{path}: the example would not be read back as written; add it by hand")
        path.write_text(content, encoding="utf-8")
        return path


def _examples(block: str) -> list[str]:
    return [line.strip().removeprefix("- ").strip() for line in block.splitlines() if line.strip()]


def _key(text: str) -> str:
    return " ".join(fold(_ANNOTATION.sub(r"\1", text)).text.split())
