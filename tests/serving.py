"""A blueprint on a real port, for as long as a test needs it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sanic import Blueprint, Sanic


@asynccontextmanager
async def served(blueprint: Blueprint) -> AsyncIterator[tuple[str, Any]]:
    """Its address, and the server."""
    app: Sanic[Any, Any] = Sanic(f"test-{uuid.uuid4().hex[:8]}", configure_logging=False)
    app.config.FALLBACK_ERROR_FORMAT = "json"
    app.config.TOUCHUP = False  # Sanic rewrites its own methods at start, which fails for a process's second app
    app.blueprint(blueprint)
    listener = socket.create_server(("127.0.0.1", 0))
    server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
    assert server is not None
    await server.startup()
    await server.before_start()
    await server.start_serving()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        await server.before_stop()
        server.close()
        for connection in list(server.connections):
            connection.abort()
        await server.after_stop()
        Sanic._app_registry.pop(app.name, None)
