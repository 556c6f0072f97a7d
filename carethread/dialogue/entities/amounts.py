"""Numbers with units, and how bad something is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from carethread.dialogue.entities.found import Found, taken
from carethread.dialogue.entities.names import word_table
from carethread.questionnaires.readings.intensity import level_of
from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon, load_table, rule
from carethread.questionnaires.readings.text import fold

_OF_TIME = {"min", "h", "d", "wk", "mo", "a"}  # durations, read elsewhere
_AMBIGUOUS = {"in", "a", "m", "c", "f", "g", "d", "h", "'", '"', "#", "ins"}  # a unit only right behind the number
_PRESSURE = ((70, 260), (35, 160))  # mm[Hg]: what systolic and diastolic may be
_REACH = 6  # symbols between the name of a measure and its number
_BESIDE = 24  # characters between what hurts and how much

_SCORES = tuple(map(rule, ("NUM=n P:/ NUM:10", "NUM=n OUTOF W? NUM:10", "NUM=n W:de NUM:10", "NUM=n W:of NUM:10")))
_HEIGHT = rule("NUM=f U:[ft_i] NUM=i U:[in_i]")


def read_quantities(text: str, language: str, before: Sequence[Found]) -> list[Found]:
    """Numbers with their units, and bare numbers beside the name of what was measured; `before` is read already."""
    line = lexicon(language, "numbers", "units", "measures").scan(text)
    found: list[Found] = []
    for read in (_pressures, _heights, _with_units, _measured):
        for start, end, value in read(line):
            if not taken((*before, *found), start, end):
                found.append(Found("quantity", start, end, value))
    return found


def _pressures(line: Line) -> Iterator[tuple[int, int, str]]:
    for pattern in (rule("NUM=a P:/ NUM=b"), rule("NUM=a W:over NUM=b"), rule("NUM=a W:sobre NUM=b")):
        for hit in line.find_all(pattern):
            pair = (_decimal(hit.values["a"]), _decimal(hit.values["b"]))
            if all(one is not None and low <= one <= high for one, (low, high) in zip(pair, _PRESSURE, strict=True)):
                yield *hit.span, f"{pair[0]}/{pair[1]} mm[Hg]"


def _heights(line: Line) -> Iterator[tuple[int, int, str]]:
    for hit in line.find_all(_HEIGHT):
        yield *hit.span, f"{hit.values['f']} [ft_i] {hit.values['i']} [in_i]"


def _with_units(line: Line) -> Iterator[tuple[int, int, str]]:
    for hit in line.find_all(rule("NUM=n U=u")):
        number, unit = line.syms[hit.last - 2 : hit.last]
        written = fold(line.text[unit.start : unit.end]).text
        value = _decimal(hit.values["n"])
        if value is None or unit.value in _OF_TIME:
            continue
        if written in _AMBIGUOUS and written not in ("f", "c", "°") and unit.start != number.end:
            continue
        code = _degrees(value) if unit.value == "deg" else unit.value
        yield *hit.span, f"{value} {code}"


def _measured(line: Line) -> Iterator[tuple[int, int, str]]:
    """ "temp 38.5" needs no unit: the number is plausible for what was measured, and has none of its own."""
    plausible = load_table("measures")["plausible"]
    for place, sym in enumerate(line.syms):
        if sym.kind != "MEASURE":
            continue
        number = next(_numbers_near(line, place), None)
        if number is None:
            continue
        value = _decimal(number.value)
        for unit, low, high in plausible[sym.value]:
            if value is not None and Decimal(low) <= value <= Decimal(high):
                yield number.start, number.end, f"{value} {unit}"


def _numbers_near(line: Line, place: int) -> Iterator[Sym]:
    """The first number behind a symbol, or the one right before it; not one with a unit or beside a slash."""
    behind = range(place + 1, min(place + 1 + _REACH, len(line.syms)))
    before = range(place - 1, max(place - 4, -1), -1)
    for steps in (behind, before):
        for index in steps:
            sym = line.syms[index]
            if sym.kind == "MEASURE" or (sym.kind == "P" and sym.value in ".;!?"):
                break
            if sym.kind == "NUM":
                beside = [line.syms[other] for other in (index - 1, index + 1) if 0 <= other < len(line.syms)]
                if not any((other.kind == "U" and other.start >= sym.end) or other.value == "/" for other in beside):
                    yield sym
                break


def _degrees(value: Decimal) -> str:
    return "Cel" if value < 50 else "[degF]"


def read_severity(text: str, language: str, named: Sequence[Found]) -> list[Found]:
    """Scores of 0 to 10, and words for how strong it is, where something hurts or they can mean nothing else."""
    line = lexicon(language, "numbers").scan(text)
    hurting = any(one.kind in ("symptom", "body_part") for one in named)
    scores = list(_scores(line, hurting))
    if scores:
        return [Found("severity", hit_start, hit_end, score) for hit_start, hit_end, score in scores]
    everyday = set(word_table()["everyday"])
    found = []
    for sym in lexicon(language, "severity").scan(text).syms:
        written = fold(text[sym.start : sym.end]).text
        if sym.kind != "SEV" or sym.value == "0" or (written in everyday and not _beside(sym, named)):
            continue
        found.append((int(sym.value), sym))
    if not found:
        return []
    strength, worst = max(found, key=lambda one: one[0])
    return [Found("severity", worst.start, worst.end, level_of(strength))]


def _scores(line: Line, hurting: bool) -> Iterator[tuple[int, int, str]]:
    for number, pattern in enumerate(_SCORES):
        for hit in line.find_all(pattern):
            value = _decimal(hit.values["n"])
            # "5/10" is also a day; a score needs something that hurts, or "out of".
            if value is not None and 0 <= value <= 10 and (hurting or number):
                yield *hit.span, _whole(value)
                return
    yield from _on_a_scale(line)


def _on_a_scale(line: Line) -> Iterator[tuple[int, int, str]]:
    """ "from 0 to 10 it is a nine"."""
    numbers = [sym for sym in line.syms if sym.kind == "NUM"]
    for first, second, *rest in (numbers[place:] for place in range(len(numbers) - 1)):
        if first.value in ("0", "1") and second.value == "10" and rest:
            value = _decimal(rest[0].value)
            if value is not None and value <= 10:
                yield rest[0].start, rest[0].end, _whole(value)
                return


def _beside(sym: Sym, named: Sequence[Found]) -> bool:
    return any(
        one.kind in ("symptom", "body_part") and one.start - _BESIDE <= sym.end and sym.start <= one.end + _BESIDE
        for one in named
    )


def _decimal(written: str | None) -> Decimal | None:
    try:
        return Decimal(written or "")
    except InvalidOperation:
        return None


def _whole(value: Decimal) -> str:
    return str(int(value.to_integral_value(rounding="ROUND_HALF_UP")))
