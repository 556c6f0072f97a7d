"""FHIRPath of program rules, over the answers of a questionnaire."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from carethread.questionnaires.fhirpath import CannotEvaluate, NotFhirPath, path, plain

__all__ = ["Compiled", "NotFhirPath", "compiled", "link_ids"]

Compiled = Callable[[Mapping[str, Any]], list[Any]]

_LINK_ID = re.compile(r"linkId\s*=\s*'([^']*)'")
_EMPTY = {"resourceType": "QuestionnaireResponse"}


def compiled(expression: str) -> Compiled:
    """The expression over a QuestionnaireResponse, whose hour of writing is its today(); raises `NotFhirPath`."""
    found = path(expression)

    def over(response: Mapping[str, Any]) -> list[Any]:
        authored = response.get("authored")
        now = datetime.fromisoformat(authored) if authored else datetime.now(UTC)
        return plain(found.evaluate(response, {"resource": response}, now=now))

    try:
        over(_EMPTY)  # names what can never be evaluated
    except CannotEvaluate as error:
        raise NotFhirPath(str(error)) from error
    return over


def link_ids(expression: str) -> set[str]:
    """The questions that the expression looks at, by `linkId = '…'`."""
    return set(_LINK_ID.findall(expression))
