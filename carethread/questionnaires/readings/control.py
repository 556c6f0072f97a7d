"""What a patient says about the question instead of answering it: "skip", "go back", "why do you ask?", "no wait 3"."""

from enum import StrEnum

from carethread.questionnaires.readings.lexicon import lexicon
from carethread.questionnaires.readings.reading import Reading


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


def read_control(text: str, language: str) -> Reading[Control] | None:
    """The request, where the message is nothing else ("later" is one, "later that day it hurt" is not)."""
    line = lexicon(language, "control").scan(text)
    said = [sym for sym in line.syms if sym.kind not in ("P", "FILL", "FIX")]
    if not said:
        said = [sym for sym in line.syms if sym.kind not in ("P", "FILL")]
    meant = {sym.kind for sym in said}
    if len(meant) != 1 or len(said) > 2:
        return None
    kind = next(iter(meant))
    if kind in ("W", "FIX") or kind not in Control.__members__:
        return None
    exact = all(sym.exact for sym in said)
    return Reading(Control[kind], 0.95 if exact else 0.8, (said[0].start, said[-1].end), "synonym")


def read_correction(text: str, language: str) -> str | None:
    """What is meant instead, where a message takes back the one before: "no wait 3" → "3"; else None."""
    line = lexicon(language, "control").scan(text)
    place = next((index for index, sym in enumerate(line.syms) if sym.kind not in ("P", "FILL")), None)
    if place is None or line.syms[place].kind != "FIX":
        return None
    return line.text[line.syms[place].end :].strip(" ,.;:!-\n\t") or None
