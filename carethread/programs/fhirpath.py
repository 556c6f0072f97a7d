"""FHIRPath of program rules, compiled strictly.

The library by itself lets a slip of the pen pass, as a rule that never fires.
"""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import fhirpathpy
from antlr4 import CommonTokenStream, InputStream
from antlr4.error.ErrorListener import ErrorListener
from fhirpathpy.models import models
from fhirpathpy.parser.generated.FHIRPathLexer import FHIRPathLexer
from fhirpathpy.parser.generated.FHIRPathParser import FHIRPathParser

Compiled = Callable[..., list[Any]]

_LINK_ID = re.compile(r"linkId\s*=\s*'([^']*)'")
_EMPTY = {"resourceType": "QuestionnaireResponse"}


class NotFhirPath(ValueError):
    """The expression cannot be read; the text says at which character, or which function nobody knows."""


class _Strict(ErrorListener):  # type: ignore[misc]
    def syntaxError(self, _recognizer: Any, _symbol: Any, line: int, column: int, message: str, _error: Any) -> None:  # noqa: N802
        raise NotFhirPath(f"at character {column + 1}: {message}")


def compiled(expression: str) -> Compiled:
    """The expression over R4 resources; raises `NotFhirPath`."""
    lexer = FHIRPathLexer(InputStream(expression))
    parser = FHIRPathParser(CommonTokenStream(lexer))
    for reader in (lexer, parser):
        reader.removeErrorListeners()
        reader.addErrorListener(_Strict())
    parser.entireExpression()  # type: ignore[no-untyped-call]
    try:
        path: Compiled = fhirpathpy.compile(expression, models["r4"])
        path(_EMPTY)  # names functions that do not exist
    except Exception as error:  # the library raises many kinds
        raise NotFhirPath(str(error)) from error
    return path


def link_ids(expression: str) -> set[str]:
    """The questions that the expression looks at, by `linkId = '…'`."""
    return set(_LINK_ID.findall(expression))
