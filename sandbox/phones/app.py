"""The simulator as a Sanic application."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sanic import Blueprint, HTTPResponse, Request, Sanic
from sanic.response import json

from carethread.clinic import Clinics
from carethread.config import Settings
from sandbox.phones import api, rest
from sandbox.phones.faults import Faults
from sandbox.phones.network import Network, lines_of
from sandbox.phones.store import Store

App = Sanic[Any, Any]


def create_app(
    store: Store, clinics: Clinics, settings: Settings, *, faults: bool = False, name: str = "carethread-phones"
) -> App:
    """The page, the phones' API and Twilio's API over `store`; messages go to the gateway at `settings.public_url`."""
    app: App = Sanic(name, configure_logging=False)
    app.config.AUTO_EXTEND = False
    app.config.FALLBACK_ERROR_FORMAT = "json"
    app.config.REQUEST_MAX_SIZE = 80_000_000
    # Pages hold their event streams open; do not wait for them when stopping.
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 1.0
    network = Network(store, lines_of(clinics, settings), settings.public_url, Faults())
    app.ctx.network = network
    app.blueprint(rest.blueprint(network))
    app.blueprint(api.blueprint(network))
    if faults:
        app.blueprint(_fault_switches(network))

    @app.before_server_start
    async def start(_app: App) -> None:
        await network.start()

    @app.before_server_stop
    async def stop(_app: App) -> None:
        await network.stop()

    @app.get("/health", name="health")
    async def health(_request: Request) -> HTTPResponse:
        return json({"status": "ok"})

    return app


def _fault_switches(network: Network) -> Blueprint:
    routes = Blueprint("faults", url_prefix="/faults")

    @routes.post("/", name="set")
    async def switch(request: Request) -> HTTPResponse:
        try:
            network.faults = Faults.model_validate_json(request.body)
        except ValidationError as error:
            return json({"error": error.errors(include_url=False, include_context=False)}, status=400)
        return json(network.faults.model_dump())

    @routes.get("/", name="get")
    async def show(_request: Request) -> HTTPResponse:
        return json(network.faults.model_dump())

    @routes.delete("/", name="clear")
    async def clear(_request: Request) -> HTTPResponse:
        network.faults = Faults()
        return json(network.faults.model_dump())

    return routes
