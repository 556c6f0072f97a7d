"""`carethread nlu review`: messages that were not understood, without who wrote them, to be labelled and taught."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from carethread.bootstrap import utc_now
from carethread.cli.chat import database_url
from carethread.cli.demo import model_path
from carethread.cli.evaluating import known_intents
from carethread.cli.naming import LOOKUPS, clinic_of
from carethread.cli.understanding import Ask, understanding
from carethread.clinic import Clinic, read_text
from carethread.config import PROJECT, Settings
from carethread.dialogue.deidentify import Known, deidentified
from carethread.dialogue.entities.names import load_names, word_table
from carethread.dialogue.taught import NotTaught, Taught
from carethread.ehr import patients
from carethread.ehr.client import Ehr
from carethread.ehr.errors import EhrError
from carethread.ehr.patients import Patient
from carethread.messaging import review
from carethread.messaging.review import Candidate, Message
from carethread.questionnaires.readings.lexicon import common_words
from carethread.questionnaires.readings.text import fold, words
from carethread.storage.database import Database
from carethread.storage.models import Staff
from carethread.yamls import parse

SKIP = "skip"
NLU, PROOFS = PROJECT / "data" / "nlu", PROJECT / "tests" / "data"
_OF_PEOPLE = "identity.yml"  # its examples hold names


@click.command("review")
@click.option("--clinic", default=None, help="Whose messages.  [default: the first one]")
@click.option("--as", "email", required=True, help="Your e-mail as in the staff inbox; the audit names you.")
@click.option("--most", type=click.IntRange(1, 500), default=50, show_default=True, help="Messages to look at.")
@click.option("--list", "listing", is_flag=True, help="Only show them.")
@click.option("--json", "as_json", is_flag=True, help="With --list: one JSON object a line.")
@click.option(
    "--file",
    "labelled",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    help='Apply decisions: lines of {"id", "intent" or "skip", and maybe "text"}.',
)
def review_command(
    clinic: str | None, email: str, most: int, listing: bool, as_json: bool, labelled: Path | None
) -> None:
    """Label messages that the assistant was unsure of or that had to be said again, and teach them.

    Names, numbers and addresses are taken out; a message that may still name somebody is left out. What is accepted
    becomes an example in data/nlu/.
    """
    settings = Settings()
    where = clinic_of(settings, clinic)
    if labelled:
        asyncio.run(_apply(settings, where, email, most, read_decisions(labelled)))
        return
    shown, hidden = asyncio.run(_shown(settings, where, email, most))
    if listing:
        for one in shown:
            click.echo(json.dumps(asdict(one), ensure_ascii=False) if as_json else _line(one))
    if not as_json:
        click.echo(f"{len(shown)} messages to label; {hidden} more may name somebody and are left out.", err=True)
    if listing or not shown:
        return
    with understanding(model_path(), "--ranking") as ask:
        decisions = decide(shown, ask, sorted(known_intents(PROJECT / "domain.yml")))
    asyncio.run(_apply(settings, where, email, most, decisions))


@dataclass(frozen=True, slots=True)
class Decision:
    """What a message is taught as; `intent` may be `SKIP`. `text` is what is taught, None for the message as shown."""

    id: int
    intent: str
    text: str | None = None


def read_decisions(path: Path) -> list[Decision]:
    """The decisions of a file; raises `ClickException` with the line and the mend."""
    intents = known_intents(PROJECT / "domain.yml")
    found = []
    for number, line in enumerate(read_text(path, "give a file that may be read").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise click.ClickException(f"{path}:{number}: not JSON ({error})") from None
        intent = fields.get("intent") if isinstance(fields, dict) else None
        if not isinstance(intent, str) or not isinstance(fields.get("id"), int):
            raise click.ClickException(f'{path}:{number}: give an object like {{"id": 17, "intent": "faq_hours"}}')
        if intent != SKIP and intent not in intents:
            raise click.ClickException(f"{path}:{number}: no intent '{intent}' in domain.yml; give one, or {SKIP}")
        found.append(Decision(fields["id"], intent, fields.get("text")))
    return found


def decide(shown: Sequence[Message], ask: Ask, intents: Sequence[str]) -> list[Decision]:
    """Ask for each message what it is; an empty answer ends."""
    decisions: list[Decision] = []
    for place, one in enumerate(shown, start=1):
        text = one.text
        while True:
            guesses = [likely["name"] for likely in ask(text)["ranking"] if likely["name"] in intents][:5]
            click.echo(f"\n{place} of {len(shown)} ({one.language}, {one.why})\n  {text}")
            for number, name in enumerate(guesses, start=1):
                click.echo(f"  {number}  {name}")
            answer = click.prompt(
                "number, intent, s skip, o out_of_scope, d WORDS delete words, q end", default="q", show_default=False
            ).strip()
            if answer == "q":
                return decisions
            if answer.startswith("d "):
                text = " ".join(_deleted(text, answer[2:]).split()) or text
                continue
            intent = {"s": SKIP, "o": "out_of_scope"}.get(answer, answer)
            if answer.isdigit() and 1 <= int(answer) <= len(guesses):
                intent = guesses[int(answer) - 1]
            if intent == SKIP or intent in intents:
                decisions.append(Decision(one.id, intent, text))
                break
            click.echo(f"no intent '{intent}'")
    return decisions


def _deleted(text: str, unwanted: str) -> str:
    dropped = set(words(unwanted))
    return " ".join(word for word in text.split() if not set(words(word)) & dropped)


async def _shown(settings: Settings, clinic: Clinic, email: str, most: int) -> tuple[list[Message], int]:
    """The messages that may be shown, and how many may not."""
    database = Database(database_url(settings), pool=1)
    try:
        async with database.begin(clinic.id) as session:
            staff = await _staff(session, email, clinic)
            found = await review.candidates(session, most=most)
            clinic_people = await review.staff_names(session)
            shown = await _nameless(settings, clinic, found, clinic_people)
            review.note_look(session, staff, [one.id for one in shown], utc_now())
            return shown, len(found) - len(shown)
    finally:
        await database.close()


async def _apply(settings: Settings, clinic: Clinic, email: str, most: int, decisions: Sequence[Decision]) -> None:
    """Teach what was decided and remember it. A text is only taught as it was shown, or with words deleted."""
    database = Database(database_url(settings), pool=1)
    taught = 0
    touched: set[Path] = set()
    try:
        async with database.begin(clinic.id) as session:
            staff = await _staff(session, email, clinic)
            found = await review.candidates(session, most=max(most, 500))
            people = await review.staff_names(session)
            shown = {one.id: one for one in await _nameless(settings, clinic, found, people)}
            for decision in decisions:
                one = shown.get(decision.id)
                if one is None:
                    click.echo(f"{decision.id}: not among the messages to label; left out", err=True)
                    continue
                if decision.intent != SKIP:
                    try:
                        touched.add(teach(one, decision))
                        taught += 1
                    except NotTaught as error:
                        click.echo(f"{decision.id}: {error}", err=True)
                        continue
                review.note_decision(session, staff, one.id, decision.intent, utc_now())
    finally:
        await database.close()
    for path in sorted(touched):
        click.echo(f"wrote {path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path}")
    click.echo(f"{taught} examples added." + (" Now run `make train`." if taught else ""))


def teach(one: Message, decision: Decision, nlu: Path | None = None) -> Path:
    """Add the example to the file of its intent; raises `NotTaught` for one that is there, or that is a proof."""
    text = decision.text or one.text
    if set(text.split()) - set(one.text.split()):
        raise NotTaught("the text holds words that the message did not; only delete words")
    if " ".join(words(text)) in proof_texts(PROOFS):
        raise NotTaught("the text is in tests/data, which proves what was not taught")
    return Taught((nlu or NLU) / one.language).add(text, decision.intent)


@cache
def proof_texts(folder: Path) -> frozenset[str]:
    lines = [line for path in folder.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    return frozenset(" ".join(words(json.loads(line)["text"])) for line in lines if line.strip())


async def _staff(session: Any, email: str, clinic: Clinic) -> Staff:
    staff = await review.staff_of(session, email)
    if staff is None:
        raise click.ClickException(f"nobody with the e-mail {email} can log in at {clinic.id}")
    return staff


async def _nameless(
    settings: Settings, clinic: Clinic, found: Sequence[Candidate], clinic_people: Sequence[str]
) -> list[Message]:
    """Those that name nobody any more. Where a patient's record is known but cannot be read, that is a doubt too."""
    ehr = Ehr(settings.ehr_url or clinic.ehr_url, zone=clinic.zone, timeout=settings.ehr_timeout)
    records: dict[str, Patient | None] = {}
    shown = []
    try:
        for one in found:
            if one.intent == "identify_self" or one.language not in ("en", "es"):
                continue
            names, phones, identifiers = [*clinic_people], [one.address], [one.address]
            if one.patient_name:
                names.append(one.patient_name)
            if one.patient_id:
                if one.patient_id not in records:
                    records[one.patient_id] = await _record(ehr, one.patient_id)
                patient = records[one.patient_id]
                if patient is None:
                    continue
                names += [patient.full_name, *patient.names, patient.guardian_name or ""]
                phones += patient.phones
                identifiers += [value for value in (patient.mrn, patient.postal_code) if value]
            known = Known(names, phones, identifiers, everyday_words(), given_names())
            text = deidentified(one.text, one.language, known)
            if text is not None:
                shown.append(Message(one.id, text, one.language, one.intent, one.confidence, one.outcome, one.why))
    finally:
        await ehr.close()
    return shown


async def _record(ehr: Ehr, patient_id: str) -> Patient | None:
    """The patient's record; None where the EHR is away or has none."""
    try:
        return await patients.get(ehr, patient_id)
    except EhrError:
        return None


@cache
def everyday_words() -> frozenset[str]:
    """Words that are in the training data, in our tables of names, or ordinary: none of them names a patient."""
    texts = [
        example
        for path in sorted(NLU.glob("*/*.yml"))
        if path.name != _OF_PEOPLE
        for block in parse(path.read_text(encoding="utf-8"))["nlu"]
        for example in block["examples"].splitlines()
    ]
    taught = {word for text in texts for word in words(text)}
    known = taught | common_words() | load_names(LOOKUPS).words
    names = (given_names() - set(word_table()["wordy_names"])) | set(word_table()["surnames"])
    return frozenset(known - names)


@cache
def given_names() -> frozenset[str]:
    table = parse(files("carethread.ehr").joinpath("nicknames.yml").read_text("utf-8"))["names"]
    names = {fold(name).text for name in table} | {fold(form).text for forms in table.values() for form in forms}
    return frozenset(names - common_words())


def _line(one: Message) -> str:
    confidence = "" if one.confidence is None else f" {one.confidence:.2f}"
    return f"{one.id}  {one.language}  {one.why}  {one.intent or '-'}{confidence}  {one.text}"
