"""Messages without whoever wrote them: what names a person becomes a placeholder, and in doubt there is no text at all.

Pure: what is known of the patient and of the clinic is given. Lower-case first names are known by the list of
nicknames, other names by what stands before them; a capital in the middle of a sentence that nothing explains is a
doubt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import date

from rapidfuzz import process
from rapidfuzz.distance import OSA

from carethread.dialogue.entities.names import word_table
from carethread.dialogue.entities.people import practitioners_in
from carethread.questionnaires.readings.dates import read_birth_date
from carethread.questionnaires.readings.names import read_person_name
from carethread.questionnaires.readings.text import fold

_SHORT = 4  # words: a text so short that may be a name is a doubt
_EMAIL = re.compile(r"\S+@\S+\.\S+")
_LINK = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w/])\+?\(?\d[\d\s().-]{5,}\d(?!\w)")
_NUMBER = re.compile(r"(?<!\w)#?\w*\d(?:[\s-]?\w*\d){4,}\w*")
_RECORD = re.compile(
    r"\b(?:mrn|record|chart|expediente|member|policy|póliza|poliza|ssn)\b[\s#:no.]*\w*\d\w*", re.IGNORECASE
)
_DATE = re.compile(r"(?<!\d)\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4}(?!\d)")
_STREET = (
    r"street|st|avenue|ave|road|rd|boulevard|blvd|drive|dr|lane|ln|court|ct|place|pl|way|apt|apartment|suite|unit"
    r"|calle|avenida|av|apartamento|apto|colonia"
)
_ADDRESS = re.compile(
    rf"\b\d+\s+(?:[\w.]+\s+){{1,4}}(?:{_STREET})\b\.?(?:\s*(?:#|apt|unit|apto)?\.?\s*\d+\w?)?"
    rf"|\b(?:calle|avenida|av|p\.?\s?o\.?\s*box|apartado)\b\.?\s+(?:[\w.]+\s+){{0,4}}#?\d+",
    re.IGNORECASE,
)
_OPENINGS = re.compile(
    r"\b(?:my\s+name\s+is|name\s*:|call\s+me|this\s+is|i\s+am|i'?m|me\s+llamo|mi\s+nombre\s+es|soy|habla|"
    r"(?:my|mi)\s+(?:son|daughter|wife|husband|mom|mother|dad|father|hijo|hija|esposo|esposa|mama|mamá|papa|papá))"
    r",?\s+(?P<name>[^\W\d_]+(?:[\s-]+[^\W\d_]+){0,3})",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_PLACEHOLDER = re.compile(r"\[[a-z]+\]")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one message's people. Names are whole names; `words` are everyday words of both languages,
    folded, that explain a capital; `given` are given names, folded."""

    names: Collection[str] = ()
    phones: Collection[str] = ()
    identifiers: Collection[str] = ()  # record numbers, e-mail and postal addresses, as written
    words: frozenset[str] = field(default_factory=frozenset)
    given: frozenset[str] = field(default_factory=frozenset)


def deidentified(text: str, language: str, known: Known) -> str | None:
    """`text` with placeholders like [name] and [phone]; None where something in it may still name somebody."""
    if "[" in text or "]" in text:
        return None  # placeholders would be ambiguous
    for identifier in sorted(filter(None, known.identifiers), key=len, reverse=True):
        text = re.sub(re.escape(identifier), "[number]", text, flags=re.IGNORECASE)
    text = _EMAIL.sub("[email]", text)
    text = _LINK.sub("[link]", text)
    text = _without_phones(text, known.phones)
    text = _ADDRESS.sub("[address]", text)
    text = _DATE.sub("[date]", text)
    text = _without_birth_dates(text, language)
    text = _RECORD.sub("[number]", text)
    text = _PHONE.sub(lambda hit: "[phone]" if sum(map(str.isdigit, hit.group())) >= 7 else hit.group(), text)
    text = _NUMBER.sub("[number]", text)
    text = _without_names(text, language, known)
    return None if _doubtful(text, language, known) else text


def _without_phones(text: str, phones: Collection[str]) -> str:
    for phone in phones:
        digits = re.sub(r"\D", "", phone)[-10:]
        if len(digits) >= 7:
            text = re.sub(r"(?:\+?1[\s.-]*)?\(?" + r"[\s().-]*".join(digits), "[phone]", text)
    return text


def _without_birth_dates(text: str, language: str) -> str:
    """Any whole date with a year, in words too; today is so late that no year is in the future."""
    for reading in read_birth_date(text, language, date(2100, 1, 1)):
        start, end = reading.span
        if any(len(number) >= 4 for number in re.findall(r"\d+", text[start:end])) or reading.confidence >= 0.85:
            return _without_birth_dates(f"{text[:start]}[date]{text[end:]}", language)
    return text


def _without_names(text: str, language: str, known: Known) -> str:
    spans: list[tuple[int, int]] = []
    parts = {fold(word).text for name in known.names for word in _WORD.findall(name) if len(word) > 1}
    parts -= {"de", "la", "las", "los", "del", "van", "von", "dr", "dra", "do", "md"}
    for word in _WORD.finditer(text):
        plain = fold(word.group()).text
        stem = plain.removesuffix("'s")
        wordy = stem in word_table()["wordy_names"]
        if wordy and stem not in parts and not (word.group()[0].isupper() and word.start() and text.upper() != text):
            continue
        if (
            stem in parts
            or wordy
            or stem in word_table()["surnames"]
            or (stem in known.given and stem not in known.words)
        ):
            spans.append(word.span())
    for found in practitioners_in(text):
        spans.append((found.start, found.end))
    for opening in _OPENINGS.finditer(text):
        for word in _WORD.finditer(text, *opening.span("name")):
            plain = fold(word.group()).text
            if plain in known.words and not (word.group()[0].isupper() and word.start() > 0 and plain in known.given):
                break
            spans.append(word.span())
    return _replaced(text, spans)


def _replaced(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text with [name] for each stretch of names; neighbours become one."""
    joined: list[list[int]] = []
    for start, end in sorted(spans):
        if joined and not text[joined[-1][1] : start].strip(" .-"):
            joined[-1][1] = max(end, joined[-1][1])
        else:
            joined.append([start, end])
    for start, end in reversed(joined):
        text = f"{text[:start]}[name]{text[end:]}"
    return text


def _doubtful(text: str, language: str, known: Known) -> bool:
    """A capital that nothing explains, or a few strange words that may be a name, or strange words beside [name]."""
    plain = _PLACEHOLDER.sub(" ", text)
    words = list(_WORD.finditer(plain))
    strange = [word for word in words if fold(word.group()).text not in known.words]
    if any(not _mistyped(fold(word.group()).text, known) for word in strange):
        return True
    shouting = plain.upper() == plain
    for word in strange:
        opens = not re.search(r"[^.?¿!¡\s]", plain[: word.start()]) or plain[: word.start()].rstrip()[-1:] in ".?¿!¡"
        if word.group()[0].isupper() and not shouting and not opens:
            return True
        if re.search(r"\[name\]\s*$", text[: _place(text, word.group())]):
            return True
    if strange and len(words) <= _SHORT:
        reading = read_person_name(plain.strip(), language)
        return reading is not None and reading.confidence >= 0.5
    return shouting and bool(strange)


def _mistyped(word: str, known: Known) -> bool:
    """Whether a strange word is an everyday one with a slip, and no family name."""
    if len(word) < 3 or word in word_table()["surnames"]:
        return len(word) < 3
    slips = 2 if len(word) >= 8 else 1
    best = process.extractOne(word, known.words, scorer=OSA.distance, score_cutoff=slips)
    return best is not None


def _place(text: str, word: str) -> int:
    return max(text.find(word), 0)
