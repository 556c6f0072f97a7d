"""Answers on an ordered scale in words of its kind: "most days" among how often, "kinda hard" among how difficult.

The labels of the options and the patient's words are both placed on one line, and the nearest option is taken where
it is clearly the nearest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from carethread.questionnaires.readings.figures import read_figures
from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon, load_table
from carethread.questionnaires.readings.text import plain

# Tables that place words on a line; a table's poles are weighed by the words of `degree`.
_KINDS: tuple[tuple[str, ...], ...] = (
    ("scale_frequency",),
    ("degree", "scale_agree"),
    ("degree", "scale_content"),
    ("degree", "scale_likely"),
    ("degree", "scale_change"),
    ("scale_good",),
    ("severity",),
    ("degree", "scale_hard"),
    ("degree",),
)
_NEAR = 7  # of 100: this near an option is meant, if no other is half as near again
_SOMETHING = 20  # of 100: from here "a little" is not "not at all"
_CLEARLY = 3  # else the nearest must be this many times nearer than the next
_MOST_FIGURES = 2
_STRONGLY = 75  # percent; from here "very much agree" is "strongly agree"
_SPAN = {"severity": 10}  # the table's values run to ten, not to a hundred
_OWN = ("AT", "POLE", "DEG", "SEV", "NOT")
_STRANGERS = 3  # words that mean nothing on the line, from which a text is a story
_LEAST_OPTIONS = 3


@dataclass(frozen=True, slots=True)
class OnScale:
    """Where a text stands among options: one option, or those next to it. Indexes into the options given."""

    nearest: tuple[int, ...]
    confidence: float

    @property
    def certain(self) -> bool:
        return len(self.nearest) == 1


def read_on_scale(text: str, labels: Sequence[str], language: str, *, period: int | None = None) -> OnScale | None:
    """The option nearest to the words, both neighbours where it lies between; None where no scale fits or none is said.

    `period` are the days a question asks about, so that "3 days" has its place among how often.

    >>> read_on_scale("most days", ["Not at all", "Several days", "More than half the days", "Nearly every day"], "en")
    OnScale(nearest=(2,), confidence=0.85)
    """
    for kind, places in scales_of(tuple(labels), language):
        placed = _places(text, kind, language, strangers=_STRANGERS)
        if not placed and period is not None and kind == ("scale_frequency",):
            placed = _share_of(text, period, language)
        if not placed:
            continue
        found = _nearest(placed, places)
        if found is not None:
            return found
    return None


@lru_cache(maxsize=1)
def _beside() -> frozenset[str]:
    """Labels that stand beside a scale and are no point on it, as plain words."""
    return frozenset(plain(label) for label in load_table("degree")["beside"])


def is_a_scale(labels: Sequence[str], language: str) -> bool:
    """Whether the labels of the options are points of one scale."""
    return bool(scales_of(tuple(labels), language))


def place_on(text: str, table: str, language: str, *, strangers: int = _STRANGERS) -> float | None:
    """Where a text stands on one table's line, if it names one place: 0 for "never" of `scale_frequency`."""
    placed = _places(text, (table,), language, strangers=strangers)
    return placed[0] if len(placed) == 1 else None


@lru_cache(maxsize=2048)
def scales_of(labels: tuple[str, ...], language: str) -> tuple[tuple[tuple[str, ...], tuple[float | None, ...]], ...]:
    """The kinds of scale the labels are all points of, each with where they stand on it."""
    found: list[tuple[tuple[str, ...], tuple[float | None, ...]]] = []
    for kind in _KINDS:
        places = tuple(_place_of(label, kind, language) for label in labels)
        on_it = [place for place, label in zip(places, labels, strict=True) if plain(label) not in _beside()]
        if len(on_it) >= _LEAST_OPTIONS and None not in on_it and len(set(on_it)) == len(on_it):
            found.append((kind, places))
    return tuple(found)


def _share_of(text: str, period: int, language: str) -> tuple[float, ...]:
    """ "3 days" of fourteen, in percent."""
    figures = read_figures(text, language).all
    units = {figure.unit for figure in figures} - {None}
    if units != {"d"} or len(figures) > _MOST_FIGURES:
        return ()
    if any(figure.bounded or not 0 <= figure.value <= period for figure in figures):
        return ()
    shares = [float(figure.value) / period * 100 for figure in figures]
    return tuple(max(share, _SOMETHING + 1.0) if share else 0.0 for share in shares)


def _place_of(label: str, kind: tuple[str, ...], language: str) -> float | None:
    """Where a label stands on a kind of scale; None where it does not, or names two places."""
    if plain(label) in _beside():
        return None
    placed = _places(label, kind, language, strangers=1)
    return placed[0] if len(placed) == 1 else None


def _nearest(placed: tuple[float, ...], places: Sequence[float | None]) -> OnScale | None:
    known = [place for place in places if place is not None]
    answers: list[tuple[int, ...]] = []
    for said in placed:
        distances = sorted(
            (abs(place - said), index)
            for index, place in enumerate(places)
            if place is not None and _same_side(place, said)
        )
        if not distances:
            return None
        (first, best), (second, next_best) = distances[0], distances[1] if len(distances) > 1 else (1000.0, -1)
        clear = (first < _NEAR and second > 2 * first) or first * _CLEARLY <= second
        alike = [place for place in known if place * said > 0]
        if not min(known) <= said <= max(known) or (min(known) < 0 and alike and abs(said) < min(map(abs, alike))):
            clear = True  # beyond the last option, or nearer to the middle than any of its side
        answers.append((best,) if clear else (best, next_best))
    together = tuple(dict.fromkeys(index for answer in answers for index in answer))
    return OnScale(tuple(sorted(together)), 0.85)


def _same_side(place: float, said: float) -> bool:
    """Neither across the middle, nor at nothing for what is decidedly something."""
    return place * said > 0 or place == said or (abs(said) < _SOMETHING and abs(place) < _SOMETHING * 2)


def _places(text: str, kind: tuple[str, ...], language: str, *, strangers: int) -> tuple[float, ...]:
    """The places words name on a kind of scale, 0 to 100 or -100 to 100; none where more words are strange."""
    line = lexicon(language, *kind).scan(text)
    if sum(1 for sym in line.syms if sym.kind in ("W", "NUM", "TIME")) > strangers:
        return ()
    factor = 100 / _SPAN.get(kind[-1], 100)
    return tuple(dict.fromkeys(point * factor for point in _points(line, kind) or ()))


def _points(line: Line, kind: tuple[str, ...]) -> list[float] | None:
    syms = [sym for sym in line.syms if sym.kind in _OWN or sym.kind == "W"]
    direct = [sym for sym in syms if sym.kind in ("AT", "SEV")]
    if any(_negates(syms, sym) for sym in direct):
        return None
    poles = [place for place, sym in enumerate(syms) if sym.kind == "POLE"]
    if direct or poles:
        points = [_weighed(syms, place, kind[-1]) for place in poles]
        return (
            None
            if None in points
            else [*(float(sym.value) for sym in direct), *(one for one in points if one is not None)]
        )
    degrees = [sym for sym in syms if sym.kind == "DEG"]
    lone = len(degrees) == 1 and (kind[-1] in ("degree", "scale_hard"))
    if not lone or (any(sym.kind == "NOT" for sym in syms) and degrees[0].value != "0"):
        return None
    return [float(degrees[0].value)]


def _negates(syms: Sequence[Sym], sym: Sym) -> bool:
    place = syms.index(sym)
    before = [*syms[max(0, place - 2) : place], *(syms[place + 1 :] if place + 2 == len(syms) else ())]
    return any(other.kind == "NOT" or (other.kind == "W" and other.value in _NEGATORS) for other in before)


_NEGATORS = frozenset({"not", "no", "isnt", "arent", "dont", "didnt", "never", "nunca", "ni", "tampoco", "wasnt"})


def _weighed(syms: Sequence[Sym], place: int, table: str) -> float | None:
    """A pole with the degree before or behind it; "not" turns agreeing and content round, and empties difficulty."""
    sign = 1 if float(syms[place].value) > 0 else -1
    before, after = list(reversed(syms[max(0, place - 3) : place])), syms[place + 1 : place + 3]
    degree = next((int(sym.value) for sym in before if sym.kind == "DEG"), None)
    if degree is None:
        degree = next((int(sym.value) for sym in after[:1] if sym.kind == "DEG"), None)
    if any(sym.kind == "NOT" for sym in before):
        if table == "scale_hard":
            return 0.0 if degree is None or degree == 0 else 25.0
        if table in ("scale_agree", "scale_content"):
            return -100.0 * sign if degree == 0 else -60.0 * sign if degree is None else -30.0 * sign
        return None
    if degree is None:
        return 60.0 * sign
    if table == "scale_agree" and degree >= _STRONGLY:
        degree = 100
    if degree == 0 and table == "scale_change":
        return None  # "nada mejor"
    if degree == 0:
        return 0.0 if table == "scale_hard" else -100.0 * sign
    return float(degree * sign)
