"""Yes and no in the words people use for them: "nah im good", "sí pero solo de noche", "kinda"."""

from collections.abc import Mapping
from dataclasses import replace

from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon, load_table
from carethread.questionnaires.readings.reading import How, Reading

_STRONG = 85  # percent; two strong opposite words contradict each other
_PLAIN = 95  # percent; "yes", "no" and what means nothing else
_LITTLE = "45"  # "a little", "un poco": a plain yes or no right after it counts instead
_POLAR = ("YES", "NO", "AGREE")
_OPENERS = ("ya",)  # "ya estoy bien": a mere opener even before another answer
_FAR = 3  # words before the first yes or no from which it is hardly the answer any more


def read_yes_no(text: str, language: str) -> Reading[bool] | None:
    """Yes (True) or no (False), with what was said besides in `rest`; None where neither is said.

    "ok", "sounds good" and the like agree to something rather than state a fact: they are read as `synonym`.

    >>> read_yes_no("yes but only at night", "en").rest
    'but only at night'
    """
    line = lexicon(language, "polarity").scan(text)
    fixed = _after_correction(line, language)
    if fixed is not None:
        return fixed
    concluded = _concluded(line)
    if concluded is not None:
        return concluded
    spoken = [(index, sym) for index, sym in enumerate(line.syms) if sym.kind not in ("P", "FILL")]
    place = next((at for at, (_, sym) in enumerate(spoken) if sym.kind in _POLAR), None)
    if place is None or any(sym.kind == "BUT" for _, sym in spoken[:place]):
        return None
    index, sym = spoken[place]
    if (sym.kind == "AGREE" or sym.value == _LITTLE) and place + 1 < len(spoken):
        follower = spoken[place + 1]
        if follower[1].kind in _POLAR:
            index, sym = follower  # "ok no", "a little yes", "bueno, no": the plain word counts
    percent = _strength(line, index, language)
    if place:
        concluding = place + 1 == len(spoken) and index > 0 and line.syms[index - 1].kind in ("P", "FILL")
        near = (place <= _FAR or concluding) and percent >= _PLAIN  # "… so yes", "fever? no"
        percent *= 0.85 if near else 0.65
    if _contradicted(line, index):
        percent = min(percent, 40)
    if any(other.kind == "UNSURE" for other in line.syms):
        percent = min(percent, 60)
    if not sym.exact:
        percent *= 0.9
    if (
        sym.end - sym.start == 1
        and len(spoken) > 1
        and sym.value not in ("👍", "👎")
        and line.text[sym.start].isalpha()
    ):
        percent = min(percent, 40)  # "here n there": a lone letter is an answer only where it stands alone
    how: How = "synonym" if sym.kind == "AGREE" else "polarity"
    return Reading(sym.kind != "NO", percent / 100, (sym.start, sym.end), how, _rest(line, index))


def says_nothing(text: str, language: str) -> bool:
    """Whether a text only declines or thanks: "no thanks", "im good", "ok", "gracias"."""
    kinds = {sym.kind for sym in lexicon(language, "polarity").scan(text).syms} - {"P"}
    return bool(kinds) and kinds <= {"NO", "AGREE", "FILL"}


def takes_back(rest: str, language: str) -> bool:
    """Whether what follows a yes or no opens with an exception: "but I'm out of pills", "menos la azul"."""
    syms = [sym for sym in lexicon(language, "polarity").scan(rest).syms if sym.kind != "P"]
    return bool(syms) and syms[0].kind == "BUT" and syms[0].value == "exception"


def _after_correction(line: Line, language: str) -> Reading[bool] | None:
    """ "no wait yes" is yes: what follows the last correction counts, if it says anything."""
    places = [index for index, sym in enumerate(line.syms) if sym.kind == "FIX"]
    if not places or places[-1] + 1 >= len(line.syms):
        return None
    start = line.syms[places[-1]].end
    reading = read_yes_no(line.text[start:], language)
    if reading is None or not reading.sure:
        return None
    first, last = reading.span
    return replace(reading, confidence=min(reading.confidence, 0.9), span=(first + start, last + start))


def _strength(line: Line, index: int, language: str) -> float:
    """Percent of certainty of the word at `index`, weaker where it starts a statement."""
    sym = line.syms[index]
    weak: Mapping[str, str] = load_table("polarity").get("weak_before_word", {}).get(language, {})
    written = line.text[sym.start : sym.end].lower()
    if written == "sí":  # the accent makes it a yes and nothing else
        return float(sym.value)
    percent = float(weak.get(written, sym.value))
    after = line.syms[index + 1 :]
    if percent < 50:  # a mere opener even before a comma: "bueno, me duele"
        after = tuple(other for other in after if other.kind != "P")
    opens = after and (after[0].kind == "W" or (after[0].kind == "NO" and written in _OPENERS))
    return percent if opens else float(sym.value)


def _concluded(line: Line) -> Reading[bool] | None:
    """ "it was closed, so no", "less than usual but yes": what a message comes to."""
    said = [sym for sym in line.syms if sym.kind not in ("P", "FILL")]
    for index in range(len(line.syms) - 1, 0, -1):
        sym, before = line.syms[index], line.syms[index - 1]
        if sym.kind not in ("YES", "NO") or int(sym.value) < _PLAIN or not _is_word(sym) or not _closes(line, index):
            continue
        written = line.text[before.start : before.end].lower()
        concludes = (before.kind == "BUT" and before.value == "exception") or written in _SO
        if not concludes or sym is said[0] or any(other.kind in ("UNSURE", "FIX") for other in line.syms):
            return None
        opposed = said[0].kind in ("YES", "NO", "AGREE") and (said[0].kind == "NO") is not (sym.kind == "NO")
        if opposed or "?" in line.text:
            return None
        return Reading(sym.kind == "YES", 0.8, (sym.start, sym.end), "polarity", line.text[sym.end :].strip(" ,.;:!-"))
    return None


_SO = ("so", "then", "que", "entonces")  # "así que no", "so yes"


def _is_word(sym: Sym) -> bool:
    """ "n" and "y" between words are an "and"."""
    return sym.end - sym.start > 1


def _closes(line: Line, index: int) -> bool:
    """Whether nothing, a mark or a mere filler follows, so that the word stands for itself."""
    return index + 1 >= len(line.syms) or line.syms[index + 1].kind in ("P", "FILL")


def _contradicted(line: Line, index: int) -> bool:
    """Whether the opposite is said just as strongly, and by itself, before a "but" opens a comment.

    "no, yes" contradicts itself; "no, I get tired y me paro" and "yes, without a break" do not.
    """
    sym = line.syms[index]
    for place in range(index + 1, len(line.syms)):
        other = line.syms[place]
        if other.kind == "BUT":
            return False
        if other.kind not in ("YES", "NO") or other.kind == sym.kind or int(other.value) < _STRONG:
            continue
        opens = line.syms[place - 1].kind in ("P", "FILL") or place == index + 1
        whole = int(other.value) >= _PLAIN and line.text[other.start : other.end].lower() not in _OPENERS
        if _is_word(other) and opens and (whole or _closes(line, place)):
            return True
    return False


def _rest(line: Line, index: int) -> str:
    """What was said after the yes or no, unless it is only politeness."""
    after = line.syms[index + 1 :]
    if all(sym.kind in ("P", "FILL", *_POLAR) for sym in after):
        return ""
    return line.text[line.syms[index].end :].strip(" ,.;:!-\n\t")
