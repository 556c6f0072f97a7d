"""Words of a page of ours (`content/widget.yml`, `content/page.yml`), by key and language, checked at start."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from carethread.clinic import Clinic, ConfigError, line_of, read_text, read_yaml
from carethread.dialogue.plain import Text, refuse_hard
from carethread.safety.reading import Reading

_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
# Filled in here, from the clinic; a page's own ones are left for it.
_OF_CLINIC = ("clinic", "clinic_phone", "emergency_number", "crisis_line")


@dataclass(frozen=True, slots=True)
class PageTexts:
    """Language → key → text."""

    by_language: Mapping[str, Mapping[str, str]]

    def of(self, clinic: Clinic) -> dict[str, dict[str, str]]:
        """The texts in `clinic`'s languages, in its order, with its name and numbers filled in."""
        values = {
            "clinic": clinic.name,
            "clinic_phone": clinic.phone,
            "emergency_number": clinic.emergency_number,
            "crisis_line": clinic.crisis_line,
        }
        return {
            language: {
                key: _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)
                for key, text in self.by_language[language].items()
            }
            for language in clinic.languages
            if language in self.by_language
        }


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a page says: its keys, and the placeholders that it fills in itself. `whose` names it in errors."""

    whose: str
    keys: Sequence[str]
    own: Sequence[str] = ()

    def load(self, path: Path, reading: Reading | None = None) -> PageTexts:
        """Read the file; raises `ConfigError` with file, line and mend. With a measure none may be hard to read."""
        text = read_text(path, f"{self.whose} takes its words from it")
        raw = read_yaml(path, text)
        if not isinstance(raw, dict):
            raise ConfigError(f"{path}:1: must map each key to its text in each language")
        for key in self.keys:
            if key not in raw:
                raise ConfigError(f"{path}:1: lacks '{key}'; add it with en and es")
        first = raw[self.keys[0]]
        languages = list(first) if isinstance(first, dict) else ["en", "es"]
        for key, wordings in raw.items():
            self._check(path, text, str(key), wordings, languages)
        texts = PageTexts({language: {key: raw[key][language].strip() for key in self.keys} for language in languages})
        refuse_hard(placed_texts(path, texts), reading)
        return texts

    def _check(self, path: Path, text: str, key: str, wordings: object, languages: list[str]) -> None:
        def wrong(why: str) -> ConfigError:
            return ConfigError(f"{path}:{line_of(text, [key])}: '{key}' {why}")

        if key not in self.keys:
            raise wrong(f"is not a text of {self.whose}; remove it (known: {', '.join(self.keys)})")
        if not isinstance(wordings, dict):
            raise wrong("must map a language to its text")
        placeholders = (*_OF_CLINIC, *self.own)
        for language in languages:
            wording = wordings.get(language)
            if not isinstance(wording, str) or not wording.strip():
                raise wrong(f"has no text in '{language}'; write one")
            for name in _PLACEHOLDER.findall(wording):
                if name not in placeholders:
                    known = ", ".join(f"{{{known}}}" for known in placeholders)
                    raise wrong(f"in '{language}' holds {{{name}}}; use one of {known}")


def placed_texts(path: Path, texts: PageTexts) -> Iterator[Text]:
    """Every text with the line where it stands."""
    lines = {line.split(":")[0]: number for number, line in enumerate(read_text(path).splitlines(), 1)}
    for language, by_key in texts.by_language.items():
        for key, text in by_key.items():
            yield Text(f"{path}:{lines.get(key, 1)}", f"'{key}'", language, text)
