"""The line to the actions process: kept open, given up in time, and never failing unnoticed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
from rasa.utils.endpoints import ClientResponseError, EndpointConfig, concat_url

from carethread_engine.faults import note

# rasa-sdk answers 400 when an action refuses to run on purpose; Rasa then asks the next policy.
REJECTED = 400
# Shorter than the server's own, so that we rarely write into a line that it is closing.
KEEP_ALIVE_SECONDS = 3


class ActionsEndpoint(EndpointConfig):
    """Rasa's endpoint with one session for the process instead of one for each call."""

    def __init__(self, url: str | None, *, timeout: float, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=3)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def request(  # type: ignore[override]
        self,
        method: str = "post",
        subpath: str | None = None,
        content_type: str | None = "application/json",
        compress: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As Rasa's, except that every failure is noted for the turn before it is raised."""
        kwargs["timeout"] = self._timeout
        try:
            try:
                return await self._send(method, subpath, compress, **kwargs)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # The server closed an idle line as we wrote. Actions are idempotent by message id, so once more.
                return await self._send(method, subpath, compress, **kwargs)
        except ClientResponseError as error:
            if error.status != REJECTED:
                note("action server", error)
            raise
        except Exception as error:
            note("action server", error)
            raise

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _send(self, method: str, subpath: str | None, compress: bool, **kwargs: Any) -> Any:
        async with self._open().request(
            method,
            concat_url(self.url, subpath),
            headers=self.headers or None,
            params=self.combine_parameters(kwargs),
            compress=compress,
            **kwargs,
        ) as response:
            body = await response.read()
            if response.status >= 400:
                raise ClientResponseError(response.status, response.reason or "", body.decode(errors="replace"))
            return json.loads(body) if body else None

    def _open(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._session is None or self._session.closed or self._loop is not loop:
            self._loop = loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=KEEP_ALIVE_SECONDS)
            )
        return self._session
