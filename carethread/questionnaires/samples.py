"""A short text that a regular expression takes: what the automatic patient writes where a form asks for one."""

import re
from typing import Any

from carethread.questionnaires.fhirpath import safe_pattern

_LETTERS = "a1A -_.@/"


def sample(pattern: str) -> str | None:
    """A text that the whole pattern fits, or None where none is found."""
    compiled = safe_pattern(pattern) if pattern else None
    if compiled is None:
        return None
    import re._parser as sre  # type: ignore[import-not-found]

    found = _text(sre.parse(pattern), {})
    return found if found is not None and compiled.fullmatch(found) else None


def _text(parsed: Any, groups: dict[int, str]) -> str | None:
    parts: list[str] = []
    for operation, argument in parsed:
        made = _part(str(operation), argument, groups)
        if made is None:
            return None
        parts.append(made)
    return "".join(parts)


def _part(operation: str, argument: Any, groups: dict[int, str]) -> str | None:
    if operation == "LITERAL":
        return chr(argument)
    if operation in ("AT", "ASSERT_NOT", "ASSERT"):
        return ""
    if operation == "ANY":
        return "a"
    if operation == "NOT_LITERAL":
        return next(letter for letter in _LETTERS if ord(letter) != argument)
    if operation == "IN":
        return _one_of(argument)
    if operation in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
        low, high, body = argument
        one = _text(body, groups)
        return None if one is None else one * max(int(low), min(1, int(high)))
    if operation == "SUBPATTERN":
        number, _, _, body = argument
        made = _text(body, groups)
        if number is not None and made is not None:
            groups[number] = made
        return made
    if operation == "BRANCH":
        return next((made for branch in argument[1] for made in [_text(branch, groups)] if made is not None), None)
    return groups.get(argument) if operation == "GROUPREF" else None


def _one_of(members: Any) -> str | None:
    """A character of a class such as [0-9A-Z] or [^,]."""
    negated = any(str(operation) == "NEGATE" for operation, _ in members)
    candidates: list[str] = []
    for operation, argument in members:
        if str(operation) == "LITERAL":
            candidates.append(chr(argument))
        elif str(operation) == "RANGE":
            candidates.append(chr(argument[0]))
        elif str(operation) == "CATEGORY":
            candidates += {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(argument), "a")
    if not negated:
        return candidates[0] if candidates else None
    kinds = [re.escape(chr(argument)) for operation, argument in members if str(operation) == "LITERAL"]
    ranges = [
        f"{re.escape(chr(argument[0]))}-{re.escape(chr(argument[1]))}"
        for operation, argument in members
        if str(operation) == "RANGE"
    ]
    classes = {"CATEGORY_DIGIT": r"\d", "CATEGORY_SPACE": r"\s", "CATEGORY_WORD": r"\w"}
    others = [classes.get(str(argument), "") for operation, argument in members if str(operation) == "CATEGORY"]
    excluded = re.compile(f"[{''.join((*kinds, *ranges, *others))}]")
    return next((letter for letter in _LETTERS if not excluded.match(letter)), None)
