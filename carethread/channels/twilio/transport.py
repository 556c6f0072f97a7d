"""The HTTP below Twilio's client: one pooled session, our timeouts, our base address, nothing logged."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from twilio.http.response import Response

CONNECT_TIMEOUT = 5.0  # seconds to a connection: until then nothing was sent
TOTAL_TIMEOUT = 15.0  # seconds to the whole answer

# Nothing of the request can have reached Twilio.
NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ServerFingerprintMismatch)
# It may have.
MAYBE_SENT = (aiohttp.ClientError, TimeoutError, OSError)


class Transport:
    """What `twilio.rest.Client` asks of an asynchronous HTTP client.

    The package's own one ignores its timeout, retries POSTs when told to retry, and logs message texts.
    """

    is_async = True

    def __init__(self, base_url: str, *, total_timeout: float = TOTAL_TIMEOUT) -> None:
        self._base = urlsplit(base_url.rstrip("/"))
        self._timeout = aiohttp.ClientTimeout(total=total_timeout, connect=CONNECT_TIMEOUT)
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Response:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        async with self._session.request(
            method,
            self._address(url),
            params=params,
            data=data,
            headers=headers,
            auth=aiohttp.BasicAuth(*auth) if auth else None,
            allow_redirects=allow_redirects,
        ) as answer:
            return Response(answer.status, await answer.text(errors="replace"), answer.headers)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _address(self, url: str) -> str:
        parts = urlsplit(url)
        path = self._base.path + parts.path
        return urlunsplit(parts._replace(scheme=self._base.scheme, netloc=self._base.netloc, path=path))
