"""fhirclient's FHIRServer made safe for a clinic's day: deadlines, bounded retries, one origin, typed errors.

Stock fhirclient has no timeouts, no retries, no PATCH and no conditional headers, and signs links to other origins.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from fhirclient.server import FHIRServer
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError

from carethread.ehr.errors import EhrError, EhrMalformed, EhrRefused, EhrUnauthorized, EhrUnavailable, error_for

FHIR_JSON = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"
CONNECT_TIMEOUT_S = 3.05
LARGEST_BODY = 32 * 1024 * 1024  # bytes
TRIES = 3
BACKOFF_S = 0.2  # doubled by each try, with as much again of jitter
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE"})
TRY_AGAIN = frozenset({429, 502, 503, 504})

# urllib3 logs whole addresses at debug, and a FHIR search has names, phones and birth dates in its address.
logging.getLogger("urllib3").setLevel(logging.INFO)


class Signer(Protocol):
    """What signs requests: fhirclient's FHIRAuth, or `auth.BackendServices`."""

    def can_sign_headers(self) -> bool: ...
    def signed_headers(self, headers: dict[str, str]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer with status 2xx. The attributes are those fhirclient's models expect of a response."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.content.decode("utf-8", "replace")

    def json(self) -> dict[str, Any]:
        """The body as a resource; raises `EhrMalformed` when it is none."""
        try:
            body = json.loads(self.content)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise EhrMalformed(f"{self.status_code} with a body that is not FHIR JSON", status=self.status_code)
        return body


class SafeServer(FHIRServer):  # type: ignore[misc]
    """One EHR's base address over one pooled session."""

    def __init__(
        self,
        base_url: str,
        *,
        auth: Signer | None = None,
        timeout: float = 8.0,
        pool: int = 16,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(None, base_uri=base_url)
        self.auth = auth
        self.timeout = timeout
        self._sleep = sleep
        adapter = HTTPAdapter(pool_connections=2, pool_maxsize=pool, max_retries=0)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)
        # No proxy, no .netrc and no certificate bundle from the environment: only what is configured is used.
        self.session.trust_env = False

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        content_type: str = FHIR_JSON,
        deadline: float | None = None,
        sign: bool = True,
    ) -> Answer:
        """One interaction with the EHR, finished or failed by `deadline` (of time.monotonic(); default `timeout`).

        Only verbs that may be repeated are, and not past the deadline; what never reached the server is sent again
        whatever its verb. Raises a typed `EhrError`.
        """
        url = self._within(path)
        kind = urlsplit(url).path.removeprefix(urlsplit(self.base_uri).path).split("/")[0]
        deadline = time.monotonic() + self.timeout if deadline is None else deadline
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        sent = {"Accept": FHIR_JSON, **({} if data is None else {"Content-Type": content_type}), **(headers or {})}
        renewed = False
        attempt = 0
        while True:
            attempt += 1
            pause: float | None = None
            try:
                signed = self._signed(sent) if sign else sent
                answer = self._once(method, url, kind, data, signed, deadline)
            except _Unsent as error:
                failure: EhrError = error.failure
                again = True
            except EhrUnavailable as error:
                failure = error
                again = method in IDEMPOTENT and not isinstance(error, EhrMalformed | EhrUnauthorized)
            else:
                if 200 <= answer.status_code < 300:
                    return answer
                if answer.status_code == 401 and sign and not renewed and self._renew(signed):
                    renewed = True
                    continue
                failure = error_for(method, kind, answer.status_code, _body(answer))
                again = method in IDEMPOTENT and answer.status_code in TRY_AGAIN
                pause = _retry_after(answer)
            if pause is None:
                pause = BACKOFF_S * 2 ** (attempt - 1) * (1 + random.random())  # noqa: S311 (spreads load)
            if not again or attempt >= TRIES or time.monotonic() + pause >= deadline:
                raise failure
            self._sleep(pause)

    def _within(self, path: str) -> str:
        """The address of `path`, which may be a link the server gave us; never one outside its own base."""
        url: str = urljoin(self.base_uri, path)
        if urlsplit(url)[:2] != urlsplit(self.base_uri)[:2]:
            raise EhrRefused("refusing to follow a link to another origin")
        return url

    def _signed(self, headers: dict[str, str]) -> dict[str, str]:
        if self.auth is None or not self.auth.can_sign_headers():
            return headers
        signed: dict[str, str] = self.auth.signed_headers(dict(headers))
        return signed

    def _renew(self, headers: Mapping[str, str]) -> bool:
        """Have the signer forget what the server does not accept; False when it has nothing to renew."""
        forget = getattr(self.auth, "forget", None)
        if forget is None:
            return False
        forget(headers)
        return True

    def _once(
        self,
        method: str,
        url: str,
        kind: str,
        data: bytes | None,
        headers: dict[str, str],
        deadline: float,
    ) -> Answer:
        left = deadline - time.monotonic()
        if left <= 0:
            raise EhrUnavailable(f"{method} {kind}: no time left")
        try:
            with self.session.request(
                method,
                url,
                data=data,
                headers=headers,
                timeout=(min(CONNECT_TIMEOUT_S, left), left),
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(response.status_code, response.headers, _read(response, method, kind, deadline))
        except (requests.RequestException, HTTPError) as error:
            failure = EhrUnavailable(f"{method} {kind}: {type(error).__name__}")
            if _never_sent(error):
                raise _Unsent(failure) from None
            # The cause's text holds the address, so it is cut off here.
            raise failure from None

    # The hooks that fhirclient's own models call.

    def _get(self, path: str, headers: Mapping[str, str] | None = None, nosign: bool = False) -> Answer:
        return self.call("GET", path, headers=headers, sign=not nosign)

    def post_json(self, path: str, resource_json: Any, nosign: bool = False) -> Answer:
        return self.call("POST", path, body=resource_json, sign=not nosign)

    def put_json(self, path: str, resource_json: Any, nosign: bool = False) -> Answer:
        return self.call("PUT", path, body=resource_json, sign=not nosign)

    def delete_json(self, path: str, nosign: bool = False) -> Answer:
        return self.call("DELETE", path, sign=not nosign)

    def close(self) -> None:
        self.session.close()


class _Unsent(Exception):
    """The request did not leave this machine."""

    def __init__(self, failure: EhrUnavailable) -> None:
        super().__init__()
        self.failure = failure


def _never_sent(error: Exception) -> bool:
    if isinstance(error, requests.ConnectTimeout):
        return True
    inner = error.args[0] if error.args else None
    return isinstance(inner, MaxRetryError) and isinstance(inner.reason, NewConnectionError)


def _read(response: requests.Response, method: str, kind: str, deadline: float) -> bytes:
    """The whole body, by the deadline: a read timeout alone starts anew with each byte of a server that trickles."""
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read1(65536, decode_content=True):
        size += len(part)
        if size > LARGEST_BODY:
            raise EhrMalformed(f"{method} {kind}: an answer of more than {LARGEST_BODY} bytes")
        if time.monotonic() > deadline:
            raise EhrUnavailable(f"{method} {kind}: the answer was not complete in time")
        parts.append(part)
    return b"".join(parts)


def _body(answer: Answer) -> Any:
    try:
        return json.loads(answer.content)
    except ValueError:
        return None


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
