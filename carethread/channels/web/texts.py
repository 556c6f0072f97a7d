"""The widget's own words (`content/widget.yml`), by key and language, checked at start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from carethread.clinic import Clinic, ConfigError, line_of, read_text, read_yaml
from carethread.dialogue.plain import Text, refuse_hard
from carethread.safety.reading import Reading

# What the widget says. A file that lacks one of these, or holds another, is refused.
KEYS = (
    "language_name",
    "launcher",
    "launcher_unread",
    "title",
    "assistant_line",
    "human_line",
    "emergency_line",
    "emergency_now",
    "emergency_call",
    "crisis_now",
    "crisis_call",
    "close",
    "log_label",
    "greeting",
    "starters_label",
    "starter_1",
    "starter_2",
    "starter_3",
    "starter_4",
    "message_label",
    "message_placeholder",
    "send",
    "typing",
    "from_you",
    "from_assistant",
    "from_staff",
    "state_sending",
    "state_waiting",
    "state_sent",
    "state_delivered",
    "state_read",
    "state_failed",
    "retry",
    "discard",
    "offline",
    "back_online",
    "more_below",
    "too_long",
    "choices_label",
    "clear",
    "clear_confirm",
    "clear_yes",
    "clear_no",
)
_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
# Filled in here, from the clinic; `count` is left for the widget.
_PLACEHOLDERS = ("clinic", "clinic_phone", "emergency_number", "crisis_line", "count")


@dataclass(frozen=True, slots=True)
class WidgetTexts:
    """Language → key → text."""

    by_language: Mapping[str, Mapping[str, str]]

    def of(self, clinic: Clinic) -> dict[str, dict[str, str]]:
        """The texts in `clinic`'s languages, in its order, with its name and numbers filled in."""
        values = {
            "clinic": clinic.name,
            "clinic_phone": clinic.phone,
            "emergency_number": clinic.emergency_number,
            "crisis_line": clinic.crisis_line,
            "count": "{count}",
        }
        return {
            language: {
                key: _PLACEHOLDER.sub(lambda match: values[match[1]], text)
                for key, text in self.by_language[language].items()
            }
            for language in clinic.languages
            if language in self.by_language
        }


def load_texts(path: Path, reading: Reading | None = None) -> WidgetTexts:
    """Read `widget.yml`; raises `ConfigError` with file, line and mend. With a measure none may be hard to read."""
    text = read_text(path, "the web chat takes its words from it")
    raw = read_yaml(path, text)
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}:1: must map each key to its text in each language")
    for key in KEYS:
        if key not in raw:
            raise ConfigError(f"{path}:1: lacks '{key}'; add it with en and es")
    languages = list(raw[KEYS[0]]) if isinstance(raw[KEYS[0]], dict) else ["en", "es"]
    for key, wordings in raw.items():
        _check(path, text, str(key), wordings, languages)
    texts = WidgetTexts({language: {key: raw[key][language].strip() for key in KEYS} for language in languages})
    refuse_hard(placed_texts(path, texts), reading)
    return texts


def placed_texts(path: Path, texts: WidgetTexts) -> Iterator[Text]:
    """Every text with the line where it stands."""
    lines = {line.split(":")[0]: number for number, line in enumerate(read_text(path).splitlines(), 1)}
    for language, by_key in texts.by_language.items():
        for key, text in by_key.items():
            yield Text(f"{path}:{lines.get(key, 1)}", f"'{key}'", language, text)


def _check(path: Path, text: str, key: str, wordings: object, languages: list[str]) -> None:
    def wrong(why: str) -> ConfigError:
        return ConfigError(f"{path}:{line_of(text, [key])}: '{key}' {why}")

    if key not in KEYS:
        raise wrong(f"is not a text of the widget; remove it (known: {', '.join(KEYS)})")
    if not isinstance(wordings, dict):
        raise wrong("must map a language to its text")
    for language in languages:
        wording = wordings.get(language)
        if not isinstance(wording, str) or not wording.strip():
            raise wrong(f"has no text in '{language}'; write one")
        for name in _PLACEHOLDER.findall(wording):
            if name not in _PLACEHOLDERS:
                known = ", ".join(f"{{{known}}}" for known in _PLACEHOLDERS)
                raise wrong(f"in '{language}' holds {{{name}}}; use one of {known}")
