"""The name somebody gives for themselves: "my name is Maria Lopez", "soy José Pérez", "Maria Lopez here"."""

from collections.abc import Sequence

from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon
from carethread.questionnaires.readings.reading import Reading

_MOST_WORDS = 7  # "María de los Ángeles García de Pérez"
_STRONG = 85  # percent; "my name is" and its like
_AFTER_A_NAME = frozenset({"P", "NUM", "TIME", "BORN", "TAIL", "POLITE", "HELLO"})


def read_person_name(text: str, language: str) -> Reading[str] | None:
    """The name a person introduces themselves with, capitalised as names are; None where the words are no name.

    "Lopez, Maria" comes out as "Maria Lopez"; a birth date behind the name is left out. Bare lower-case words
    ("maria lopez") stay below `SURE`: whoever has just asked for a name may take them from 0.5.

    >>> read_person_name("its maria de la cruz, 3/14/62", "en").value
    'Maria de la Cruz'
    """
    line = lexicon(language, "names").scan(text)
    start, opened = _opening(line.syms)
    end = _end_of_name(line.syms, start)
    block, after = line.syms[start:end], line.syms[end:]
    names = _words(line, block)
    plain_names = [sym for sym in block if sym.kind == "W"]
    if not plain_names or len(names) > _MOST_WORDS:
        return None
    if after and after[0].kind not in _AFTER_A_NAME and opened < _STRONG:
        return None
    if opened == 0 and any(sym.kind in ("W", "NOTNAME", "LEAD") for sym in after):
        return None
    opened = max([opened, *(int(sym.value) for sym in after[:1] if sym.kind == "TAIL")])
    dated = any(sym.kind in ("NUM", "BORN") for sym in after[:3])
    confidence = _confidence(line, plain_names, opened, dated=dated)
    if confidence < 0.3:
        return None
    commas = [place for place, sym in enumerate(block) if sym.value == ","]
    if commas:  # family name first
        names = _words(line, block[commas[0] + 1 :]) + _words(line, block[: commas[0]])
    return Reading(" ".join(names), confidence, (block[0].start, block[-1].end), "exact")


def _opening(syms: Sequence[Sym]) -> tuple[int, int]:
    """Where the name begins, and how strongly the words before announce one (percent)."""
    strong = [place for place, sym in enumerate(syms) if sym.kind == "LEAD" and int(sym.value) >= _STRONG]
    place, opened = (strong[-1] + 1, _STRONG) if strong else (0, 0)
    while place < len(syms):
        sym = syms[place]
        if sym.kind == "LEAD":
            opened = max(opened, int(sym.value))
        elif sym.kind not in ("P", "HELLO", "POLITE", "TITLE"):
            break
        place += 1
    return place, opened


def _end_of_name(syms: Sequence[Sym], start: int) -> int:
    """The place after the last symbol that can belong to the name beginning at `start`."""
    end = start
    while end < len(syms):
        sym = syms[end]
        inside = sym.kind in ("W", "JOIN")
        joined = (
            sym.kind == "P"
            and end + 1 < len(syms)
            and syms[end + 1].kind in ("W", "JOIN")
            and (sym.value in "-." or (sym.value == "," and end > start and _only_names(syms[end + 1 :])))
        )
        if not inside and not joined:
            break
        end += 1
    while end > start and syms[end - 1].kind in ("JOIN", "P"):  # a connector connects to something
        end -= 1
    return end


def _only_names(syms: Sequence[Sym]) -> bool:
    """Whether nothing but one or two given names follows: "Lopez, Maria Elena"."""
    return 1 <= len(syms) <= 2 and all(sym.kind == "W" for sym in syms)


def _confidence(line: Line, names: Sequence[Sym], opened: int, *, dated: bool) -> float:
    capital = all(line.text[sym.start].isupper() for sym in names)
    several = len(names) > 1
    if opened >= _STRONG:
        return 0.95 if several else 0.8
    if opened:
        return (0.92 if capital else 0.8) if several else (0.7 if capital else 0.35)
    if not several:
        return (0.6 if dated else 0.45) if capital else (0.5 if dated else 0.3)
    if dated:
        return 0.9 if capital else 0.8
    return (0.85 if capital else 0.6) if len(names) <= 4 else (0.6 if capital else 0.2)


def _words(line: Line, block: Sequence[Sym]) -> list[str]:
    """The written words of a name, each capitalised if the writer did not bother."""
    found: list[str] = []
    for place, sym in enumerate(block):
        if sym.kind not in ("W", "JOIN"):
            continue
        written = line.text[sym.start : sym.end]
        cased = written.lower() if sym.kind == "JOIN" and found else _cased(written)
        hyphen = place and block[place - 1].value == "-" and block[place - 1].end == sym.start
        if hyphen and found:
            found[-1] += f"-{_cased(written)}"
        else:
            found.append(cased)
    return found


def _cased(written: str) -> str:
    if written != written.lower() and written != written.upper():
        return written
    if len(written) > 2 and written[1] in "'’":  # O'Brien, D'Angelo
        return written[0].upper() + written[1] + written[2:].capitalize()
    return written.capitalize()
