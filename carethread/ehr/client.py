"""An EHR for asyncio code: read, search, create, patch, each within a deadline, on a pool of threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import structlog
from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.fhirelementfactory import FHIRElementFactory

from carethread.ehr.errors import EhrMalformed, EhrNotFound, EhrUnavailable
from carethread.ehr.server import JSON_PATCH, SafeServer, Signer

log = structlog.get_logger()

Json = dict[str, Any]
# One value, or several that must all hold; values of one OR list are joined by commas (see `escaped`).
Params = Mapping[str, str | Sequence[str]]
T = TypeVar("T")

UTC = ZoneInfo("UTC")
THREADS = 16
# HAPI answers the same search from a cache for a minute unless told not to: a slot is then free that is not.
FRESH = {"Cache-Control": "no-cache"}
PAGE = 200  # resources
PAGES = 20
# A thread gives up by itself at the deadline; this is for one that does not.
GRACE_S = 0.5


class Record:
    """A resource: `raw` is the truth and what changes are based on, `model` its fhirclient reading."""

    __slots__ = ("_model", "raw")

    def __init__(self, raw: Json, model: Any = None) -> None:
        self.raw = raw
        self._model = model

    def __repr__(self) -> str:
        return f"Record({self.type})"

    @property
    def model(self) -> Any:
        """The fhirclient model; raises `EhrMalformed` when the resource is not FHIR R4."""
        if self._model is None:
            self._model = decode(self.raw)
        return self._model

    @property
    def type(self) -> str:
        return str(self.raw.get("resourceType", ""))

    @property
    def id(self) -> str:
        return str(self.raw.get("id", ""))

    @property
    def reference(self) -> str:
        """`Patient/123`."""
        return f"{self.type}/{self.id}"

    @property
    def version(self) -> str | None:
        """meta.versionId; None where the server keeps no versions."""
        meta = self.raw.get("meta")
        version = meta.get("versionId") if isinstance(meta, dict) else None
        return str(version) if version else None


def decode(raw: Json) -> Any:
    """fhirclient's model of `raw`; raises `EhrMalformed` with the elements that are wrong, without their values."""
    kind = raw.get("resourceType")
    try:
        return FHIRElementFactory.instantiate(kind, raw)
    except FHIRValidationError as error:
        raise EhrMalformed(f"{kind} with unreadable {', '.join(_paths(error)) or 'content'}") from None
    except Exception as error:
        raise EhrMalformed(f"{kind} that cannot be read ({type(error).__name__})") from None


def _paths(error: FHIRValidationError, prefix: str = "") -> list[str]:
    found: list[str] = []
    for inner in error.errors:
        if isinstance(inner, FHIRValidationError):
            path = ".".join(part for part in (prefix, inner.path) if part)
            found += _paths(inner, path) or [path]
    return found or ([prefix] if prefix else [])


def escaped(value: str) -> str:
    """`value` as one value of a search parameter: what separates values is escaped."""
    for mark in ("\\", ",", "|", "$"):
        value = value.replace(mark, "\\" + mark)
    return value


def query(params: Params) -> str:
    """The search string of `params`."""
    pairs = [
        (name, value) for name, values in params.items() for value in ((values,) if isinstance(values, str) else values)
    ]
    return urlencode(pairs)


class Ehr:
    """One clinic's EHR. Every call raises a typed `EhrError`; none takes longer than `timeout` seconds in all."""

    def __init__(
        self,
        base_url: str,
        *,
        zone: ZoneInfo = UTC,
        auth: Signer | None = None,
        timeout: float = 8.0,
        threads: int = THREADS,
    ) -> None:
        self.base_url = base_url
        # The clinic's own: what its patients call "Tuesday at nine".
        self.zone = zone
        self.timeout = timeout
        self._server = SafeServer(base_url, auth=auth, timeout=timeout, pool=threads)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="ehr")

    async def read(self, kind: str, resource_id: str) -> Record | None:
        """The resource, or None when there is none (any more)."""

        def work(deadline: float) -> Record | None:
            try:
                return Record(self._server.call("GET", f"{kind}/{resource_id}", deadline=deadline).json())
            except EhrNotFound:
                return None

        return await self._run(work)

    async def search(self, kind: str, params: Params, *, pages: int = PAGES) -> list[Record]:
        """Everything that matches, and what `_include` brought, in the server's order; at most `pages` pages.

        An entry that cannot be read is reported and left out; it does not cost the others.
        """
        address = f"{kind}?{query({'_count': str(PAGE), **params})}"

        def work(deadline: float) -> list[Record]:
            found: list[Record] = []
            seen: set[str] = set()
            link: str | None = address
            while link and len(seen) < pages:
                if link in seen:
                    raise EhrMalformed(f"GET {kind}: the pages go round in a circle")
                seen.add(link)
                bundle = self._server.call("GET", link, headers=FRESH, deadline=deadline).json()
                found += _entries(bundle)
                link = _next(bundle)
            if link:
                log.warning("ehr.search_cut_short", type=kind, pages=pages, records=len(found))
            return found

        return await self._run(work)

    async def create(self, resource: Json, *, if_none_exist: str | None = None) -> Record:
        """Create; with `if_none_exist` (a search string) get the one that is there already instead of a second."""
        kind = str(resource["resourceType"])
        headers = {"Prefer": "return=representation"}
        if if_none_exist:
            headers["If-None-Exist"] = if_none_exist

        def work(deadline: float) -> Record:
            answer = self._server.call("POST", kind, body=resource, headers=headers, deadline=deadline)
            if answer.content:
                record = Record(answer.json())
                if record.type == kind and record.id:
                    return record
            # A server may answer with nothing, or with an OperationOutcome: its Location says where the resource is.
            path = answer.headers.get("Location", "").split("/_history/")[0]
            created = path.rsplit(f"{kind}/", 1)[-1]
            if not path or not created or "/" in created:
                raise EhrMalformed(f"POST {kind}: created, but not said where")
            return Record(self._server.call("GET", f"{kind}/{created}", deadline=deadline).json())

        return await self._run(work)

    async def patch(self, raw: Json, operations: Sequence[Json]) -> Record:
        """JSON Patch (RFC 6902) of the very version in `raw`; raises `EhrConflict` when there is a newer one."""
        record = Record(raw)
        headers = {"Prefer": "return=representation"}
        if record.version:
            headers["If-Match"] = f'W/"{record.version}"'

        def work(deadline: float) -> Record:
            answer = self._server.call(
                "PATCH",
                record.reference,
                body=list(operations),
                headers=headers,
                content_type=JSON_PATCH,
                deadline=deadline,
            )
            if answer.content:
                changed = Record(answer.json())
                if changed.type == record.type:
                    return changed
            return Record(self._server.call("GET", record.reference, deadline=deadline).json())

        return await self._run(work)

    async def metadata(self) -> Json:
        """The server's CapabilityStatement."""
        return await self._run(lambda deadline: self._server.call("GET", "metadata", deadline=deadline).json())

    async def close(self) -> None:
        """Let calls under way end, then free threads and connections."""
        await asyncio.to_thread(self._threads.shutdown, True, cancel_futures=True)
        self._server.close()

    async def _run(self, work: Callable[[float], T]) -> T:
        """`work` in a thread. The time it waits for one counts."""
        deadline = time.monotonic() + self.timeout
        future = asyncio.get_running_loop().run_in_executor(self._threads, work, deadline)
        try:
            async with asyncio.timeout(self.timeout + GRACE_S):
                return await future
        except TimeoutError:
            raise EhrUnavailable("no answer in time") from None


def _entries(bundle: Json) -> Iterable[Record]:
    if bundle.get("resourceType") != "Bundle":
        raise EhrMalformed("a search was not answered with a Bundle")
    for entry in bundle.get("entry") or ():
        raw = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(raw, dict) or raw.get("resourceType") == "OperationOutcome":
            continue
        try:
            yield Record(raw, decode(raw))
        except EhrMalformed as error:
            log.warning("ehr.entry_skipped", problem=str(error))


def _next(bundle: Json) -> str | None:
    for link in bundle.get("link") or ():
        if isinstance(link, dict) and link.get("relation") == "next" and isinstance(link.get("url"), str):
            return str(link["url"])
    return None
