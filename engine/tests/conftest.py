"""A small assistant, trained once for all tests of the engine, and what it talks to."""

# ruff: noqa: E402  # TensorFlow has to be left out before Rasa is imported

from __future__ import annotations

import os
from pathlib import Path

os.environ["RASA_TELEMETRY_ENABLED"] = "false"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from carethread_engine.no_tensorflow import leave_out_tensorflow

ROOT = Path(__file__).resolve().parents[2]
leave_out_tensorflow(ROOT / "config.yml")

import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg2
import pytest
import yaml
from aiohttp import web
from carethread_engine.actions_endpoint import ActionsEndpoint
from carethread_engine.agent import EngineAgent
from carethread_engine.nlg import ContentKeyGenerator
from carethread_engine.train import train
from rasa.core.tracker_store import TrackerStore
from rasa.shared.core.domain import Domain
from rasa.utils.endpoints import EndpointConfig

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with the product's pipeline and policies, and the tests' own domain and data, trained."""
    folder = tmp_path_factory.mktemp("project") / "project"
    shutil.copytree(HERE / "project", folder)
    config = yaml.safe_load((ROOT / "config.yml").read_text(encoding="utf-8"))
    for policy in config["policies"]:
        if policy["name"] == "RulePolicy":
            policy["core_fallback_action_name"] = "action_default_fallback"
    (folder / "config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for name in ("credentials.yml", "endpoints.yml"):
        shutil.copy(ROOT / name, folder / name)
    before = Path.cwd()
    try:
        problem = train(folder, folder / "models")
    finally:
        os.chdir(before)
    assert problem is None, problem
    return folder


@pytest.fixture(scope="session")
def model(project: Path) -> Path:
    return project / "models" / "carethread.tar.gz"


@dataclass
class FakeActions:
    """An action server whose answers the test decides."""

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] = lambda call: {"events": [], "responses": []}

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = await request.json()
        self.calls.append(call)
        answer = self.answer(call)
        if hasattr(answer, "__await__"):
            answer = await answer
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer)


def counting(call: dict[str, Any]) -> dict[str, Any]:
    """An action that counts how often it ran and says so."""
    count = (call["tracker"]["slots"]["counted"] or 0) + 1
    return {
        "events": [{"event": "slot", "name": "counted", "value": count}],
        "responses": [{"response": "utter_counted", "count": count, "text": None, "buttons": [], "custom": {}}],
    }


@pytest.fixture
async def actions() -> AsyncIterator[FakeActions]:
    fake = FakeActions(answer=counting)
    app = web.Application()
    app.router.add_post("/webhook", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


def make_agent(model: Path, actions_url: str, store: TrackerStore | None = None) -> EngineAgent:
    nlg = EndpointConfig(actions_url + "/nlg", rendered_elsewhere=["web", "sms", "whatsapp"])
    agent = EngineAgent(
        generator=ContentKeyGenerator(nlg),
        tracker_store=store,
        action_endpoint=ActionsEndpoint(actions_url + "/webhook", timeout=2),
    )
    agent.turn_timeout = 5
    agent.load_model(model)
    return agent


@pytest.fixture
async def agent(model: Path, actions: FakeActions) -> AsyncIterator[EngineAgent]:
    agent = make_agent(model, actions.url)
    yield agent
    await cast(ActionsEndpoint, agent.action_endpoint).close()


@pytest.fixture
def domain(agent: EngineAgent) -> Domain:
    return agent.domain


@dataclass(frozen=True)
class Database:
    """A database of this test run's own. `url` is the engine's role, `admin` a superuser's."""

    url: str
    admin: str


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """The engine's table as the platform's migration makes it. Needs CARETHREAD_TEST_DATABASE_URL, a superuser's."""
    server = os.environ.get("CARETHREAD_TEST_DATABASE_URL")
    if not server:
        pytest.skip("CARETHREAD_TEST_DATABASE_URL is not set")
    parameters = psycopg2.extensions.parse_dsn(server.replace("+asyncpg", ""))
    name = f"engine_test_{uuid.uuid4().hex[:12]}"
    _run({**parameters}, f"create database {name}")
    admin = {**parameters, "dbname": name}
    _run(
        admin,
        """
        do $$ begin
          if not exists (select 1 from pg_roles where rolname = 'carethread_engine') then
            create role carethread_engine login nosuperuser nocreatedb nocreaterole nobypassrls;
          end if;
        end $$;
        create schema engine;
        create table engine.tracker (sender_id text primary key, tenant_id text not null, events jsonb not null,
          version bigint not null, updated_at timestamptz not null default now());
        alter table engine.tracker enable row level security;
        alter table engine.tracker force row level security;
        create policy tenant_isolation on engine.tracker
          using (tenant_id = current_setting('app.tenant', true))
          with check (tenant_id = current_setting('app.tenant', true));
        grant usage on schema engine to carethread_engine;
        grant select, insert, update, delete on engine.tracker to carethread_engine;
        """,
    )
    engine = {key: value for key, value in admin.items() if key != "password"} | {"user": "carethread_engine"}
    yield Database(_url(engine), _url(admin))
    _run(parameters, f"drop database {name} with (force)")


def _url(parameters: dict[str, str]) -> str:
    rest = "&".join(f"{key}={value}" for key, value in parameters.items() if key not in ("user", "dbname"))
    return f"postgresql://{parameters['user']}@/{parameters['dbname']}?{rest}"


def _run(parameters: dict[str, str], statement: str) -> None:
    connection = psycopg2.connect(**parameters)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()
