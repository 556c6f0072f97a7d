"""The public edge: channels in, the patient's page, the staff inbox, health. One process on a shared port."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.response import json
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from carethread import console
from carethread.bootstrap import Core, core, links, programs, utc_now
from carethread.channels import page, twilio, web
from carethread.config import Settings

App = Sanic[Any, Any]


def create_app(parts: Core, *, name: str = "carethread-gateway") -> App:
    """The gateway's application over `parts`; the caller runs it."""
    app = Sanic(name, configure_logging=False)
    app.config.AUTO_EXTEND = False  # sanic-ext, which rasa-sdk brings, would publish pages of its own
    app.config.REQUEST_MAX_SIZE = 1_000_000
    app.config.FALLBACK_ERROR_FORMAT = "json"
    app.ctx.core = parts

    app.blueprint(twilio.blueprint(parts.intake, parts.clinics, parts.settings, utc_now))
    app.blueprint(web.blueprint(parts, utc_now))
    forms = programs(parts.settings, parts.clinics)
    app.blueprint(console.blueprint(parts, forms, utc_now))
    app.blueprint(page.blueprint(parts, forms, links(parts.settings), utc_now))
    if not parts.settings.production:
        from sandbox import portal

        app.blueprint(portal.blueprint(parts))

    @app.before_server_start
    async def start(_app: App) -> None:
        parts.updates.start()
        if not parts.settings.production:
            _app.ctx.demo_staff = asyncio.create_task(_demo_staff(parts))

    @app.after_server_stop
    async def stop(_app: App) -> None:
        await parts.close()

    @app.get("/healthz", name="healthz")
    async def healthz(_request: Request) -> HTTPResponse:
        async with parts.database.engine.connect() as connection:
            await connection.execute(text("select 1"))
        return json({"status": "ok", "at": utc_now().isoformat()})

    return app


async def _demo_staff(parts: Core) -> None:
    """The demo's nurses, as soon as there is a database to keep them in."""
    for clinic in parts.clinics.values():
        while True:
            try:
                await console.ensure_demo_staff(parts.database, clinic, env=parts.settings.env)
                break
            except (SQLAlchemyError, OSError):
                await asyncio.sleep(2)


def shared_socket(host: str, port: int) -> socket.socket:
    """A listening socket that several gateway processes may share (SO_REUSEPORT)."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    listener.listen(512)
    return listener


def run(settings: Settings) -> None:
    """Serve until SIGTERM; requests under way are finished."""
    logging.getLogger("sanic.root").setLevel(logging.WARNING)
    app = create_app(core(settings))
    app.run(
        sock=shared_socket(settings.host, settings.port),
        single_process=True,
        access_log=False,
        motd=False,
        debug=False,
    )
