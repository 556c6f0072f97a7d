"""Several options at once: "1 and 3", "a, b", "1-4", "all except the second", "náusea y dolor de cabeza"."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carethread.questionnaires.readings.choice import Choice, Option
from carethread.questionnaires.readings.lexicon import Line, Sym, lexicon

_TABLES = ("numbers", "calendar", "choice", "several")
_ASIDE = ("STOP", "SOFT", "P", "THE", "OF", "A", "PICK")
_Read = Callable[[str], Choice]


@dataclass(frozen=True, slots=True)
class Several:
    """The options said, by value, in their own order; `rest` holds words beside them that no option has.

    `unclear` says that a part pointed at no option or at several, so that the whole must be asked again.
    """

    values: tuple[str, ...]
    rest: str = ""
    unclear: bool = False


def read_several(text: str, options: Sequence[Option], language: str, read: _Read) -> Several | None:
    """The options a text names one by one, by range, or all but some; None where it names fewer than two parts.

    `read` understands one part. `options` that stand for none of the others must not be among them.
    """
    text = re.sub(r"(?<=\d),(?=\d)", ", ", text)
    line = lexicon(language, *_TABLES).scan(text)
    only = _split_at(line, "ONLY")
    if only is not None:
        return read_several(only[1], options, language, read) or _one_alone(only[1], read)
    excepted = _split_at(line, "EXCEPT")
    if excepted is not None:
        return _all_but(*excepted, options, language, read)
    if _says_all(line):
        return Several(tuple(option.value for option in options))
    places = _range(line, len(options))
    if places is not None:
        return Several(tuple(options[place].value for place in places))
    parts = _parts(line)
    if len(parts) < 2:
        return None
    return _together(parts, options, read)


def names_something(rest: str, language: str) -> bool:
    """Whether words beside the options name a further thing rather than comment: "blurry sight", not "since monday"."""
    line = lexicon(language, *_TABLES).scan(rest)
    if any(sym.kind in _COMMENTS for sym in line.syms):
        return False
    told = [sym for sym in line.syms if sym.kind == "W"]
    return 0 < len(told) <= _NAMED and len(line.syms) <= _NAMED + 1


_COMMENTS = ("WD", "DAY", "MONTH", "TIME", "PART", "NUM", "UNIT", "NEXT", "THIS", "ABOUT", "SOFT", "FEW", "HALF")
_NAMED = 2  # words


def _one_alone(text: str, read: _Read) -> Several:
    choice = read(text)
    sure = choice.picked is not None and choice.picked.sure
    return Several((choice.picked.value,)) if sure and choice.picked is not None else Several((), unclear=True)


def _says_all(line: Line) -> bool:
    said = [sym for sym in line.syms if sym.kind not in _ASIDE]
    return len(said) == 1 and said[0].kind == "ALL"


def _split_at(line: Line, kind: str) -> tuple[str, str] | None:
    for sym in line.syms:
        if sym.kind == kind:
            return line.text[: sym.start].strip(" ,.;:"), line.text[sym.end :].strip(" ,.;:")
    return None


def _all_but(before: str, after: str, options: Sequence[Option], language: str, read: _Read) -> Several | None:
    line = lexicon(language, *_TABLES).scan(before)
    if before and not any(sym.kind == "ALL" for sym in line.syms):
        return None
    left_out = read_several(after, options, language, read)
    if left_out is None:
        choice = read(after)
        if choice.picked is None or not choice.picked.sure:
            return Several((), unclear=True)
        left_out = Several((choice.picked.value,))
    if left_out.unclear or left_out.rest:
        return Several((), unclear=True)
    return Several(tuple(option.value for option in options if option.value not in left_out.values))


def _range(line: Line, count: int) -> range | None:
    """ "1-4", "1 to 4", "del 1 al 4", "the first two"."""
    said = [sym for sym in line.syms if sym.kind not in _ASIDE]
    if len(said) == 1 and said[0].kind in ("FIRSTS", "LASTS") and int(said[0].value) <= count:
        number = int(said[0].value)
        return range(number) if said[0].kind == "FIRSTS" else range(count - number, count)
    written = re.fullmatch(
        r"\W*(?:from |del? |options? |numbers? )?(?:el |la )?(\d{1,2})\s*"
        r"(?:-|–|to|thru|through|al?|a la|hasta)\s*(?:el |la )?(\d{1,2})\W*",
        line.text.strip().lower(),
    )
    if written is not None:
        first, last = int(written.group(1)), int(written.group(2))
        if 1 <= first < last <= count:
            return range(first - 1, last)
    return None


def _parts(line: Line) -> list[tuple[str, bool]]:
    """The parts between "and", commas and the like, each with whether a "not" opens it."""
    parts: list[tuple[str, bool]] = []
    start = line.syms[0].end if line.syms and line.syms[0].kind == "ALL" else 0  # "both 1 and 2"
    not_next = False
    for place, sym in enumerate(line.syms):
        joins = sym.kind in ("AND", "ALSO") or (sym.kind == "P" and sym.value in ",;/&+.\n")
        negates = sym.kind == "NOT" and place > 0
        if not joins and not negates and not _digits_apart(line.syms, place):
            continue
        if _digits_apart(line.syms, place):
            part, start_next = line.text[start : sym.start], sym.start
        else:
            part, start_next = line.text[start : sym.start], sym.end
        if part.strip(" ,.;:"):
            parts.append((part.strip(" ,.;:"), not_next))
            not_next = False
        start = start_next
        not_next = not_next or negates
    if line.text[start:].strip(" ,.;:!"):
        parts.append((line.text[start:].strip(" ,.;:!"), not_next))
    return parts


def _digits_apart(syms: Sequence[Sym], place: int) -> bool:
    """ "1 2 4", "a b": numbers or lone letters side by side are parts of their own."""
    if place == 0:
        return False
    one, other = syms[place - 1], syms[place]
    return _points(one) and _points(other)


def _points(sym: Sym) -> bool:
    return (sym.kind == "NUM" and sym.value.isdigit() and not sym.spelled) or (
        sym.kind in ("W", "A") and sym.end - sym.start == 1
    )


_ONE = {"one": "1", "uno": "1", "una": "1", "la uno": "1", "el uno": "1"}  # small words elsewhere in an answer


def _together(parts: Sequence[tuple[str, bool]], options: Sequence[Option], read: _Read) -> Several:
    known = {option.value for option in options}
    chosen: set[str] = set()
    refused: set[str] = set()
    rest: list[str] = []
    for part, negated in parts:
        choice = read(_ONE.get(part.lower(), part))
        if choice.picked is not None and choice.picked.sure and choice.picked.value not in known:
            return Several((), unclear=True)  # one of these, and none of them
        if choice.picked is not None and choice.picked.sure:
            (refused if negated else chosen).add(choice.picked.value)
        elif choice.between or any(char.isdigit() for char in part) or len(part) == 1:
            return Several((), unclear=True)
        elif not negated:
            rest.append(part)
    values = tuple(option.value for option in options if option.value in chosen - refused)
    return Several(values, " ".join(rest), unclear=not values)
