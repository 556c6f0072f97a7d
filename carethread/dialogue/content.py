"""Every word a patient can get: `content/messages/*.yml`, by key and language, checked at start and read live.

A message names its parameters with a type. Types say how a value is written for the patient's language:
`text`, `name`, `number`, `date`, `time`, `datetime`, `url`, `phone`, or `[other_key]`: a list in which each
item is rendered with that key. A line whose placeholders are all empty is left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog
import yaml
from babel.dates import format_date, format_datetime, format_time

from carethread.clinic import Channel, Clinic, ConfigError, read_text, read_yaml
from carethread.dialogue.plain import Text, refuse_hard
from carethread.questionnaires.readings import Option
from carethread.safety.guard import Guard
from carethread.safety.reading import Reading
from carethread.yamls import SAFE

log = structlog.get_logger()

LANGUAGES = ("en", "es")
TYPES = ("text", "name", "number", "date", "time", "datetime", "url", "phone")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_KEY = re.compile(r"^[a-z]+(_[a-z0-9]+)*$")
# Known to every text, from the clinic.
_CLINIC_PARAMETERS = ("clinic", "clinic_phone", "emergency_number", "crisis_line")
# How a moment is written, for Babel.
_FORMATS = {
    "en": {"date": "EEEE, MMMM d", "time": "h:mm a", "datetime": "EEEE, MMMM d 'at' h:mm a"},
    "es": {"date": "EEEE d 'de' MMMM", "time": "h:mm a", "datetime": "EEEE d 'de' MMMM 'a las' h:mm a"},
}
_LOCALES = {"en": "en_US", "es": "es_US"}
# Rasa gives these names a meaning of its own in what an action says.
_RESERVED = {"text", "image", "buttons", "elements", "attachment", "custom", "template", "response", "response_id"}
_ALLOWED = {"parameters", "care", "source", "buttons_from", "choices_in_text", *LANGUAGES}
_ALLOWED_TEXT = {"text", "sms", "whatsapp", "web", "button", "quick_replies"}


class ContentError(ConfigError):
    """A message cannot be rendered or a content file cannot be used; the text says where and how to mend it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One message in one language."""

    text: str
    by_channel: Mapping[str, str]
    button: str
    quick_replies: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One content key in all languages. `care`: says something about a patient's care."""

    key: str
    parameters: Mapping[str, str]
    care: bool
    buttons_from: str | None
    choices_in_text: bool
    wordings: Mapping[str, Wording]
    version: str
    place: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a patient will read, and where it came from."""

    key: str
    version: str
    language: str
    text: str
    quick_replies: tuple[tuple[str, str], ...]  # (title, what pressing it says)
    care: bool


class Content:
    """A checked set of messages."""

    def __init__(self, messages: Mapping[str, Message], guard: Guard | None = None) -> None:
        self._messages = messages
        self.guard = guard  # what no text may say, whoever filled it in; None where nothing but fixed words is said

    def __contains__(self, key: str) -> bool:
        return key in self._messages

    def __iter__(self) -> Any:
        return iter(self._messages.values())

    def texts(self) -> Iterator[Text]:
        """Everything that is read: each text for each channel, each button."""
        for message in self._messages.values():
            for language, wording in message.wordings.items():
                buttons = [option.label for option in wording.quick_replies] + [wording.button]
                said = [(f"'{message.key}'", text) for text in (wording.text, *wording.by_channel.values())]
                said += [(f"a button of '{message.key}'", button) for button in buttons if button]
                for what, text in said:
                    yield Text(message.place, what, language, text)

    def message(self, key: str) -> Message:
        """The message `key`; raises `ContentError` for one that nobody wrote."""
        if (message := self._messages.get(key)) is None:
            raise ContentError(
                f"content/messages: no message '{key}'; write it in English and Spanish, or mend the name"
            )
        return message

    def options(self, key: str, language: str) -> tuple[Option, ...]:
        """What a patient may answer to `key`: the quick replies with the other words people use for them."""
        return self.message(key).wordings[language].quick_replies

    def word(self, key: str, language: str) -> str:
        """A word or phrase that goes into other texts, such as "Yes"."""
        return self.message(key).wordings[language].text

    @staticmethod
    def moment_words(moment: datetime, language: str) -> tuple[str, ...]:
        """The ways a patient writes a time that was offered: in full, the weekday, the date, the hour."""
        locale = _LOCALES[language]
        patterns = ("EEEE", "EEE", "MMMM d", "d 'de' MMMM", "M/d", "h:mm a", "h:mm", "EEEE h:mm a", "ha")
        full = write("datetime", moment, zone=moment.tzinfo, language=language)  # type: ignore[arg-type]
        return (
            full,
            *(format_datetime(moment.replace(tzinfo=None), p, locale=locale).replace("\u202f", " ") for p in patterns),
        )

    def render(
        self, key: str, parameters: Mapping[str, Any], *, clinic: Clinic, language: str, channel: Channel
    ) -> Rendered:
        """The words of `key` for one patient; raises `ContentError` for an unknown key or parameter."""
        message = self.message(key)
        language = language if language in message.wordings else clinic.languages[0]
        wording = message.wordings[language]
        values = _clinic_values(clinic, language)
        for name, kind in message.parameters.items():
            if name not in parameters:
                raise ContentError(f"{message.place}: '{key}' was said without its parameter '{name}'")
            values[name] = self._value(kind, parameters[name], clinic=clinic, language=language, channel=channel)
        text = _fill(wording.by_channel.get(channel, wording.text), values)
        replies = self._quick_replies(message, wording, parameters, clinic=clinic, language=language)
        if replies and channel != "web" and message.choices_in_text:
            choices = " / ".join(title for title, _ in replies)
            asked = self.render(
                "channel_choices", {"choices": choices}, clinic=clinic, language=language, channel="web"
            )
            text = f"{text}\n{asked.text}"
        return Rendered(key, message.version, language, text, replies, message.care)

    def _value(self, kind: str, value: Any, *, clinic: Clinic, language: str, channel: Channel) -> str:
        if value is None or value == "":
            return ""
        if kind.startswith("["):
            item_key = kind[1:-1]
            return "\n".join(
                self.render(item_key, item, clinic=clinic, language=language, channel=channel).text for item in value
            )
        return write(kind, value, zone=clinic.zone, language=language)

    def _quick_replies(
        self, message: Message, wording: Wording, parameters: Mapping[str, Any], *, clinic: Clinic, language: str
    ) -> tuple[tuple[str, str], ...]:
        fixed = tuple((option.label, option.label) for option in wording.quick_replies)
        if message.buttons_from is None:
            return fixed
        item = self.message(message.parameters[message.buttons_from][1:-1])
        listed = []
        for values in parameters[message.buttons_from]:
            written = _clinic_values(clinic, language) | {
                name: write(kind, values.get(name) or "", zone=clinic.zone, language=language)
                for name, kind in item.parameters.items()
                if not kind.startswith("[")
            }
            title = _fill(item.wordings[language].button, written)
            listed.append((title, title))
        return tuple(listed) + fixed


def write(kind: str, value: Any, *, zone: ZoneInfo, language: str) -> str:
    """A typed value as a patient reads it. Moments are ISO 8601 or datetime objects, shown in `zone`."""
    if value == "":
        return ""
    if kind in ("date", "time", "datetime"):
        locale, pattern = _LOCALES[language], _FORMATS[language][kind]
        if kind == "date":
            return format_date(_as_date(value, zone), pattern, locale=locale)
        moment = _as_datetime(value, zone)
        # Babel parts the clock and its am/pm with a narrow space that old phones show as a box.
        written = (format_time if kind == "time" else format_datetime)(moment, pattern, locale=locale)
        return written.replace("\u202f", " ").replace("\xa0", " ")
    if kind == "number":
        return f"{value:g}" if isinstance(value, float) else str(value)
    return str(value).strip()


def _as_datetime(value: Any, zone: ZoneInfo) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.astimezone(zone).replace(tzinfo=None)


def _as_date(value: Any, zone: ZoneInfo) -> date:
    if isinstance(value, datetime) or (isinstance(value, str) and "T" in value):
        return _as_datetime(value, zone).date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _clinic_values(clinic: Clinic, language: str) -> dict[str, str]:
    facts = {
        f"fact_{name}": texts.get(language, texts.get(clinic.languages[0], "")) for name, texts in clinic.facts.items()
    }
    return facts | {
        "clinic": clinic.name,
        "clinic_phone": clinic.phone,
        "emergency_number": clinic.emergency_number,
        "crisis_line": clinic.crisis_line,
    }


def _fill(template: str, values: Mapping[str, str]) -> str:
    lines = []
    for line in template.splitlines():
        names = _PLACEHOLDER.findall(line)
        if names and not any(values.get(name) for name in names):
            continue
        lines.append(_PLACEHOLDER.sub(lambda match: values.get(match[1], ""), line).rstrip())
    return "\n".join(lines).strip()


def load_content(
    directory: Path, *, facts: Sequence[str] = (), guard: Guard | None = None, reading: Reading | None = None
) -> Content:
    """Read and check `directory/messages/*.yml`; raises `ConfigError` naming file, line and mend.

    With a guard the texts of first contact must say what it asks of them; with a measure none may be hard to read.
    """
    messages: dict[str, Message] = {}
    for path in sorted((directory / "messages").glob("*.yml")):
        for message in _read(path):
            if message.key in messages:
                raise ContentError(f"{message.place}: '{message.key}' is already in {messages[message.key].place}")
            messages[message.key] = message
    if not messages:
        raise ContentError(f"{directory}/messages: holds no messages; the assistant would have nothing to say")
    for message in messages.values():
        _check_links(message, messages, [*_CLINIC_PARAMETERS, *(f"fact_{fact}" for fact in facts)])
    content = Content(messages, guard)
    _check_disclosure(content)
    refuse_hard(content.texts(), reading)
    return content


def _read(path: Path) -> list[Message]:
    text = read_text(path)
    raw = read_yaml(path, text)
    root = yaml.compose(text, Loader=SAFE)
    if not isinstance(root, yaml.MappingNode) or not isinstance(raw, dict):
        raise ContentError(f"{path}:1: a content file maps keys to messages")
    lines: dict[str, int] = {}
    for node, _ in root.value:
        if node.value in lines:
            raise ContentError(
                f"{path}:{node.start_mark.line + 1}: '{node.value}' stands twice (line {lines[node.value]}); keep one"
            )
        lines[node.value] = node.start_mark.line + 1
    # A key that YAML reads as something else than text (`yes`, `1`) is not found, and so is no key.
    return [_message(key, raw.get(key), f"{path}:{line}") for key, line in lines.items()]


def _message(key: str, raw: Any, place: str) -> Message:
    if not _KEY.match(key):
        raise ContentError(f"{place}: key '{key}' is not lower_case_with_underscores")
    if not isinstance(raw, dict) or (unknown := set(raw) - _ALLOWED):
        named = ", ".join(sorted(map(str, unknown))) if isinstance(raw, dict) else str(raw)
        raise ContentError(f"{place}: '{key}' has unknown fields: {named} (known: {', '.join(sorted(_ALLOWED))})")
    for language in LANGUAGES:
        if language not in raw:
            raise ContentError(f"{place}: '{key}' has no '{language}'; write it before it can be used")
    wordings = {language: _wording(f"'{key}' ({language})", raw[language], place) for language in LANGUAGES}
    version = hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()[:10]
    return Message(
        key, _parameters(key, raw.get("parameters", {}), place), bool(raw.get("care")), raw.get("buttons_from"),
        bool(raw.get("choices_in_text", True)), wordings, version, place,
    )  # fmt: skip


def _parameters(key: str, raw: Any, place: str) -> dict[str, str]:
    """`{start: datetime, visits: [line_visit]}`."""
    found = {}
    for name, kind in raw.items() if isinstance(raw, dict) else [(raw, None)]:
        if isinstance(kind, list) and len(kind) == 1:
            kind = f"[{kind[0]}]"
        if not isinstance(kind, str):
            raise ContentError(f"{place}: the parameters of '{key}' map each name to its type, not so: {name}")
        found[str(name)] = kind
    return found


def _wording(what: str, raw: Any, place: str) -> Wording:
    if isinstance(raw, str):
        raw = {"text": raw}
    if not isinstance(raw, dict) or not raw.get("text"):
        raise ContentError(f"{place}: {what} has no text; write it")
    if unknown := set(raw) - _ALLOWED_TEXT:
        raise ContentError(f"{place}: {what} has unknown fields: {', '.join(sorted(map(str, unknown)))}")
    for name, text in raw.items():
        if name != "quick_replies" and not isinstance(text, str):
            raise ContentError(f"{place}: {what} has a '{name}' that is no text ({text}); put it in quotes")
    by_channel = {channel: raw[channel] for channel in ("sms", "whatsapp", "web") if channel in raw}
    return Wording(raw["text"], by_channel, raw.get("button", ""), _options(raw.get("quick_replies", ()), what, place))


def _options(raw: Any, what: str, place: str) -> tuple[Option, ...]:
    """`Yes`, or `{value: yes, title: Yes, words: [sure, ok]}`."""
    options = []
    for item in raw if isinstance(raw, list | tuple) else [None]:
        if isinstance(item, str):
            options.append(Option(item, item))
        elif isinstance(item, dict) and {"value", "title"} <= set(item) <= {"value", "title", "words"}:
            options.append(Option(str(item["value"]), str(item["title"]), tuple(str(w) for w in item.get("words", ()))))
        else:
            raise ContentError(
                f"{place}: a quick reply of {what} is a text (Yes and No in quotes), or has value, title and words"
            )
    return tuple(options)


def _check_links(message: Message, messages: Mapping[str, Message], known: Sequence[str]) -> None:
    for name, kind in message.parameters.items():
        if name in _RESERVED:
            raise ContentError(f"{message.place}: parameter '{name}' is a word of Rasa's; give it another name")
        if kind.startswith("["):
            if kind[1:-1] not in messages:
                raise ContentError(f"{message.place}: parameter '{name}' lists '{kind[1:-1]}', which is no message")
        elif kind not in TYPES:
            raise ContentError(
                f"{message.place}: parameter '{name}' has type '{kind}' (known: {', '.join(TYPES)}, [key])"
            )
    if message.buttons_from and not message.parameters.get(message.buttons_from, "").startswith("["):
        raise ContentError(
            f"{message.place}: buttons_from '{message.buttons_from}' is no list parameter of '{message.key}'"
        )
    for language, wording in message.wordings.items():
        texts = [wording.text, wording.button, *wording.by_channel.values()]
        if any("{" in (rest := _PLACEHOLDER.sub("", text)) or "}" in rest for text in texts):
            raise ContentError(
                f"{message.place}: '{message.key}' ({language}) has a brace that is no {{placeholder}} in small "
                "letters; a patient would read it as it stands"
            )
        for placeholder in {name for text in texts for name in _PLACEHOLDER.findall(text)}:
            if placeholder not in message.parameters and placeholder not in known:
                if placeholder.startswith("fact_"):
                    raise ContentError(
                        f"{message.place}: '{message.key}' ({language}) uses {{{placeholder}}}; every clinic.yml needs "
                        f"'{placeholder.removeprefix('fact_')}' under facts"
                    )
                raise ContentError(
                    f"{message.place}: '{message.key}' ({language}) uses {{{placeholder}}}, which it does not declare "
                    f"(parameters: {', '.join(message.parameters) or 'none'})"
                )


def _check_disclosure(content: Content) -> None:
    """Whoever hears from us first hears all that the guard's table asks for, in every language and on every channel."""
    for line in content.guard.disclosure if content.guard else ():
        for key in line.said_in:
            message = content.message(key)
            for language, wording in message.wordings.items():
                for text in (wording.text, *wording.by_channel.values()):
                    if (words := line.words[language]) not in text:
                        raise ContentError(
                            f"{message.place}: '{key}' ({language}) does not say {words}, which tells {line.tells} "
                            f"({line.where}); add it"
                        )


class ContentStore:
    """The current content; files that staff change are taken up without a restart, unless they are broken."""

    def __init__(
        self,
        directory: Path,
        *,
        facts: Sequence[str] = (),
        guard: Guard | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._directory, self._facts, self._guard, self._reading = directory, facts, guard, reading
        self._stamp = self._read_stamp()
        self._content = self._load()

    @property
    def current(self) -> Content:
        """The newest content that passed its checks. Looks at the files' times, so call it once a turn."""
        stamp = self._read_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._content = self._load()
                log.info("content_reloaded")
            except (ConfigError, OSError) as error:
                log.error("content_refused", error=str(error))
        return self._content

    def _load(self) -> Content:
        return load_content(self._directory, facts=self._facts, guard=self._guard, reading=self._reading)

    def _read_stamp(self) -> tuple[tuple[str, int], ...]:
        return tuple(
            (path.name, path.stat().st_mtime_ns) for path in sorted((self._directory / "messages").glob("*.yml"))
        )
