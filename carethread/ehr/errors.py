"""What can go wrong between us and an EHR. Texts name the verb, the type and the code, never a patient or a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Issue:
    """One issue of an OperationOutcome. `text` may quote the record: for staff and the ledger, never for a log."""

    severity: str
    code: str
    text: str = field(default="", repr=False)
    expression: tuple[str, ...] = ()


class EhrError(Exception):
    """Any failure of a call to the EHR."""

    def __init__(self, what: str, *, status: int | None = None, issues: Sequence[Issue] = ()) -> None:
        codes = ", ".join(issue.code for issue in issues)
        super().__init__(f"{what} ({codes})" if codes else what)
        self.status = status
        self.issues = tuple(issues)

    def reason(self) -> str:
        """What the EHR said, for a member of staff: may quote the record, so it goes to no log."""
        said = [" ".join((*issue.expression, issue.text or issue.code)).strip() for issue in self.issues]
        return "; ".join([str(self), *said])[:2000]


class EhrUnavailable(EhrError):
    """No answer in time, a broken connection, or the server's own trouble (5xx, 429): worth trying again later.

    After a write this also means that nobody knows whether it took effect: look before writing again.
    """


class EhrUnauthorized(EhrUnavailable):
    """The EHR does not accept who we are (401, 403). Nothing is wrong with the write, so it waits for the operator."""


class EhrConflict(EhrError):
    """The record changed under us (409, 412): read it again, then decide again."""


class EhrNotFound(EhrError):
    """There is no such record, or no longer (404, 410)."""


class EhrRefused(EhrError):
    """The EHR says no and would say no again (other 4xx), or would have us go elsewhere (3xx)."""


class EhrMalformed(EhrUnavailable):
    """What the EHR sent is not the FHIR R4 it should be: a write may have taken effect all the same."""


def issues_of(body: Any) -> tuple[Issue, ...]:
    """The issues of an OperationOutcome; empty for any other body."""
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return ()
    found = []
    for raw in body.get("issue") or ():
        if not isinstance(raw, dict):
            continue
        details = raw.get("details")
        text = raw.get("diagnostics") or (details.get("text") if isinstance(details, dict) else None) or ""
        where = raw.get("expression") or raw.get("location") or ()
        found.append(
            Issue(
                str(raw.get("severity", "error")),
                str(raw.get("code", "unknown")),
                str(text),
                tuple(str(path) for path in where) if isinstance(where, list) else (),
            )
        )
    return tuple(found)


def error_for(method: str, kind: str, status: int, body: Any) -> EhrError:
    """The typed error for an HTTP status of 300 or more."""
    what = f"{method} {kind}: {status}"
    issues = issues_of(body)
    if status in (401, 403):
        return EhrUnauthorized(what, status=status, issues=issues)
    if status in (404, 410):
        return EhrNotFound(what, status=status, issues=issues)
    if status in (409, 412):
        return EhrConflict(what, status=status, issues=issues)
    if status in (408, 425, 429) or status >= 500:
        return EhrUnavailable(what, status=status, issues=issues)
    return EhrRefused(what, status=status, issues=issues)
