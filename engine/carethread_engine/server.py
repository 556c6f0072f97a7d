"""The engine's parts put together: model, store, actions, channel."""

from __future__ import annotations

import logging
import resource
import sys
import time
from typing import Any

from rasa.core import channels
from rasa.core.lock_store import InMemoryLockStore
from rasa.core.run import create_http_input_channels
from rasa.core.utils import AvailableEndpoints
from rasa.utils.endpoints import EndpointConfig
from sanic import Sanic

from carethread_engine.actions_endpoint import ActionsEndpoint
from carethread_engine.agent import EngineAgent
from carethread_engine.settings import Settings

logger = logging.getLogger(__name__)


def build(settings: Settings) -> Sanic:
    """The server with its model loaded. Raises `RasaException` when a file of the project cannot work."""
    app = Sanic("carethread_engine", configure_logging=False)
    app.config.RESPONSE_TIMEOUT = settings.turn_timeout * 2 + 5  # a turn may first wait for the one before it
    app.config.KEEP_ALIVE_TIMEOUT = 75
    app.config.REQUEST_MAX_SIZE = 1_000_000
    inputs = create_http_input_channels(None, str(settings.project / "credentials.yml"))
    channels.channel.register(inputs, app, route="/webhooks/")
    app.ctx.agent = load_agent(settings)
    app.ctx.port = settings.port
    app.register_listener(_say_ready, "after_server_start")
    app.register_listener(_close, "after_server_stop")
    return app


def load_agent(settings: Settings) -> EngineAgent:
    endpoints = AvailableEndpoints.read_endpoints(str(settings.project / "endpoints.yml"))
    agent = EngineAgent(
        generator=_at(endpoints.nlg, settings.actions_url, "/nlg"),
        tracker_store=_store(settings),
        lock_store=InMemoryLockStore(),
        action_endpoint=_actions(endpoints.action, settings),
    )
    agent.turn_timeout = settings.turn_timeout
    agent.load_model(settings.model)
    return agent


def _actions(configured: EndpointConfig | None, settings: Settings) -> ActionsEndpoint | None:
    endpoint = _at(configured, settings.actions_url, "/webhook")
    if endpoint is None:
        return None
    return ActionsEndpoint(
        endpoint.url,
        timeout=settings.action_timeout,
        params=endpoint.params,
        headers=endpoint.headers,
        basic_auth=endpoint.basic_auth,
        token=endpoint.token,
        token_name=endpoint.token_name,
    )


def _at(endpoint: EndpointConfig | None, base: str | None, path: str) -> EndpointConfig | None:
    if endpoint is not None and base:
        endpoint.url = base.rstrip("/") + path
    return endpoint


def _store(settings: Settings) -> Any:
    if not settings.database_url:
        logger.warning("CARETHREAD_ENGINE_DATABASE_URL is not set: conversations are kept in memory only")
        return None
    from carethread_engine.tracker_store import CarethreadTrackerStore

    return CarethreadTrackerStore(None, url=settings.database_url, connections=settings.database_pool)


async def _say_ready(app: Sanic, _: Any) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    logger.info(
        "ready on port %s after %.1f s, %.0f MB, model %s",
        app.ctx.port,
        time.monotonic() - app.ctx.started,
        peak,
        app.ctx.agent.model_id,
    )


async def _close(app: Sanic, _: Any) -> None:
    agent: EngineAgent = app.ctx.agent
    if isinstance(agent.action_endpoint, ActionsEndpoint):
        await agent.action_endpoint.close()
    close = getattr(agent.tracker_store, "close", None)
    if close:
        await close()
