"""What a patient says about the question instead of answering it: "skip", "go back", "why do you ask?", "no wait 3"."""

import re
from enum import StrEnum
from functools import lru_cache

from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon, load_table
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.text import fold, words

_ASIDE = ("P", "FILL", "POLITE")
_MOST_SYMBOLS = 3
_MOST_WORDS = 12


class Control(StrEnum):
    DONT_KNOW = "dont_know"
    SKIP = "skip"
    DECLINE = "decline"
    LATER = "later"
    BACK = "back"
    REPEAT = "repeat"
    WHY = "why"
    WHAT = "what"
    RESTART = "restart"
    HUMAN = "human"


def read_control(text: str, language: str) -> Reading[Control] | None:
    """The request, where the message is nothing else ("later" is one, "later that day it hurt" is not)."""
    if text.strip() and not re.search(r"[^\s?\u00bf]", text):
        return Reading(Control.WHAT, 0.95, (0, len(text)), "synonym")
    line = lexicon(language, "control").scan(text)
    said = [sym for sym in line.syms if sym.kind not in (*_ASIDE, "FIX", "OBJECT")]
    if not said:
        said = [sym for sym in line.syms if sym.kind not in _ASIDE]
    meant = _meant(line, said)
    if meant is None:
        return _in_many_words(text)
    exact = all(sym.exact for sym in said)
    return Reading(meant, 0.95 if exact else 0.8, (said[0].start, said[-1].end), "synonym")


def _in_many_words(text: str) -> Reading[Control] | None:
    """A request put as a sentence: "could you please ask that again"."""
    said = words(text)
    if not 2 <= len(said) <= _MOST_WORDS:
        return None
    written = " ".join(said)
    for kind, pattern in _patterns():
        if pattern.fullmatch(written):
            return Reading(Control[kind], 0.85, (0, len(text)), "synonym")
    return None


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, "re.Pattern[str]"], ...]:
    return tuple((row["kind"], re.compile(row["like"])) for row in load_table("control")["patterns"])


def _meant(line: Line, said: list[Sym]) -> Control | None:
    kinds = [sym.kind for sym in said]
    if not said or len(said) > _MOST_SYMBOLS:
        return None
    if set(kinds) == {"REACH", "PERSON"} or (kinds == ["PERSON"] and any(sym.kind == "POLITE" for sym in line.syms)):
        return Control.HUMAN
    if kinds[0] == "ASK" and len(kinds) == 2:
        kinds = kinds[1:]  # "can i skip"
    if len(set(kinds)) != 1 or kinds[0] not in Control.__members__:
        return None
    return Control[kinds[0]]


def asks_back(text: str, language: str) -> bool:
    """Whether a message is a question of the patient's own: "which one is nausea?", "can i take aspirin"."""
    line = lexicon(language, "control").scan(text)
    said = [sym for sym in line.syms if sym.kind not in ("P", "FILL")]
    if len(said) < 2:
        return False
    asking = said[0].kind in ("WHAT", "WHY") and " " in line.text[said[0].start : said[0].end]
    return said[0].kind == "ASK" or (asking and said[1].kind == "W")


def only_takes_back(text: str, language: str) -> bool:
    """Whether a message takes an answer back and says nothing instead: "no wait"."""
    syms = [sym for sym in lexicon(language, "control").scan(text).syms if sym.kind not in _ASIDE]
    return bool(syms) and all(sym.kind == "FIX" for sym in syms)


def read_correction(text: str, language: str) -> str | None:
    """What is meant instead, where a message takes back the one before: "no wait 3" → "3"; else None."""
    line = lexicon(language, "control").scan(text)
    place = next((index for index, sym in enumerate(line.syms) if sym.kind not in _ASIDE), None)
    if place is None or line.syms[place].kind != "FIX":
        return None
    return line.text[line.syms[place].end :].strip(" ,.;:!-\n\t") or None


def corrected(text: str, language: str) -> tuple[str, str, bool] | None:
    """What stood before and behind the last correction inside a message, and whether it can be nothing else.

    "5 no wait 6" → ("5", "6", True); "5, no 6" → ("5", "6", False), as a "no" may be part of an answer.
    """
    line = lexicon(language, "control").scan(text)
    for index in range(len(line.syms) - 1, -1, -1):
        sym = line.syms[index]
        plain_no = sym.value == "no" and sym.kind == "W"
        if (sym.kind == "FIX" and (sym.value == "1" or index == 0)) or plain_no:
            before = line.text[: sym.start].strip(" ,.;:!-\n\t")
            after = re.sub(r"^[\s,.;:!-]+", "", line.text[sym.end :]).strip()
            if after and (before or not plain_no):
                return before, after, not plain_no
    return None


def says_instead(text: str) -> str | None:
    """What is wanted instead behind a "no": "mejor walmart" → "walmart"; None where nothing is."""
    folded = fold(text)
    opened = re.match(load_table("control")["instead"], folded.text)
    return text[folded.span(opened.end(), len(folded.text))[0] :] if opened is not None else None
