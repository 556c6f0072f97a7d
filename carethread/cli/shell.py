"""`carethread shell`: Rasa's own shell, or its interactive learning, with actions, content and EHR behind it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click
import yaml

from carethread.cli.chat import database_url, phone_of
from carethread.cli.demo import check_files, model_path
from carethread.clinic import Channel, Clinic, load_clinics
from carethread.config import PROJECT, Settings
from carethread.messaging.intake import conversation_of
from carethread.storage.database import Database
from carethread.supervisor import CannotStart, Supervisor
from carethread.yamls import parse

# What Rasa calls, and what that needs in turn.
_NEEDED = frozenset({"ehr", "actions"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for on the command line."""

    clinic: Clinic
    interactive: bool
    phone: str | None  # E.164; None: somebody new on the web
    language: str | None
    rasa: tuple[str, ...]  # options for Rasa itself


@click.command()
@click.option("--interactive", is_flag=True, help="Interactive learning instead of the shell.")
@click.option("--as", "person", default=None, help="A synthetic patient on their phone; else somebody new on the web.")
@click.option("--language", default=None, help="Language of the conversation; nobody detects it here.  [default: en]")
@click.argument("rasa", nargs=-1, type=click.UNPROCESSED)
def shell(interactive: bool, person: str | None, language: str | None, rasa: tuple[str, ...]) -> None:
    """Talk to the model in Rasa's own shell; what follows `--` goes to Rasa.

    Screening, handing over and consent are the platform's and not here: `carethread chat` goes the whole way.
    """
    settings = Settings()
    if settings.production:
        raise click.ClickException("the shell is for development; this is production")
    clinic = next(iter(load_clinics(settings.clinics_dir).values()))
    if language is not None and language not in clinic.languages:
        raise click.BadParameter(
            f"{clinic.name} does not speak it (languages: {', '.join(clinic.languages)})", param_hint="--language"
        )
    wish = Wish(clinic, interactive, phone_of(person) if person else None, language, rasa)
    try:
        sys.exit(asyncio.run(_session(settings, wish)))
    except CannotStart as error:
        raise click.ClickException(str(error)) from error


async def _session(settings: Settings, wish: Wish) -> int:
    """Rasa's exit code. What runs already is used; what does not is started, and stopped at the end."""
    check_files(settings)
    if await _answers(settings):
        return await _rasa(settings, wish, database_url(settings))
    _refuse_half(settings)
    supervisor = Supervisor(settings, say=lambda text: click.echo(f"  • {text}"), only=_NEEDED)
    click.echo("Starting what Rasa needs")
    try:
        await supervisor.start()
        return await _rasa(settings, wish, supervisor.environment["CARETHREAD_DATABASE_URL"])
    finally:
        await supervisor.stop()


async def _answers(settings: Settings) -> bool:
    """Whether the actions run already."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(f"http://127.0.0.1:{settings.actions_port}/health") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _refuse_half(settings: Settings) -> None:
    """Starting anew ends what was left over in the data's folder; a demo on other ports is no leftover."""
    if settings.database_url:
        return
    from sandbox.postgres import EmbeddedPostgres

    if EmbeddedPostgres(settings.data_dir / "postgres").running():
        raise click.ClickException(
            f"an installation runs on {settings.data_dir}, but its actions do not answer on port "
            f"{settings.actions_port}; give its CARETHREAD_ACTIONS_PORT, or stop it first"
        )


async def _rasa(settings: Settings, wish: Wish, database_url: str) -> int:
    sender = await _sender(wish, database_url)
    with tempfile.TemporaryDirectory() as folder:
        endpoints = Path(folder) / "endpoints.yml"
        endpoints.write_text(_endpoints(settings), encoding="utf-8")
        given = ["--model", model_path(), "--endpoints", endpoints, "--conversation-id", sender, "--port", _free_port()]
        mode = ["interactive", "--skip-visualization"] if wish.interactive else ["shell", "--interface", "127.0.0.1"]
        # Ctrl-C is Rasa's to understand; we stay to clear up after it.
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
        command = [str(PROJECT / "scripts" / "rasa"), *mode, *map(str, given), *wish.rasa]
        process = await asyncio.create_subprocess_exec(*command, cwd=PROJECT)
        return await process.wait()


async def _sender(wish: Wish, database_url: str) -> str:
    """The actions know a conversation by its row: the one of a phone, or a new one on the web."""
    clinic = wish.clinic
    channel: Channel = "sms" if wish.phone else "web"
    account = clinic.first_account(channel)
    if account is None:
        raise click.ClickException(f"clinic.yml of {clinic.id} has no account for {channel}")
    database = Database(database_url, pool=1)
    try:
        async with database.begin(clinic.id) as session:
            address = wish.phone or f"shell-{uuid.uuid4()}"
            conversation = await conversation_of(session, clinic, channel, account.address, address)
            if wish.language:
                conversation.language = wish.language
            return f"{clinic.id}/{conversation.id}"
    finally:
        await database.close()


def _endpoints(settings: Settings) -> str:
    """endpoints.yml, with the actions where this installation has them."""
    endpoints = parse((PROJECT / "endpoints.yml").read_text(encoding="utf-8"))
    for name, path in (("action_endpoint", "webhook"), ("nlg", "nlg")):
        endpoints[name]["url"] = f"http://127.0.0.1:{settings.actions_port}/{path}"
    text: str = yaml.safe_dump(endpoints)
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
