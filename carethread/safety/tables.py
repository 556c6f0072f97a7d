"""Reads the YAML tables of `content/safety/` and remembers on which line everything stands.

Every scalar is text: YAML would read the Spanish and English word `no` as a boolean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from carethread.yamls import SAFE

LANGUAGES = ("en", "es")


class TableError(ValueError):
    """A table that cannot be used. The message names the file, the line and the mend."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value of a table together with where it stands."""

    where: str
    line: int
    value: Any = field(repr=False)

    def fail(self, message: str) -> TableError:
        """Return an error that points at this entry."""
        return TableError(f"{self.where}:{self.line}: {message}")

    def text(self, name: str) -> str:
        """Return the entry as non-empty text."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.fail(f"{name} must be a text; write one line of words")
        return self.value.strip()

    def number(self, name: str) -> int:
        """Return the entry as a whole number."""
        text = self.text(name)
        try:
            return int(text)
        except ValueError:
            raise self.fail(f"{name} is {text!r}, which is not a whole number") from None

    def items(self, name: str) -> list[Entry]:
        """Return the entry as a list of entries."""
        if not isinstance(self.value, list):
            raise self.fail(f"{name} must be a list; start each line with '- '")
        return list(self.value)

    def texts(self, name: str) -> list[str]:
        """Return the entry as a list of texts."""
        return [item.text(name) for item in self.items(name)]

    def fields(self, name: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()) -> Fields:
        """Return the entry as named fields, refusing missing ones and ones nobody reads."""
        if not isinstance(self.value, dict):
            raise self.fail(f"{name} must be a mapping with the keys {', '.join(required + optional)}")
        for key in required:
            if key not in self.value:
                raise self.fail(f"{name} lacks '{key}'; add it")
        known = required + optional
        if known:
            for key, entry in self.value.items():
                if key not in known:
                    raise entry.fail(f"{name} has '{key}', which nobody reads (known: {', '.join(known)})")
        return Fields(self, self.value)


@dataclass(frozen=True, slots=True)
class Fields:
    """The named fields of a mapping."""

    entry: Entry
    values: dict[str, Entry]

    def __getitem__(self, key: str) -> Entry:
        return self.values[key]

    def get(self, key: str) -> Entry | None:
        return self.values.get(key)

    def texts(self, key: str) -> list[str]:
        """Return the texts under a key that may be missing."""
        entry = self.values.get(key)
        return entry.texts(key) if entry else []

    def items(self, key: str) -> list[Entry]:
        """Return the entries under a key that may be missing."""
        entry = self.values.get(key)
        return entry.items(key) if entry else []

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)


def read_table(path: Path) -> Entry:
    """Read one YAML file.

    Raises `TableError` when the file is missing, is not YAML, or says a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TableError(f"{path}:1: the table is missing; restore it from the repository") from None
    except UnicodeDecodeError as error:
        raise TableError(f"{path}:1: the table is not UTF-8 ({error.reason}); save it as UTF-8") from None
    return parse_table(text, str(path))


def parse_table(text: str, where: str) -> Entry:
    """Parse the text of a table; `where` is the name used in errors."""
    try:
        node = yaml.compose(text, Loader=SAFE)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TableError(f"{where}:{line}: not YAML ({error.problem}); mend the line or quote the text") from None
    if node is None:
        raise TableError(f"{where}:1: the table is empty; restore it from the repository")
    return _entry(node, where)


def _entry(node: yaml.Node, where: str) -> Entry:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        return Entry(where, line, [_entry(child, where) for child in node.value])
    if isinstance(node, yaml.MappingNode):
        values: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in values:
                at = key_node.start_mark.line + 1
                raise TableError(f"{where}:{at}: '{key}' is said twice; keep one of them")
            values[key] = _entry(value_node, where)
        return Entry(where, line, values)
    return Entry(where, line, str(node.value))
