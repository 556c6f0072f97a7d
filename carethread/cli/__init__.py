"""`carethread …`: run it, talk to it, look inside it."""

from __future__ import annotations

import asyncio
import signal
import sys
from importlib import import_module

import click

from carethread import logs
from carethread.clinic import ConfigError
from carethread.config import Settings

# Commands with a module of their own, imported when they are called: all of them together take seconds to import.
_ELSEWHERE = {
    "chat": ("chat", "chat"),
    "checkin": ("chat", "checkin"),
    "nlu": ("nlu", "nlu"),
    "screen": ("reading", "screen"),
    "doctor": ("doctor", "doctor"),
    "safety": ("safety", "safety"),
    "content": ("content", "content"),
    "questionnaire": ("questionnaires", "questionnaire"),
    "shell": ("shell", "shell"),
}


class Commands(click.Group):
    """The commands here and those of other modules."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, name = _ELSEWHERE[cmd_name]
        command: click.Command = getattr(import_module(f"carethread.cli.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="carethread")
def app() -> None:
    """Keeps the thread of care between visits."""


@app.command()
def up() -> None:
    """Start everything and say where to go; Ctrl-C stops it."""
    sys.exit(asyncio.run(_up(Settings())))


@app.command()
@click.confirmation_option(prompt="Forget every conversation and every change in the sandbox EHR?")
def reset() -> None:
    """Start afresh next time: removes the demo's data, never anything in production."""
    from carethread.cli.demo import remove_data

    remove_data(Settings())


@app.command()
def gateway() -> None:
    """Run the gateway: channels, patient page, staff inbox."""
    from carethread.gateway import run

    settings = _process("gateway")
    run(settings)


@app.command()
def worker() -> None:
    """Run a worker: messages in and out, touchpoints, EHR writes, deadlines."""
    from carethread.bootstrap import worker as parts
    from carethread.worker import run

    settings = _process("worker")
    run(lambda: parts(settings))


@app.command()
def actions() -> None:
    """Run Rasa's custom actions and the NLG endpoint."""
    from actions.server import run

    settings = _process("actions")
    run(settings)


@app.command()
def migrate() -> None:
    """Bring the database at CARETHREAD_DATABASE_ADMIN_URL to the newest schema."""
    from carethread.storage.migrate import migrate as upgrade

    settings = Settings()
    if not settings.database_admin_url:
        raise click.ClickException("set CARETHREAD_DATABASE_ADMIN_URL to a role that may create tables and roles")
    asyncio.run(upgrade(settings.database_admin_url))
    click.echo("The database has the newest schema.")


@app.group()
def staff() -> None:
    """People of a clinic who can log in."""


@staff.command("add")
@click.argument("clinic")
@click.argument("email")
@click.option("--name", prompt=True)
@click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
def staff_add(clinic: str, email: str, name: str, password: str) -> None:
    """Let EMAIL log in at CLINIC."""
    from carethread.cli.people import add

    asyncio.run(add(Settings(), clinic, email, name, password))
    click.echo(f"{email} can log in at /staff/{clinic}/login.")


def main() -> None:
    """The console script: settings that cannot work end with one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)  # a command that found something wrong exits with a number
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (ConfigError, ValueError) as error:
        click.echo(f"carethread: {error}", err=True)
        sys.exit(2)


def _process(name: str) -> Settings:
    settings = Settings()
    logs.configure(name, settings.log_level)
    return settings


async def _up(settings: Settings) -> int:
    from carethread.cli.demo import check_files, check_model, welcome
    from carethread.supervisor import CannotStart, Supervisor

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    supervisor = Supervisor(settings, say=lambda text: click.echo(f"  • {text}"))
    click.echo("Starting Carethread")
    check_files(settings)
    check_model()
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            click.echo(welcome(settings))
            await supervisor.watch(stop)
    except CannotStart as error:
        click.echo(f"\ncarethread: {error}", err=True)
        return 1
    finally:
        starting.cancel()
        click.echo("\nStopping")
        await supervisor.stop()
    return 0
