"""Labelled texts: what a message says and what it should be taken for, one JSON object a line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from carethread.clinic import ConfigError

OUT_OF_SCOPE = "out_of_scope"
UNSAID = ""  # the intent of a text that is only labelled for its entities
DIMENSIONS = ("language", "channel", "noise")  # what a line may say about its text besides


class ExampleError(ConfigError):
    """A line of labelled texts cannot be used; the text says where and how to mend it."""


@dataclass(frozen=True, slots=True)
class Entity:
    """Something named in a text: its kind, and its value after synonyms, such as specialty "cardiology".

    A value of None is what must be asked for ("before my trip"). `words` are those of the text that name it, and
    `by_words` says that a label gives nothing else.
    """

    kind: str
    value: str | None
    words: str = ""
    by_words: bool = False

    def is_found_in(self, other: Entity) -> bool:
        """Whether `other`, which was read, is what this label means; capitals do not count."""
        if self.kind != other.kind:
            return False
        if self.by_words:
            return self.words.casefold() == other.words.casefold()
        return (self.value is None) == (other.value is None) and (self.value or "").casefold() == (
            other.value or ""
        ).casefold()


@dataclass(frozen=True, slots=True)
class Example:
    """A text and what it should be taken for. `entities` is None where nobody said which there are.

    `intent` is `UNSAID` where only the entities are labelled. `now` is the moment that days and times are seen from.
    """

    text: str
    intent: str
    language: str | None = None
    channel: str | None = None
    noise: str | None = None
    entities: tuple[Entity, ...] | None = None
    now: datetime | None = None


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
    if intent is None:
        if fields.get("entities") is None:
            raise ExampleError(f'{place}: no intent null without entities; leave "intent" out for out of scope')
        intent = UNSAID
    elif not isinstance(intent, str) or intent not in intents:
        near = difflib.get_close_matches(str(intent), intents, n=1)
        mend = f"perhaps '{near[0]}' is meant" if near else "name one of domain.yml, or leave it out for out of scope"
        raise ExampleError(f"{place}: no intent {json.dumps(intent, ensure_ascii=False)} in domain.yml; {mend}")
    named = {name: fields.get(name) for name in DIMENSIONS}
    for name, value in named.items():
        if value is not None and (not isinstance(value, str) or not value):
            raise ExampleError(f'{place}: "{name}" is {json.dumps(value)}; give a word or leave it out')
    entities = _entities(fields.get("entities"), text, place)
    return Example(text, intent, entities=entities, now=_moment(fields.get("now"), place), **named)


def _moment(given: Any, place: str) -> datetime | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ExampleError(f'{place}: "now" is {json.dumps(given)}; give a moment like 2026-03-02T09:00:00-06:00')
    return moment


def _entities(given: Any, text: str, place: str) -> tuple[Entity, ...] | None:
    if given is None:
        return None
    found = [_entity(one, text) for one in given] if isinstance(given, list) else [None]
    if None in found:
        mend = 'give a list like [{"entity": "specialty", "value": "cardiology"}], or "text" for the words that name it'
        raise ExampleError(f'{place}: "entities" cannot be read; {mend}, [] for none, or leave it out')
    return tuple(one for one in found if one is not None)


def _entity(given: Any, text: str) -> Entity | None:
    """By its value (None is one: to be asked for), or else by the words that name it; None for what is neither."""
    if not isinstance(given, dict) or not isinstance(given.get("entity"), str):
        return None
    kind = given["entity"]
    if "value" in given:
        value = given["value"]
        return Entity(kind, value) if value is None or isinstance(value, str) else None
    words = given.get("text")
    start, end = given.get("start"), given.get("end")
    if words is None and isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text):
        words = text[start:end]
    if isinstance(words, str) and words.casefold() in text.casefold():
        return Entity(kind, None, words, by_words=True)
    return None
