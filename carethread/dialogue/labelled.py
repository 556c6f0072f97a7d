"""Labelled texts: what a message says and what it should be taken for, one JSON object a line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from carethread.clinic import ConfigError

OUT_OF_SCOPE = "out_of_scope"
DIMENSIONS = ("language", "channel", "noise")  # what a line may say about its text besides


class ExampleError(ConfigError):
    """A line of labelled texts cannot be used; the text says where and how to mend it."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Something named in a text: its kind, and its value after synonyms, such as specialty "cardiology"."""

    kind: str
    value: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes two the same; capitals do not count in a value."""
        return self.kind, self.value.casefold()


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what it should be taken for. `entities` is None where nobody said which there are."""

    text: str
    intent: str
    language: str | None = None
    channel: str | None = None
    noise: str | None = None
    entities: tuple[Entity, ...] | None = None


def read_example(line: str, place: str, intents: Collection[str]) -> Example:
    """The example on a line of JSON. `place` is its file:line and `intents` are those that may be named.

    Raises `ExampleError` for a line that is none, with the place and the mend.
    """
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise ExampleError(f"{place}: not JSON ({error}); give one object a line") from None
    if not isinstance(fields, dict):
        raise ExampleError(f'{place}: not an object; give one like {{"text": "hello", "intent": "greet"}}')
    text = fields.get("text")
    if not isinstance(text, str) or not text.strip():
        raise ExampleError(f'{place}: no text; give the words of a message as "text"')
    if any("\ud800" <= sign <= "\udfff" for sign in text):
        raise ExampleError(f"{place}: the text holds half of a character; write it whole, not as \\ud800 to \\udfff")
    intent = fields.get("intent", OUT_OF_SCOPE)
    if not isinstance(intent, str) or intent not in intents:
        near = difflib.get_close_matches(str(intent), intents, n=1)
        mend = f"perhaps '{near[0]}' is meant" if near else "name one of domain.yml, or leave it out for out of scope"
        raise ExampleError(f"{place}: no intent {json.dumps(intent, ensure_ascii=False)} in domain.yml; {mend}")
    named = {name: fields.get(name) for name in DIMENSIONS}
    for name, value in named.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise ExampleError(f'{place}: "{name}" is {json.dumps(value)}; give a word or leave it out')
    return Example(text, intent, entities=_entities(fields.get("entities"), place), **named)


def _entities(given: Any, place: str) -> tuple[Entity, ...] | None:
    if given is None:
        return None
    if not isinstance(given, list) or not all(
        isinstance(one, dict) and isinstance(one.get("entity"), str) and isinstance(one.get("value"), str)
        for one in given
    ):
        mend = 'give a list like [{"entity": "specialty", "value": "cardiology"}]'
        raise ExampleError(f'{place}: "entities" cannot be read; {mend}, [] for none, or leave it out')
    return tuple(Entity(one["entity"], one["value"]) for one in given)
