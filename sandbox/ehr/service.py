"""sekmet-fhir's FHIR service with the guarantees a clinic's server gives: refusals, atomic conditions, integrity."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from sekmet import context
from sekmet.config import Settings, SubscriptionSettings
from sekmet.context import AppContext
from sekmet.fhir import router
from sekmet.fhir import validation as sekmet_validation
from sekmet.fhir.bundle import process_bundle
from sekmet.fhir.common import FhirError, issue
from sekmet.fhir.service import FhirService, Result

from sandbox.ehr import search, validation


class SandboxService(FhirService):  # type: ignore[misc]
    """Validates writes as R4, and makes every read-decide-write one transaction."""

    def __init__(self, store: Any, settings: Settings) -> None:
        super().__init__(store, settings)
        self.search_engine = search.SandboxSearch(store)
        self._thread = threading.local()

    def _check_body(self, rtype: str, body: Any, origin: str) -> list[dict[str, Any]]:
        if isinstance(body, dict) and body.get("resourceType") == rtype:
            deferred: list[tuple[str, str, str]] | None = getattr(self._thread, "deferred", None)
            if deferred is None:
                found = validation.problems(body, self.store.exists)
            else:  # within a transaction a reference may point at a later entry
                found = validation.problems(body)
                deferred.extend(validation.local_references(body, rtype))
            if found:
                raise refusal(found)
            return []
        issues: list[dict[str, Any]] = super()._check_body(rtype, body, origin)
        return issues

    def create(self, rtype: str, body: Any, if_none_exist: str | None = None, **rest: Any) -> Result:
        """Search and create in one transaction, so that parallel conditional creates yield one resource."""
        return self._atomically(
            if_none_exist is not None,
            lambda: super(SandboxService, self).create(rtype, body, if_none_exist, **rest),
        )

    def conditional_update(self, rtype: str, params: Any, body: Any, **rest: Any) -> Result:
        """As `create`, for PUT with a query."""
        return self._atomically(
            True, lambda: super(SandboxService, self).conditional_update(rtype, params, body, **rest)
        )

    def patch(
        self,
        rtype: str,
        rid: str,
        body: Any,
        content_type: str,
        if_match: str | None = None,
        **rest: Any,
    ) -> Result:
        """Checks the version before the patch is tried: a stale client hears 412, not that its patch failed."""

        def work() -> Result:
            current = self.store.current_version(rtype, rid)
            if if_match is not None and current and not current[1]:
                wanted = if_match.removeprefix("W/").strip('"')
                if wanted != str(current[0]):
                    raise FhirError(412, f"If-Match {if_match}, but the version is {current[0]}", "conflict")
            return super(SandboxService, self).patch(rtype, rid, body, content_type, if_match, **rest)

        return self._atomically(True, work)

    def _atomically(self, needed: bool, work: Callable[[], Result]) -> Result:
        if not needed:
            return work()
        with self.store.transaction():
            return work()

    def bundle(self, bundle: Any, **rest: Any) -> Result:
        """A transaction's references are checked when all of it is written, and roll it back when one dangles."""
        if not isinstance(bundle, dict) or bundle.get("type") != "transaction":
            return process_bundle(self, bundle, **rest)
        self._thread.deferred = []
        try:
            with self.store.transaction():
                result = process_bundle(self, bundle, **rest)
                missing = [
                    validation.Problem(path, f"{kind}/{ref_id} is not on this server")
                    for path, kind, ref_id in self._thread.deferred
                    if not self.store.exists(kind, ref_id)
                ]
                if missing:
                    raise refusal(missing)
                return result
        finally:
            del self._thread.deferred


def refusal(found: list[validation.Problem]) -> FhirError:
    """400 with one issue per problem."""
    issues = [issue("error", "invalid", f"{p.path}: {p.message}", [p.path]) for p in found]
    return FhirError(400, "not valid FHIR R4", "invalid", issues=issues)


def _structural_issues(resource: Any) -> list[dict[str, Any]]:
    """What `$validate` reports, by the same rules as a write."""
    if not isinstance(resource, dict):
        return [issue("error", "structure", "the body is not a JSON object")]
    return [issue("error", "invalid", f"{p.path}: {p.message}", [p.path]) for p in validation.problems(resource)]


def open_context(database: str, base_url: str) -> AppContext:
    """sekmet's context on `database`, without its simulator, console and traffic log."""
    search.extend()
    context.FhirService = SandboxService
    sekmet_validation.structural_issues = _structural_issues
    router.process_bundle = lambda svc, body, **rest: svc.bundle(body, **rest)
    settings = Settings(
        base_url=base_url,
        host="127.0.0.1",
        db_path=database,
        facility_name="Riverbend Clinic",
        software_name="Sandbox EHR",
        log_inbound=False,
        simulator={"enabled": False},
        subscriptions=SubscriptionSettings(notify_method="post-endpoint"),
    )
    opened = AppContext(settings)
    opened.store.conn.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut might
    return opened
