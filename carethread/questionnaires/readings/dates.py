"""Calendar dates as patients write them, birth dates above all: "3/14/62", "14 de marzo de 1962", "19620314"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from carethread.questionnaires.readings.lexicon import Hit, Line, lexicon, rule
from carethread.questionnaires.readings.reading import Reading
from carethread.questionnaires.readings.since import read_since
from carethread.questionnaires.readings.text import fold

_OLDEST = 122  # years; nobody on record has been older
_CERTAIN, _LIKELY, _OTHER, _STRETCH = 0.97, 0.85, 0.6, 0.4

# A number, a separator, a number, the same kind of separator, a number.
_TRIPLE = re.compile(
    r"(?<![\d/.-])(\d{1,4})\s*([/.\-–,\s])\s*(\d{1,2})\s*[/.\-–,\s]\s*'?(\d{4}|\d{1,2})(?![\d])(?![/.-]\d)"
)
_COMPACT = re.compile(r"(?<!\d)(\d{8}|\d{6})(?!\d)")

# Dates with a month in words. D, M and Y name the parts; a year in words comes as one number (mil novecientos
# sesenta) or as two (nineteen sixty).
_NAMED = tuple(
    rule(source)
    for source in (
        "MONTH=m P? THE? NUM|ORD=d P? OF? OF? P? NUM=c NUM=y",
        "MONTH=m P? THE? NUM|ORD=d P? OF? OF? P? NUM=y",
        "NUM|ORD=d P? OF? P? MONTH=m P? OF? OF? P? NUM=c NUM=y",
        "NUM|ORD=d P? OF? P? MONTH=m P? OF? OF? P? NUM=y",
        "NUM=y P? MONTH=m P? NUM|ORD=d",
    )
)


@dataclass(frozen=True, slots=True)
class _Parts:
    year: int
    month: int
    day: int
    confidence: float
    span: tuple[int, int]


def read_birth_date(text: str, language: str, today: date) -> tuple[Reading[date], ...]:
    """Every plausible birth date in the text, best first; empty where there is none.

    "4/5/1962" is month first in English and day first in Spanish, the other order following as a second
    candidate; where only one order makes a date, that is taken. A year of two digits is the latest one that is
    not in the future, and for a child's age also the one a century before.
    """
    best: dict[date, Reading[date]] = {}
    for parts in _all_parts(text, language):
        for year, factor in _years(parts.year, today):
            born = _valid(year, parts.month, parts.day)
            if born is None or born > today or today.year - born.year > _OLDEST:
                continue
            confidence = parts.confidence * factor
            if born not in best or best[born].confidence < confidence:
                best[born] = Reading(born, confidence, parts.span, "date")
    return tuple(sorted(best.values(), key=lambda reading: -reading.confidence))


def read_date(text: str, language: str, today: date) -> tuple[Reading[str], ...]:
    """Any date as FHIR writes it (YYYY-MM-DD, or YYYY-MM or YYYY where no more is said), best first.

    A day without a year is the latest one: patients are asked about what has been.
    """
    best: dict[str, Reading[str]] = {}

    def note(value: str, confidence: float, span: tuple[int, int]) -> None:
        if value not in best or best[value].confidence < confidence:
            best[value] = Reading(value, confidence, span, "date")

    for parts in _all_parts(text, language):
        for year, factor in _years(parts.year, today):
            found = _valid(year, parts.month, parts.day)
            if found is not None and abs(today.year - year) <= _OLDEST:
                note(found.isoformat(), parts.confidence * factor, parts.span)
    if not best:
        noon = datetime.combine(today, time(12), UTC)
        for hit, value in _partial(lexicon(language, "numbers", "calendar", "since").scan(text), today):
            note(value, 0.85 if hit.exact else 0.75, hit.span)
        since = None if best else read_since(text, language, noon)
        if since is not None and since.value.length < timedelta(days=27):  # a day is meant, not "about a month"
            note(since.value.start.date().isoformat(), since.confidence, since.span)
    return tuple(sorted(best.values(), key=lambda reading: -reading.confidence))


def _partial(line: Line, today: date) -> Iterator[tuple[Hit, str]]:
    """Dates that lack a part: "May 3", "march 2020", "last march", "in 1998"."""
    for pattern in (rule("MONTH=m P? THE? NUM|ORD=d"), rule("NUM|ORD=d OF? MONTH=m")):
        for hit in line.find_all(pattern):
            if (hit.values["d"] or "").isdigit() and int(hit.values["d"] or 0) <= 31:
                for year in (today.year, today.year - 1):
                    found = _valid(year, int(hit.values["m"] or 0), int(hit.values["d"] or 0))
                    if found is not None and found <= today:
                        yield hit, found.isoformat()
                        return
    for hit in line.find_all(rule("MONTH=m P? OF? NUM=y")):
        if re.fullmatch(r"(19|20)\d\d", hit.values["y"] or ""):
            yield hit, f"{hit.values['y']}-{int(hit.values['m'] or 0):02}"
            return
    if line.find(rule("MONTH NUM|ORD")) or line.find(rule("NUM|ORD OF? MONTH")):
        return  # a day that month does not have
    for hit in line.find_all(rule("LAST? MONTH=m LAST?")):
        month = int(hit.values["m"] or 0)
        yield hit, f"{today.year - (1 if month > today.month else 0)}-{month:02}"
        return
    for hit in line.find_all(rule("NUM=y")):
        if re.fullmatch(r"(19|20)\d\d", hit.values["y"] or "") and int(hit.values["y"] or 0) <= today.year + 1:
            yield hit, hit.values["y"] or ""
            return


def _years(written: int, today: date) -> tuple[tuple[int, float], ...]:
    """The full years a written year may mean, each with how likely it is beside the first."""
    if written >= 1000:
        return ((written, 1.0),)
    if written >= 100:
        return ()
    century = today.year // 100 * 100
    latest = century + written if century + written <= today.year else century - 100 + written
    if today.year - latest < 18:  # a small child, or somebody very old
        return ((latest, 1.0), (latest - 100, 0.7))
    return ((latest, 1.0),)


def _all_parts(text: str, language: str) -> Iterator[_Parts]:
    folded = fold(text)
    for match in _TRIPLE.finditer(folded.text):
        span = folded.span(match.start(), match.end())
        yield from _numeric(match.group(1), match.group(3), match.group(4), match.group(2), language, span)
    for match in _COMPACT.finditer(folded.text):
        yield from _compact(match.group(1), language, folded.span(match.start(), match.end()))
    line = lexicon(language, "numbers", "calendar").scan(text)
    yield from _named(line)


def _numeric(
    first: str, second: str, third: str, separator: str, language: str, span: tuple[int, int]
) -> Iterator[_Parts]:
    a, b, c = int(first), int(second), int(third)
    loose = 0.9 if separator.isspace() or separator == "," else 1.0
    if len(first) == 4:
        if len(third) > 2:
            return
        yield _Parts(a, b, c, _CERTAIN * loose, span)
        yield _Parts(a, c, b, (_STRETCH if b <= 12 else _LIKELY) * loose, span)
    elif len(first) <= 2:
        yield from _either_order(a, b, c, language, span, loose)


def _either_order(
    a: int, b: int, year: int, language: str, span: tuple[int, int], factor: float = 1.0
) -> Iterator[_Parts]:
    """Month first and day first, the language's own order first; a lone possible order is nearly certain."""
    both = a <= 12 and b <= 12 and a != b
    usual, other = (_LIKELY, _OTHER) if both else (_CERTAIN, _CERTAIN)
    month_first = language != "es"
    yield _Parts(year, a, b, (usual if month_first else other) * factor, span)
    yield _Parts(year, b, a, (other if month_first else usual) * factor, span)


def _compact(digits: str, language: str, span: tuple[int, int]) -> Iterator[_Parts]:
    if len(digits) == 8:
        if digits[:2] in ("19", "20"):
            yield _Parts(int(digits[:4]), int(digits[4:6]), int(digits[6:]), 0.95, span)
        if digits[4:6] in ("18", "19", "20"):
            yield from _either_order(int(digits[:2]), int(digits[2:4]), int(digits[4:]), language, span, 0.95)
    else:
        yield from _either_order(int(digits[:2]), int(digits[2:4]), int(digits[4:]), language, span, 0.9)
        yield _Parts(int(digits[:2]), int(digits[2:4]), int(digits[4:]), 0.3, span)


def _named(line: Line) -> Iterator[_Parts]:
    hits = [hit for pattern in _NAMED for hit in line.find_all(pattern)]
    for hit in hits:
        parts = _from_hit(hit)
        if parts is not None and not any(_within(hit, other) and _from_hit(other) for other in hits):
            yield parts


def _within(hit: Hit, other: Hit) -> bool:
    """ "March 14 nineteen" inside "March 14 nineteen sixty two" is no date of its own."""
    return other.first <= hit.first and hit.last <= other.last and hit.last - hit.first < other.last - other.first


def _from_hit(hit: Hit) -> _Parts | None:
    month, day, year, century = (hit.values.get(name) for name in ("m", "d", "y", "c"))
    if month is None or day is None or year is None or not (day.isdigit() and year.isdigit()):
        return None
    written = int(year)
    if century is not None:
        if century not in ("18", "19", "20") or written > 99:
            return None
        written += int(century) * 100
    return _Parts(written, int(month), int(day), _CERTAIN if hit.exact else 0.88, hit.span)


def _valid(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
