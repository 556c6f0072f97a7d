"""The numbers of a text with what bounds and follows each: "more than 5", "150lbs", "12 stone 4", "una hora y media".

A reader of one kind of answer decides which of them count; here nothing is converted and nothing assumed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from functools import partial

from carethread.questionnaires.readings.lexicon import Hit, Line, Sym, lexicon, rule

_TABLES = ("calendar", "since", "numbers", "measures", "amounts", "units")
_THOUSANDS = {"en": re.compile(r"\d{1,3},\d{3}"), "es": re.compile(r"\d{1,3}\.\d{3}")}
_BESIDE = ("ABOUT", "A", "THE", "OF")  # between a bound or a "not" and its number

_TENS_AND_ONE = rule("NUM=n AND A")
# "on a scale of 1 to 10": what the question said, not the answer.
_SCALE_NAMED = re.compile(
    r"\b(?:(?:on|in|de|en)\s+)?(?:(?:an?|the|una?|la)\s+)?(?:scale|escala)\s+(?:of|from|del?|de)?\s*\d+\s*(?:to|-|al?)\s*\d+",
    re.IGNORECASE,
)
_HALVES = (rule("NUM=n AND A? HALF|HALFA"), rule("NUM=n NUM:1 P:/|SLASH NUM:2"))
_POINT = rule("NUM=n POINT NUM=f")
_OH = rule("NUM=n OH NUM=f")
_HUNDRED = rule("NUM=n NUM=f")
_MINUS = rule("MINUS NUM=n")
_HALF_UNIT = rule("HALFA|HALF A? U=u")
_HALF_OF_UNIT = rule("A HALF U=u")
_QUARTER_UNIT = rule("A? QUARTER=q OF? A? U=u")
_QUARTERS_UNIT = rule("QUARTERS=q OF? A? U=u")
_UNIT_AND_HALF = rule("NUM=n U=u AND A? HALF|HALFA")
_A_UNIT_AND_HALF = rule("A? U=u AND A? HALF|HALFA")
_A_UNIT = rule("A U=u")
_ABOUT_A_UNIT = rule("ABOUT U=u")
_RATES = ("NUM", "W", "TIMES", "U")  # behind these "a day" is how often, not how long
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Figure:
    """One number as it was said. `unit` is the UCUM code right behind it; `bounded` marks "more than", "not", "60s"."""

    value: Decimal
    span: tuple[int, int]
    unit: str | None = None
    bounded: bool = False
    about: bool = False
    exact: bool = True
    spelled: bool = False
    ago: bool = False  # part of "3 days ago", "since 2 weeks"
    ordinal: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers of a text in order, and the line of symbols they stand in."""

    line: Line
    all: tuple[Figure, ...]


def read_figures(text: str, language: str, *, hundreds: bool = False) -> Figures:
    """The figures of a text. `hundreds` reads "one twenty" as 120, as people say what a cuff or a scale showed."""
    told = _SCALE_NAMED.sub(lambda match: " " * len(match.group()), text)
    line = prepared(lexicon(language, *_TABLES).scan(told), language, hundreds=hundreds)
    found = [figure for place in range(len(line.syms)) for figure in [_figure(line, place)] if figure is not None]
    return Figures(line, tuple(found))


def prepared(line: Line, language: str, *, hundreds: bool = False) -> Line:
    """The line with counts, halves, quarters, spoken decimals and thousands as plain numbers."""
    thousands = _THOUSANDS.get(language, _THOUSANDS["en"])
    syms: list[Sym] = []
    for place, sym in enumerate(line.syms):
        following = line.syms[place + 1] if place + 1 < len(line.syms) else None
        if sym.kind == "COUNTED":
            sym = replace(sym, kind="NUM")
        elif sym.kind == "NUM" and thousands.fullmatch(line.text[sym.start : sym.end]):
            sym = replace(sym, value=re.sub(r"[.,]", "", sym.value))
        elif sym.spelled and sym.value == "1" and following is not None and following.kind == "W":
            continue  # "una molestia", "one thing": an article
        elif sym.kind == "EVEN" or (sym.value == "-" and _between_spelled(line, place)):
            continue
        elif _is_preposition(line, sym, following):
            sym = replace(sym, kind="W")
        syms.append(sym)
    line = Line(line.text, tuple(syms))
    if language == "es":
        line = line.rewrite(_TENS_AND_ONE, _and_one)
    if hundreds:
        line = line.rewrite(_OH, lambda hit: _joined(line, hit, oh=True))
        line = line.rewrite(_HUNDRED, lambda hit: _joined(line, hit))
    for pattern in _HALVES:
        line = line.rewrite(pattern, _and_a_half)
    line = line.rewrite(_POINT, _decimal)
    line = line.rewrite(_UNIT_AND_HALF, lambda hit: _with_unit(hit, Decimal(hit.values["n"] or 0) + Decimal("0.5")))
    line = line.rewrite(_A_UNIT_AND_HALF, lambda hit: _with_unit(hit, Decimal("1.5")))
    line = line.rewrite(_QUARTERS_UNIT, lambda hit: _with_unit(hit, Decimal("0.75")))
    line = line.rewrite(_QUARTER_UNIT, lambda hit: _with_unit(hit, Decimal("0.25")))
    line = line.rewrite(_HALF_UNIT, lambda hit: _with_unit(hit, Decimal("0.5")))
    line = line.rewrite(_HALF_OF_UNIT, lambda hit: _with_unit(hit, Decimal("0.5")))
    for pattern in (_A_UNIT, _ABOUT_A_UNIT):
        line = line.rewrite(pattern, partial(_one_unit, line))
    return line.rewrite(_MINUS, _negative)


def _between_spelled(line: Line, place: int) -> bool:
    """Whether a dash joins number words: "one-twenty", "one-oh-two"."""
    if not 0 < place < len(line.syms) - 1:
        return False
    before, after = line.syms[place - 1], line.syms[place + 1]
    return (before.spelled or before.kind == "OH") and (after.spelled or after.kind == "OH")


def _is_preposition(line: Line, sym: Sym, following: Sym | None) -> bool:
    """ "5 in the day": a unit ends what is said of a number, a preposition goes on."""
    written = line.text[sym.start : sym.end].lower()
    return sym.kind == "U" and written == "in" and following is not None and following.kind not in ("P", "NUM", "OR")


def _joined(line: Line, hit: Hit, *, oh: bool = False) -> Sequence[Sym] | None:
    """ "one twenty" → 120, "one oh two" → 102: only where both are written out and the first is a digit."""
    first, last = line.syms[hit.first], line.syms[hit.last - 1]
    one, two = int(first.value) if first.value.isdigit() else 0, int(last.value) if last.value.isdigit() else 0
    if not (
        last.spelled and (first.spelled or not oh) and 1 <= one <= 9 and (1 <= two <= 9 if oh else 10 <= two <= 99)
    ):
        return None
    return (Sym("NUM", str(one * 100 + two), *hit.span, hit.exact, spelled=True),)


def _and_one(hit: Hit) -> Sequence[Sym] | None:
    """ "noventa y un" → 91."""
    tens = hit.values["n"] or ""
    if not tens.isdigit() or int(tens) % 10 or not 30 <= int(tens) % 100 <= 90:
        return None
    return (Sym("NUM", str(int(tens) + 1), *hit.span, hit.exact, spelled=True),)


def _and_a_half(hit: Hit) -> Sequence[Sym] | None:
    whole = hit.values["n"] or ""
    return (Sym("NUM", f"{whole}.5", *hit.span),) if whole.isdigit() else None


def _decimal(hit: Hit) -> Sequence[Sym] | None:
    whole, part = hit.values["n"] or "", hit.values["f"] or ""
    return (Sym("NUM", f"{whole}.{part}", *hit.span),) if whole.isdigit() and part.isdigit() else None


def _with_unit(hit: Hit, value: Decimal) -> Sequence[Sym]:
    start, end = hit.span
    return Sym("NUM", f"{value}", start, end, hit.exact), Sym("U", hit.values["u"] or "", end, end)


def _one_unit(line: Line, hit: Hit) -> Sequence[Sym] | None:
    """ "an hour", "como una hora": one; "20 a day" and "about hours" are not."""
    article = line.text[line.syms[hit.first].start : line.syms[hit.first].end].lower().split()[-1]
    before = line.syms[hit.first - 1].kind if hit.first else ""
    if article not in ("a", "an", "un", "una") or before in _RATES:
        return None
    return _with_unit(hit, Decimal(1))


def _negative(hit: Hit) -> Sequence[Sym]:
    return (Sym("NUM", f"-{hit.values['n']}", *hit.span),)


def _figure(line: Line, place: int) -> Figure | None:
    sym = line.syms[place]
    ordinal = sym.kind == "ORD" and sym.value.isdigit() and int(sym.value) > 31  # "38º"
    if sym.kind != "NUM" and not ordinal:
        return None
    try:
        value = Decimal(sym.value[: _MOST_DIGITS * 2])
    except InvalidOperation:
        return None
    before, after = _before(line, place), line.syms[place + 1 :]
    if before and before[0].value == "-" and before[0].end == sym.start and _opens(line, before[0]):
        value = -value
    unit = after[0].value if after and after[0].kind == "U" else None
    if unit == "[ft_i]" and line.text[after[0].start : after[0].end] in ("'", "’") and len(after) == 1 and before:
        unit = None if before[0].value == "'" else unit
    behind = after[1:] if unit is not None else after
    return Figure(
        value,
        (sym.start, sym.end),
        unit,
        bounded=_bounded(line, before, sym, behind),
        about=any(other.kind == "ABOUT" for other in (*before[:1], *behind[:1])),
        exact=sym.exact,
        spelled=sym.spelled,
        ago=any(other.kind == "AGO" for other in (*before[:1], *behind[:1]))
        or any(other.kind in ("SINCE", "FOR") for other in before[:1]),
        ordinal=ordinal,
    )


def _before(line: Line, place: int) -> tuple[Sym, ...]:
    """What stands before a number, nearest first."""
    return tuple(reversed(line.syms[:place]))


def _bounded(line: Line, before: Sequence[Sym], sym: Sym, behind: Sequence[Sym]) -> bool:
    for place, other in enumerate(before[:3]):
        if other.kind in ("BOUND", "NOT"):
            return True
        if other.kind == "OVER" and line.text[other.start : other.end].lower().startswith("ov"):
            return not any(sym.kind in ("NUM", "U") for sym in before[place + 1 : place + 2])
        if other.kind not in _BESIDE:
            break
    if not behind:
        return False
    follower = behind[0]
    if follower.kind == "SUFFIX" or (follower.kind == "OH" and follower.start == sym.end):
        return True
    return follower.kind == "W" and follower.start == sym.end and sym.kind == "NUM"  # "60s", "7b"


def _opens(line: Line, dash: Sym) -> bool:
    """Whether a dash is a sign: nothing or a space stands before it."""
    return dash.start == 0 or line.text[dash.start - 1].isspace()
