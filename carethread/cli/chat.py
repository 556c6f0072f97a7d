"""`carethread chat`: talk from the terminal, as any synthetic patient, on any channel."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, cast

import click

from carethread.clinic import Channel, Clinic, load_clinics
from carethread.config import Settings
from carethread.ehr.errors import EhrError
from carethread.storage.database import Database
from carethread.storage.security import APP_ROLE

if TYPE_CHECKING:
    from sandbox.talk import Patient, Said

_UNREACHABLE = "cannot reach the installation; is `carethread up` running? `carethread doctor` tells more"
CHANNELS = ("web", "sms", "whatsapp")


@click.command()
@click.option(
    "--as", "person", default="maria", show_default=True, help="A synthetic patient, or a phone number (E.164)."
)
@click.option("--channel", type=click.Choice(CHANNELS), default="sms", show_default=True)
@click.option("--clinic", "clinic_id", default=None, help="The tenant, where there is more than one.")
@click.option("--people", is_flag=True, help="List the synthetic patients and leave.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for each answer.")
def chat(person: str, channel: str, clinic_id: str | None, people: bool, timeout: float) -> None:
    """Talk to the running assistant as a patient.

    Lines come from standard input: typed, or piped (then each is answered before the next is sent, and what the
    patient and the assistant said is printed as a transcript). Needs `carethread up` in another terminal.
    """
    if people:
        _list_people()
        return
    settings = Settings()
    clinics = load_clinics(settings.clinics_dir)
    clinic = clinics.get(clinic_id) if clinic_id else next(iter(clinics.values()))
    if clinic is None:
        raise click.BadParameter(f"no clinic '{clinic_id}' (clinics: {', '.join(clinics)})", param_hint="--clinic")
    phone = phone_of(person) if channel != "web" else None
    asyncio.run(_talk(settings, clinic, cast(Channel, channel), phone, timeout))


@click.command()
@click.option("--as", "person", default="james", show_default=True, help="A synthetic patient who was discharged.")
def checkin(person: str) -> None:
    """Start a discharged patient's check-in now, without waiting for its hour. It goes to their phone by SMS."""
    from sandbox.clinic import cast as synthetic_people

    member = synthetic_people().get(person)
    if member is None:
        raise click.BadParameter(f"no synthetic patient '{person}'", param_hint="--as")
    settings = Settings()
    click.echo(asyncio.run(_start_checkin(settings, person, member.patient_id)))
    click.echo(f"Answer it with: carethread chat --as {person}, or on the phone simulator.")


async def _start_checkin(settings: Settings, person: str, patient_id: str) -> str:
    """Start it, or say when it went out by itself."""
    from carethread.bootstrap import ehrs, programs, utc_now
    from carethread.programs.enrolment import enrol_discharged
    from carethread.programs.touchpoints import last_started, start_now

    clinics = load_clinics(settings.clinics_dir)
    clinic = next(iter(clinics.values()))
    if settings.ehr_url is None:
        settings = settings.model_copy(update={"ehr_url": f"http://127.0.0.1:{settings.sandbox_ehr_port}/fhir"})
    ehr, known = ehrs(settings, clinics)[clinic.id], programs(settings, clinics)
    database = Database(database_url(settings), pool=1)
    try:
        await enrol_discharged(database, ehr, clinic, known, now=utc_now())
        if await start_now(database, ehr, clinic, known, patient_id, now=utc_now()):
            return "Sent."
        if (sent := await last_started(database, clinic, patient_id)) is not None:
            return f"It was due and went out by itself at {sent.astimezone(clinic.zone):%H:%M} of the clinic's time."
        raise click.ClickException(f"no check-in waits for {person}, or their conversation is busy just now")
    except (EhrError, OSError) as error:
        raise click.ClickException(f"{_UNREACHABLE} ({type(error).__name__})") from error
    finally:
        await database.close()


def phone_of(person: str) -> str:
    from sandbox.clinic import cast as synthetic_people

    if person.startswith("+"):
        return person
    everybody = synthetic_people()
    member = everybody.get(person)
    if member is None:
        raise click.BadParameter(
            f"no synthetic patient '{person}'; `carethread chat --people` lists them", param_hint="--as"
        )
    if member.phone is None:
        raise click.BadParameter(f"{person} has no phone; use --channel web", param_hint="--as")
    return member.phone


def _list_people() -> None:
    from sandbox.clinic import cast as synthetic_people

    for key, member in synthetic_people().items():
        born = member.birth_date.isoformat()
        click.echo(
            f"{key:14} {member.name:26} born {born}  ZIP {member.postal_code}  {member.language}  {member.notes}"
        )


def database_url(settings: Settings) -> str:
    """The running installation's database, as the application sees it."""
    if settings.database_url:
        return settings.database_url
    from sandbox.postgres import EmbeddedPostgres

    return EmbeddedPostgres(settings.data_dir / "postgres").url(APP_ROLE)


async def _talk(settings: Settings, clinic: Clinic, channel: Channel, phone: str | None, timeout: float) -> None:
    from aiohttp import ClientError

    from sandbox.talk import NotAnswered, Patient

    database = Database(database_url(settings), pool=2)
    gateway, phones = f"http://{settings.host}:{settings.port}", f"http://127.0.0.1:{settings.phones_port}"
    try:
        async with Patient(database, clinic, channel, phone, gateway, phones) as patient:
            await _lines(patient, timeout)
    except NotAnswered as error:
        raise click.ClickException(str(error)) from error
    except (ClientError, OSError) as error:
        raise click.ClickException(f"{_UNREACHABLE} ({type(error).__name__})") from error
    finally:
        await database.close()


async def _lines(patient: Patient, timeout: float) -> None:
    typed = sys.stdin.isatty()
    if typed:
        click.secho("You are a patient now. An empty line leaves.", dim=True)
    while True:
        if typed:
            click.echo("you> ", nl=False)
        line = await asyncio.to_thread(sys.stdin.readline)
        if not line or (typed and not line.strip()):
            return
        text = line.rstrip("\n")
        if not typed:
            click.echo(f"you> {text}")
        for said in await patient.say(text, timeout=timeout):
            _show(said)


def _show(said: Said) -> None:
    who = "nurse" if said.author == "staff" else "carethread"
    for number, part in enumerate(said.text.splitlines()):
        click.echo(f"{who + '>' if number == 0 else ' ' * (len(who) + 1)} {part}")
    if said.quick_replies:
        click.secho(f"{' ' * (len(who) + 2)}[{'] ['.join(said.quick_replies)}]", dim=True)
