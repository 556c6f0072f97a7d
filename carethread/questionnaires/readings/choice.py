"""Which of the offered options a text means: by number, letter, place, label, its own words, or yes and no."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon, load_table
from carethread.questionnaires.readings.polarity import read_yes_no
from carethread.questionnaires.readings.reading import SURE, How, Reading
from carethread.questionnaires.readings.text import fold, plain

_TABLES = ("numbers", "calendar", "choice")
_STRANGER = 0.35  # how much a word that no option holds speaks against all of them
_INFLECTED = 0.84  # another form of a word, or a slip in it, loses by more than the margin to the word itself
_MARGIN = 0.15  # options closer than this to the best are asked about
_ALIKE = 88  # percent of equal letters from which a whole text counts as a mistyped label
_OPPOSED = 0.85  # as surely as "right" beside "wrong"
_PLAINLY = 0.95  # a label that is "yes" and nothing else
_NEARLY = 80  # percent; a label of a scale with a word left out
_NOON = 12 * 60
_REACH = 3  # words over which a "not" reaches forward


@dataclass(frozen=True, slots=True)
class Option:
    """One thing to choose: what the caller calls it, what the patient reads, and other words for it."""

    value: str
    label: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choice:
    """How a text chose. At most one of the four says something; nothing said means not understood.

    `picked` is one option (ask again if it is not sure); `between` are options that fit equally well, to ask
    "which of these"; `none` means "none of those"; `any` means the patient leaves it to us.
    """

    picked: Reading[str] | None = None
    between: tuple[Reading[str], ...] = ()
    none: bool = False
    any: bool = False
    several: tuple[Reading[str], ...] = field(default=())

    @property
    def understood(self) -> bool:
        return bool((self.picked and self.picked.sure) or self.between or self.none or self.any or self.several)


def read_choice(text: str, options: Sequence[Option], language: str, *, numbered: bool = False) -> Choice:
    """Understands a text as a choice among `options`, which the patient saw in this order.

    `numbered` says that they were asked to answer with the number, so that "2" is the second option even where
    another one reads "2 weeks".

    >>> read_choice("la segunda", [Option("a", "Mañana"), Option("b", "Tarde")], "es").picked.value
    'b'
    """
    if not options or not text.strip():
        return Choice()
    same = read_label(text, options)
    if same is not None:
        return Choice(picked=same)
    line = lexicon(language, *_TABLES).scan(text)
    spoken = [sym for sym in line.syms if sym.kind not in ("STOP", "SOFT", "P", "THE", "OF", "A", "AND", "OR")]
    general = _general(line, spoken, options, language)
    if general is not None:
        return general
    pointed = _pointed(line, spoken, options, language, numbered=numbered)
    if pointed:
        return _decide(pointed, both=any(sym.kind == "AND" for sym in line.syms))
    by_words = _by_words(line, options, language)
    if by_words.picked is None or not by_words.picked.sure:
        polar = _by_polarity(text, options, language)
        if polar is not None and not by_words.between:
            return Choice(picked=polar)
    return by_words


def says_no_option(text: str, language: str, *, least: float = 0.95) -> bool:
    """Whether a label or an answer says that nothing of a list applies: "None of the above", "Nobody", "no".

    `least` is how surely a "no" must be one: a label "No change" says something else.
    """
    if plain(text) in _NOBODY:
        return True
    spoken = read_yes_no(text, language)
    if spoken is not None and not spoken.value and spoken.confidence >= least and not spoken.rest:
        return True
    line = lexicon(language, *_TABLES).scan(text)
    said = [sym for sym in line.syms if sym.kind not in ("STOP", "SOFT", "P", "THE", "OF")]
    named = bool(said) and said[0].kind == "NONE" and _NONE.match(fold(text[said[0].start :]).text) is not None
    return named and not any(sym.kind in ("NUM", "ORD", "W") for sym in said[1:])


_NONE = re.compile(r"(?:none|neither|nothing|not any|nobody|no |ningun|nada|ni )")  # and not "other"
_BARE_NONE = frozenset({"none", "neither", "nothing", "ninguno", "ninguna", "nada"})
_NOBODY = frozenset({"nobody", "no one", "no body", "noone", "nadie", "none", "nadien"})


def only_first(text: str, labels: Sequence[str], language: str) -> str:
    """ "Leve nada más" as "Leve", or as "solo leve" where options tell "only" from both: "nada" is no "none" there."""
    folded = fold(text)
    match = _only_this().fullmatch(folded.text)
    place = next((group for group in (1, 2) if match is not None and match[group]), 0)
    said = text[slice(*folded.span(*match.span(place)))] if match is not None and place else ""
    if not said or is_negated(said) or plain(said) in _BARE_NONE:
        return text
    if any(_ONLY.search(fold(label).text) for label in labels):
        return f"solo {said}" if language == "es" else f"{said} only"
    return said


_ONLY = re.compile(r"\b(?:only|solo|solamente|just)\b")


@lru_cache(maxsize=1)
def _only_this() -> re.Pattern[str]:
    return re.compile(load_table("choice")["only_this"])


def opens_with_none(text: str) -> bool:
    """Whether a message says first that nothing applies, and takes nothing of it back: "Nothing, I manage"."""
    line = fold(text).text
    opened = _opening_none().match(line)
    if opened is None or _TAKES_BACK.search(line) or "?" in line:
        return False
    after = line[opened.end() :].lstrip(" \t")
    return not after or not after[0].isalnum()


@lru_cache(maxsize=1)
def _opening_none() -> re.Pattern[str]:
    return re.compile(load_table("choice")["opening_none"])


_TAKES_BACK = re.compile(
    r"\b(?:but|except|only|just|apart|besides|other|until|pero|solo|menos|excepto|aunque|salvo|mas que|hasta|sino)\b"
)
_NO_SUCH = re.compile(r"(?:no|sin|without)(?: \w+){1,2}")
_NOT_EMPTY = frozenset(
    {
        "change",
        "changes",
        "cambio",
        "cambios",
        "difference",
        "diferencia",
        "opinion",
        "se",
        "sabe",
        "answer",
        "preference",
    }
)


def is_empty_option(label: str, language: str) -> bool:
    """Whether a label says that there is nothing of what is asked: "No drainage", "No sale nada"; not "No change"."""
    written = plain(label)
    return _NO_SUCH.fullmatch(written) is not None and not _NOT_EMPTY & set(written.split())


def alike(text: str, label: str) -> bool:
    """Whether a text is a label, mistyped."""
    return fuzz.ratio(plain(text), plain(label)) >= _NEARLY


def is_negated(text: str) -> bool:
    """Whether a "not" stands anywhere in a text."""
    return bool(set(plain(text).split()) & set(load_table("choice")["negators"]))


def read_label(text: str, options: Sequence[Option]) -> Reading[str] | None:
    """The one option whose label or synonym is exactly what was written."""
    written = plain(text)
    if not written:
        written = text.strip()
    hits: list[tuple[Option, How]] = []
    for option in options:
        if written == (plain(option.label) or option.label.strip()):
            hits.append((option, "exact"))
        elif any(written == (plain(synonym) or synonym.strip()) for synonym in option.synonyms):
            hits.append((option, "synonym"))
    if len(hits) != 1:
        return None
    return Reading(hits[0][0].value, 1.0, (0, len(text)), hits[0][1])


def _general(line: Line, spoken: list[Sym], options: Sequence[Option], language: str) -> Choice | None:
    """None of them, any of them, all of them: only where nothing else is said and no option says just that."""
    for kind in ("NONE", "ANY", "ALL"):
        if not any(sym.kind == kind for sym in spoken):
            continue
        others = [sym for sym in spoken if sym.kind not in (kind, "PICK", "NOT")]
        if any(sym.kind in ("NUM", "ORD", "WD", "MONTH", "DAY", "TIME", "PART", "UNIT", "W") for sym in others):
            continue
        if any(_kinds(option.label, language) & {kind} for option in options):
            return None
        span = (line.syms[0].start, line.syms[-1].end)
        if kind == "NONE":
            return Choice(none=True)
        if kind == "ANY":
            return Choice(any=True)
        return Choice(several=tuple(Reading(option.value, 0.9, span, "synonym") for option in options))
    return None


@lru_cache(maxsize=4096)
def _kinds(label: str, language: str) -> frozenset[str]:
    return frozenset(sym.kind for sym in lexicon(language, *_TABLES).scan(label).syms)


def _pointed(
    line: Line, spoken: list[Sym], options: Sequence[Option], language: str, *, numbered: bool
) -> list[Reading[str]]:
    """Options pointed at by number, letter or place in the list, where little else is said."""
    strangers = sum(1 for sym in spoken if sym.kind not in ("NUM", "ORD", "LAST", "MIDDLE", "PICK", "NOT"))
    letter = _letter(line, spoken, options)
    if letter is not None:
        return [letter]
    if strangers > 1 or not spoken or any(sym.kind in ("MONTH", "WD", "UNIT", "DAY") for sym in spoken):
        return []  # "last friday", "march first"
    picks = [(sym, index) for sym in spoken for index in [_place(sym, len(options))] if index is not None]
    numbers = [sym for sym in spoken if sym.kind in ("NUM", "ORD", "LAST", "MIDDLE")]
    if not picks or len(picks) != len(numbers) or any(_clock_before(line, sym) for sym in numbers):
        return []
    if strangers and any(sym.kind == "NUM" for sym, _ in picks) and not any(sym.kind == "PICK" for sym in spoken):
        return []  # "2 pills", "at 2": a number of something, not of the list
    if any(sym.kind == "NOT" for sym in spoken):
        left = [option for place, option in enumerate(options) if place not in {index for _, index in picks}]
        return [Reading(option.value, 0.75, (line.syms[0].start, line.syms[-1].end), "number") for option in left]
    readings = [
        Reading(options[index].value, 0.95 if not strangers else 0.8, (sym.start, sym.end), "number")
        for sym, index in picks
    ]
    if len(readings) == 1 and picks[0][0].kind == "NUM" and not numbered:
        sym = picks[0][0]  # "2" where other options read "1-2 days" and "2 weeks"
        readings += [
            Reading(option.value, 0.9, (sym.start, sym.end), "exact")
            for option in options
            if option.value != readings[0].value and f"#{sym.value}" in _features(option.label, language)
        ]
    return readings


def _place(sym: Sym, count: int) -> int | None:
    """The zero-based option a symbol points at."""
    if sym.kind in ("NUM", "ORD") and re.fullmatch(r"\d{1,3}", sym.value) and 1 <= int(sym.value) <= count:
        return int(sym.value) - 1
    if sym.kind == "LAST":
        return count - 1
    if sym.kind == "MIDDLE" and count % 2:
        return count // 2
    return None


def _letter(line: Line, spoken: list[Sym], options: Sequence[Option]) -> Reading[str] | None:
    """ "b", "(b)", "option b", and "a" alone, which is otherwise a small word."""
    said = [sym for sym in line.syms if sym.kind != "P"]
    named = [sym for sym in said if sym.kind not in ("PICK", "STOP", "SOFT", "THE")] or said[-1:]
    articles = all(line.text[sym.start : sym.end].lower() in ("the", "la", "el") for sym in said if sym not in named)
    if len(named) != 1 or not (len(said) == 1 or articles or any(sym.kind == "PICK" for sym in said)):
        return None
    written = line.text[named[0].start : named[0].end].lower()
    if len(written) != 1 or not "a" <= written <= "z":
        return None
    if ord(written) - ord("a") >= min(len(options), 26):
        initial = [option for option in options if plain(option.label).startswith(written)]
        if len(initial) != 1 or len(said) > 1:
            return None
        return Reading(initial[0].value, 0.8, (named[0].start, named[0].end), "letter")
    return Reading(options[ord(written) - ord("a")].value, 0.95, (named[0].start, named[0].end), "letter")


def _decide(readings: list[Reading[str]], *, both: bool = False) -> Choice:
    unique = {reading.value: reading for reading in reversed(readings)}
    chosen = tuple(reading for reading in readings if unique.get(reading.value) is reading)
    if len(chosen) == 1:
        return Choice(picked=chosen[0])
    return Choice(several=chosen) if both else Choice(between=chosen)


# --- by words -------------------------------------------------------------------------------------------------


def _by_words(line: Line, options: Sequence[Option], language: str) -> Choice:
    """Options by the words they share with the text, counting only words that tell options apart."""
    written = plain(line.text)
    held = _held(written, options)
    if held:
        rival = _rival(written, held, options, language) if len(held) == 1 else None
        named = [*held, rival] if rival is not None else held
        return _decide([_reading(line, option, 0.92, "exact") for option in named])
    scores = _scores(line, options, language)
    labelled = {
        word for option in options for label in (option.label, *option.synonyms) for word in plain(label).split()
    }
    negated = any(sym.kind == "NOT" for sym in line.syms) or (
        not any(sym.kind == "ANY" for sym in line.syms)
        and is_negated(" ".join(word for word in written.split() if word not in labelled))
    )
    only_number = all(
        (sym.kind in ("STOP", "P", "THE") and sym.value != "name")
        or (sym.kind == "NUM" and not _clock_before(line, sym))
        for sym in line.syms
    )
    if negated or only_number:  # "not better"; a bare number past the end of the list
        scores = [min(score, 0.6) for score in scores]
    for place, option in enumerate(options):
        for label in () if negated else (option.label, *option.synonyms):
            alike = fuzz.ratio(written, plain(label))
            if alike >= _ALIKE:
                scores[place] = max(scores[place], alike / 100)
    best = max(scores)
    if best < 0.5:
        return Choice()
    near = [place for place, score in enumerate(scores) if score >= best - _MARGIN and score >= 0.5]
    how: How = "similarity" if best < 0.9 else "synonym"
    readings = [_reading(line, options[place], min(scores[place], 0.9), how) for place in near]
    literal = _literally(written, [options[place] for place in near]) if len(near) > 1 else None
    if literal is not None and best >= SURE:
        return Choice(picked=_reading(line, literal, 0.85, "synonym"))
    if len(readings) == 1:
        return Choice(picked=readings[0])
    if best < SURE or len(readings) == len(options) > 2:
        return Choice()
    return Choice(between=tuple(readings))


def _reading(line: Line, option: Option, confidence: float, how: How) -> Reading[str]:
    return Reading(option.value, confidence, (0, len(line.text)), how)


def _held(written: str, options: Sequence[Option]) -> list[Option]:
    """Options whose whole label stands in the text, unless it is part of a longer label that also does."""
    padded = f" {written} "
    found: list[tuple[str, Option]] = []
    for option in options:
        labels = [plain(label) for label in (option.label, *option.synonyms)]
        hits = [label for label in labels if len(label) > 2 and not label.isdigit() and f" {label} " in padded]
        if hits:
            found.append((max(hits, key=len), option))
    kept = [
        (label, option)
        for label, option in found
        if not _negated(written, label) and not re.search(rf"{_ALMOST}{re.escape(label)}\b", written)
    ]
    return [
        option
        for label, option in kept
        if not any(f" {label} " in f" {other} " for other, rival in kept if rival is not option and other != label)
    ]


_ALMOST = r"\b(?:almost|nearly|casi) (?:all |everything |of |it |la |el )*"  # "casi nada" is not "Nada"


def _literally(written: str, options: Sequence[Option]) -> Option | None:
    """The one of several options whose own words are written, where others mean much the same: "night", "evening"."""
    said = [word for word in written.split() if len(word) >= 4]
    holding = [
        option
        for option in options
        if any(_shared_beginning(word, other) >= 4 for word in said for other in plain(option.label).split())
    ]
    return holding[0] if len(holding) == 1 else None


def _rival(written: str, held: Sequence[Option], options: Sequence[Option], language: str) -> Option | None:
    """Another option that the words beside a whole label name: "nobody but my neighbor"."""
    (option,) = held
    label = max((plain(one) for one in (option.label, *option.synonyms) if plain(one) in written), key=len, default="")
    beside = lexicon(language, *_TABLES).scan(written.replace(label, " ", 1))
    if not label or any(sym.kind == "NOT" for sym in beside.syms):
        return None
    scores = _scores(beside, options, language)
    best = max(range(len(options)), key=lambda place: scores[place])
    return options[best] if scores[best] >= SURE and options[best] is not option else None


def _negated(written: str, label: str) -> bool:
    """Whether a "not" stands shortly before a label: "not much better", "no está roja"."""
    table = load_table("choice")
    before = f" {written} ".partition(f" {label} ")[0].split()
    if before == ["no"] and label.split()[0] == "i":
        return False  # "no i quit"
    for word in reversed(before[-_REACH:]):
        if word in table["clauses"]:
            return False
        if word in table["negators"]:
            return True
    return False


def _scores(line: Line, options: Sequence[Option], language: str) -> list[float]:
    # A synonym of several words counts only as a whole: "not any better" must not lend its "better".
    holdings = [
        frozenset().union(
            _features(option.label, language),
            *(_features(synonym, language) for synonym in option.synonyms if len(synonym.split()) == 1),
        )
        for option in options
    ]
    points = [0.0] * len(options)
    telling = strange = 0.0
    for alternatives in _spoken_features(line):
        strengths = [max((_strength(one, holding) for one in alternatives), default=0.0) for holding in holdings]
        if not any(strengths):
            strange += 0.0 if any(one.startswith("~") for one in alternatives) else _STRANGER
        elif not all(strengths) or len(options) == 1:
            telling += 1
            for place, strength in enumerate(strengths):
                points[place] += strength
    if not telling:
        return points
    return [point / (telling + strange) for point in points]


def _strength(spoken: str, holding: frozenset[str]) -> float:
    """How well a spoken feature matches a label: fully, as a beginning ("cardio"), or mistyped."""
    if spoken in holding:
        return 1.0
    if not spoken.isalpha() or len(spoken) < 3:
        return 0.0
    if len(spoken) < 4:
        return (
            0.9 if any(held.isalpha() and (held == f"{spoken}s" or _begins(spoken, held)) for held in holding) else 0.0
        )
    for held in holding:
        if held.isalpha() and (_begins(spoken, held) or _begins(held, spoken)):
            return 0.9
        shared = _shared_beginning(held, spoken)
        if shared >= 6 and shared >= 0.7 * max(len(held), len(spoken)):  # dermatologist, dermatology
            return 0.9
    if any(held.isalpha() and _stems(spoken) & _stems(held) for held in holding):
        return _INFLECTED
    slips = 1 if len(spoken) < 8 else 2
    if len(spoken) >= 5 and any(
        held.isalpha() and abs(len(held) - len(spoken)) <= slips and OSA.distance(spoken, held) <= slips
        for held in holding
    ):
        return _INFLECTED
    return 0.0


@lru_cache(maxsize=8192)
def _stems(word: str) -> frozenset[str]:
    """What is left of a word without its gender, number, diminutive or adjective ending: "clarito", "verdoso"."""
    return frozenset(
        word.removesuffix(ending)
        for ending in load_table("choice")["endings"]
        if word.endswith(ending) and len(word) - len(ending) >= (3 if len(ending) <= 2 else 4)
    )


def _begins(short: str, long: str) -> bool:
    """ "cardio" begins "cardiology" and "day" "days"; "weak" is not "weaker"."""
    if len(short) == 3 and len(long) >= 7 and long.startswith(short):  # "izq"
        return True
    return len(short) >= 4 and long.startswith(short) and (len(long) - len(short) > 2 or long[len(short) :] in "s es")


def _shared_beginning(one: str, other: str) -> int:
    return next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


@lru_cache(maxsize=4096)
def _features(label: str, language: str) -> frozenset[str]:
    """What a label can be known by: words, weekdays, days of the month, times and parts of the day."""
    line = lexicon(language, *_TABLES).scan(label)
    held: set[str] = set()
    for alternatives in _spoken_features(line, label=True):
        held |= alternatives
    return frozenset(held)


def _spoken_features(line: Line, *, label: bool = False) -> list[set[str]]:
    """One set of alternative features for each telling symbol."""
    found: list[set[str]] = []
    syms = [sym for sym in line.syms if sym.kind not in ("THE", "OF", "A", "AND", "OR", "STOP") or sym.value == "name"]
    for place, sym in enumerate(syms):
        before = syms[place - 1] if place else None
        after = syms[place + 1] if place + 1 < len(syms) else None
        if sym.kind == "TIME" or (
            sym.kind == "NUM" and ((after is not None and after.kind in ("AM", "PM")) or _clock_before(line, sym))
        ):
            half = after is not None and after.kind == "HALF" and sym.kind == "NUM"
            found.append(_clock(f"{sym.value}:30" if half else sym.value, after, label=label))
        elif sym.kind in ("NUM", "ORD"):
            dated = any(other is not None and other.kind == "MONTH" for other in (before, after))
            features = {f"D:{sym.value}"} if dated else {f"#{sym.value}", f"D:{sym.value}"}
            if not label and re.fullmatch(r"(\d|1\d|2[0-3])[0-5]\d", sym.value):  # "330"
                features |= _clock(f"{sym.value[:-2]}:{sym.value[-2:]}", after, label=False)
            found.append(features)
        elif sym.kind == "DAY" and sym.value == "1" and line.text[sym.start].lower() == "m":  # mañana
            found.append({"DAY:1", "PART:morning"})
        elif sym.kind in ("WD", "MONTH", "DAY", "PART", "UNIT", "NEXT", "THIS"):
            found.append({f"{sym.kind}:{sym.value}"})
        elif sym.kind == "STOP":
            word = line.text[sym.start : sym.end].lower().split()[-1]
            found.append({word, f"~{word}"})
        elif sym.kind in ("SOFT", "ABOUT"):
            found.append({f"~{line.text[sym.start : sym.end].lower()}"})
        elif sym.kind == "W" and len(sym.value) > 1:
            found.append({sym.value})
        elif sym.kind == "NONE":
            written = line.text[sym.start : sym.end].lower()
            found.append({f"NONE:{written}" if written in _BARE_NONE else "NONE:1"})  # "none" is not "other"
        elif sym.kind in ("ANY", "ALL", "HALF", "FEW"):
            found.append({f"{sym.kind}:{sym.value}"})
    return found


def _clock_before(line: Line, sym: Sym) -> bool:
    """ "at 2", "a las 2": the small word before says that the number is a time."""
    return bool(re.search(r"(\b(at|las|a la)|@)\s*$", line.text[max(0, sym.start - 6) : sym.start].lower()))


def _clock(value: str, after: Sym | None, *, label: bool) -> set[str]:
    """Minutes since midnight that a time may mean, and for labels the part of the day it lies in."""
    hours, _, minutes = value.replace(".", ":").partition(":")
    clock = (int(hours) * 60 + int(minutes or 0)) % (24 * 60)
    if after is not None and after.kind == "PM" and clock < _NOON:
        readings = {clock + _NOON}
    elif after is not None and after.kind == "AM":
        readings = {clock % _NOON}
    elif clock < _NOON and not label:
        readings = {clock, clock + _NOON}
    else:
        readings = {clock}
    features = {f"T:{reading}" for reading in readings}
    if label:
        part = "morning" if min(readings) < _NOON else "afternoon" if min(readings) < 17 * 60 else "evening"
        features |= {f"PART:{part}"}
    return features


def polar_options(options: Sequence[Option], language: str, value: bool) -> list[Option]:
    """The options that are a yes, or a no: "Right" beside "Left" is none, beside "Wrong" it is."""
    meant = [
        (option, reading)
        for option in options
        for reading in [read_yes_no(option.label, language)]
        if reading is not None and reading.sure and not reading.rest and reading.how == "polarity"
    ]
    opposed = {reading.value for _, reading in meant} == {True, False}
    return [
        option
        for option, reading in meant
        if reading.value is value and (not value or reading.confidence >= (_OPPOSED if opposed else _PLAINLY))
    ]


def _by_polarity(text: str, options: Sequence[Option], language: str) -> Reading[str] | None:
    """ "nope" for "Not at all": where exactly one option is a yes or a no, yes and no mean it."""
    spoken = read_yes_no(text, language)
    if spoken is None or not spoken.sure:
        return None
    same = polar_options(options, language, spoken.value)
    if len(same) != 1:
        return None
    return Reading(same[0].value, min(spoken.confidence, 0.85), spoken.span, "polarity", spoken.rest)
