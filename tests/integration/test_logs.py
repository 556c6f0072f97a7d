"""Logs of whole conversations, faults included, at the most talkative level: nothing in them that is a patient's.

A scanner reads every file the installation writes for people to read, for texts, names, numbers, dates of birth,
reasons and addresses in any way of writing them. It is tested itself, on planted lines and on what each process
is made to print.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import asyncpg
import pytest
from babel.dates import format_date
from sqlalchemy import select

from carethread.config import DEMO_SECRET
from carethread.storage.models import Inbox, Outbox
from sandbox.talk import Patient
from tests.stack import Stack, running_stack
from tests.world import Somebody, World

pytestmark = [pytest.mark.stack, pytest.mark.slow]

PATIENCE = 90.0
PROCESSES = {"ehr", "phones", "actions", "engine", "gateway", "worker"}


# --- the scanner


@dataclass
class Secrets:
    """What must not be found."""

    texts: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)  # names, postal codes, record numbers
    phones: set[str] = field(default_factory=set)  # E.164
    births: set[date] = field(default_factory=set)

    def know(self, who: Somebody) -> None:
        self.words |= {who.given, who.family, who.postal_code, who.mrn, who.id}
        self.phones.add(who.phone)
        self.births.add(who.birth_date)


_SEPARATED = r"(?:[^0-9A-Za-z]|%2[0bBdDeE]|\\u00a0){0,3}"
_BIRTH = (
    "yyyy-MM-dd", "yyyyMMdd", "M/d/yyyy", "MM/dd/yyyy", "MM-dd-yyyy", "d.M.yyyy", "MMMM d, yyyy", "MMM d, yyyy",
    "d MMMM yyyy", "d 'de' MMMM 'de' yyyy",
)  # fmt: skip


def scan(log: str, secrets: Secrets) -> list[str]:
    """Everything of the secrets' that stands in `log`; each with a little of what is around it."""
    plain = _plain(log)
    found = []
    for needle in sorted(_windows(secrets.texts)):
        if needle in plain:
            found.append(_around(plain, needle))
    for word in sorted(secrets.words):
        if match := re.search(rf"(?<![a-z0-9]){re.escape(_plain(word))}(?![a-z0-9])", plain):
            found.append(_around(plain, match[0]))
    for phone in sorted(secrets.phones):
        digits = rf"(?<!\d)1?{_SEPARATED}{_SEPARATED.join(phone[-10:])}(?!\d)"
        if match := re.search(digits, log):
            found.append(_around(log, match[0]))
    for birth in sorted(secrets.births):
        for locale, pattern in ((locale, pattern) for locale in ("en_US", "es_US") for pattern in _BIRTH):
            written = _plain(format_date(birth, pattern, locale=locale))
            if written in plain:
                found.append(_around(plain, written))
    return found


def _plain(text: str) -> str:
    """As it would be read: JSON's and URLs' escapes undone, one case, one kind of space."""
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    text = text.replace("\\n", " ").replace("\\t", " ").replace("%20", " ").replace('\\"', '"')
    return re.sub(r"[\s+]+", " ", text).casefold()


def _windows(texts: set[str]) -> set[str]:
    """Each text whole, and every few words of it: part of a message is the message's, too."""
    found = set()
    for text in texts:
        words = _plain(text).split()
        if len(words) >= 2 and len(" ".join(words)) >= 8:
            found.add(" ".join(words))
        for at in range(len(words) - 3):
            found.add(" ".join(words[at : at + 4]))
    return found


def _around(text: str, needle: str) -> str:
    at = text.index(needle)
    return text[max(0, at - 40) : at + len(needle) + 40]


KNOWN = Secrets(
    texts={"there is a strange lump behind my left ear", "¿dónde está la clínica, señora?", "as a mole"},
    words={"Zephyrine", "Núñez", "60999"},
    phones={"+12175550163"},
    births={date(1961, 5, 4)},
)
PLANTED = [
    "lump behind my left",
    '{"event": "x", "what": "There is a strange lump behind my left ear"}',
    json.dumps({"text": "¿dónde está la clínica, señora?"}),  # \u escapes
    "GET /find?q=strange%20lump%20behind%20my",
    "GET /find?q=strange+lump+behind+my",
    "name=Zephyrine",
    "Patient NÚÑEZ was here",
    json.dumps("Núñez"),
    "+12175550163",
    "12175550163",
    "217-555-0163",
    "(217) 555-0163",
    "217.555.0163",
    "+1 217 555 0163",
    "/phones/%2B12175550163/messages",
    "tel%3A217%2D555%2D0163",
    "whatsapp:+12175550163",
    "born 1961-05-04",
    "5/4/1961",
    "05/04/1961",
    "May 4, 1961",
    "4 de mayo de 1961",
    "19610504",
    "zip 60999.",
]
INNOCENT = [
    '{"event": "twilio_received", "tenant": "riverbend", "inbox": 217555, "duplicate": false}',
    "2175550 163000",
    "port 60998",
    "1961-05-05 zephyr",
    "a lump sum behind",
]


@pytest.mark.parametrize("line", PLANTED)
def test_the_scanner_finds_what_is_planted(line: str) -> None:
    assert scan(f"before\n{line}\nafter", KNOWN)


@pytest.mark.parametrize("line", INNOCENT)
def test_the_scanner_leaves_the_rest_alone(line: str) -> None:
    assert scan(line, KNOWN) == []


# --- the conversations

# Nobody in them: printed by every process as it starts, to prove that its log is kept and read.
STRANGER = Secrets(texts={"the purple umbrella sat on the harmonica"}, phones={"+12175550164"})


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every Python that starts from here prints a line of a stranger's."""
    folder = tmp_path_factory.mktemp("site")
    program = 'import sys\nprint("the purple umbrella sat on the harmonica, 217 555 0164", file=sys.stderr)\n'
    (folder / "sitecustomize.py").write_text(program)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(folder), before]))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@dataclass
class Told:
    """What came of the conversations: the installation's logs, and what must not be in them."""

    stack: Stack
    secrets: Secrets
    keys: set[str]

    def files(self) -> dict[str, str]:
        """Every log, and PostgreSQL's own."""
        postgres = self.stack.supervisor.postgres
        assert postgres is not None
        paths = [*(self.stack.data / "logs").iterdir(), postgres.home / "postgres.log"]
        return {path.name: path.read_text(errors="replace") for path in paths}


@asynccontextmanager
async def unwritable(stack: Stack, table: str) -> AsyncIterator[None]:
    """Within the block nobody can write to `table`: a fault in the middle of the work of whoever tries."""
    assert stack.supervisor.postgres is not None
    owner = await asyncpg.connect(stack.supervisor.postgres.admin_url)
    role = "carethread_engine" if table.startswith("engine.") else "carethread_app"
    try:
        await owner.execute(f"revoke insert, update on {table} from {role}")
        yield
    finally:
        await owner.execute(f"grant insert, update on {table} to {role}")
        await owner.close()


@pytest.fixture(scope="module")
async def told(talkative: None) -> AsyncIterator[Told]:
    async with running_stack(
        log_level="debug", ehr_timeout=3, action_timeout=8, turn_timeout=10, lease_seconds=4, holding_after=3
    ) as stack:
        world, secrets = World(stack), Secrets()
        for talk in (_books, _ails, _is_another, _speaks_spanish, _on_the_web, _meets_faults, _with_a_fault_inside):
            await talk(stack, world, secrets)
        keys = set()
        async with stack.database.begin(stack.clinic.id) as session:
            secrets.texts |= {row for row in await session.scalars(select(Inbox.text)) if row}
            for row in await session.scalars(select(Outbox)):
                secrets.texts.add(row.text)
                keys.add(row.content_key)
        yield Told(stack, secrets, keys)


async def _somebody(world: World, secrets: Secrets, language: str, given: str, family: str) -> Somebody:
    who = await world.patient(language, name=[{"use": "official", "family": family, "given": [given]}])
    who = replace(who, given=given, family=family)
    secrets.know(who)
    return who


@asynccontextmanager
async def _talking(stack: Stack, who: Somebody | None, channel: str = "sms") -> AsyncIterator[Patient]:
    async with stack.patient(channel, phone=who.phone if who else None) as patient:  # type: ignore[arg-type]
        yield patient


async def _say(patient: Patient, *texts: str) -> None:
    for text in texts:
        await patient.say(text, timeout=PATIENCE)


async def _books(stack: Stack, world: World, secrets: Secrets) -> None:
    who = await _somebody(world, secrets, "en", "Zephyrine", "Quackenbush")
    async with _talking(stack, who) as patient:
        await _say(
            patient, "I need to see a skin doctor about my elbow", who.fact("birth date", "en"),
            "a strange purple mole on my left elbow", "any time next week", "number 1 please",
            "what appointments do I have?", "I need to cancel my appointment", "yes, cancel it",
            "my brother Ignatius comes to town", "thank you so much, you are a treasure",
        )  # fmt: skip


async def _ails(stack: Stack, world: World, secrets: Secrets) -> None:
    who = await _somebody(world, secrets, "en", "Thelonious", "Featherstonehaugh")
    async with _talking(stack, who, "whatsapp") as patient:
        await _say(
            patient, "my left kneecap throbs at night like a drum", "since last thursday", "about a 4 of ten",
            "please call me back at 217 555 0111", "I want to talk to a person about my divorce",
            "are you there? this is about Ignatius", "now my chest hurts and I can't breathe",
        )  # fmt: skip
    secrets.phones.add("+12175550111")


async def _is_another(stack: Stack, world: World, secrets: Secrets) -> None:
    who = await _somebody(world, secrets, "en", "Wilhelmina", "Abernathy")
    async with _talking(stack, who) as patient:
        await _say(patient, "what appointments do I have?", "11/12/1931", "12 of november 1931", "it is 11-12-1931")
        await _say(patient, "STOP", "why do you not answer me about the lump", "START")
    secrets.births.add(date(1931, 11, 12))


async def _speaks_spanish(stack: Stack, world: World, secrets: Secrets) -> None:
    who = await _somebody(world, secrets, "es", "Hermenegilda", "Ybarrondo")
    async with _talking(stack, who, "whatsapp") as patient:
        await _say(
            patient, "quiero una cita con el doctor de la piel", who.fact("birth date", "es"),
            "tengo un lunar morado en el codo izquierdo", "la próxima semana", "la primera por favor",
            "me duele la rodilla izquierda por las noches", "desde el jueves pasado", "un cuatro",
        )  # fmt: skip


async def _on_the_web(stack: Stack, world: World, secrets: Secrets) -> None:
    who = await _somebody(world, secrets, "en", "Peregrine", "Smallwood-Achebe")
    async with _talking(stack, None, "web") as patient:
        await _say(
            patient, "when is my next appointment?", f"{who.given} {who.family}", who.fact("birth date", "en"),
            who.fact("zip", "en"), "asdf qwer zxcv uiop", "hjkl vbnm tyui fghj", "poiu lkjh mnbv rewq",
        )  # fmt: skip


async def _meets_faults(stack: Stack, world: World, secrets: Secrets) -> None:
    """The EHR and the actions die under a conversation, and requests come that are none."""
    who = await _somebody(world, secrets, "en", "Barnabas", "Okonkwo-Lindqvist")
    async with _talking(stack, who) as patient:
        await _say(patient, "I need to see a skin doctor", who.fact("birth date", "en"))
        popen = stack.supervisor.processes["ehr"].popen
        assert popen is not None
        popen.kill()
        await _say(patient, "a rash under my wedding ring", "any time next week")
        popen = stack.supervisor.processes["actions"].popen
        assert popen is not None
        popen.kill()
        await _say(patient, "please say again what you told me about my ring")
        assert patient._http is not None
        for path, body in (
            ("/channels/sms/inbound", f"From={who.phone}&Body=a rash under my wedding ring&To=%zz"),
            ("/channels/sms/inbound?Body=a rash under my wedding ring", "AccountSid=x&To=y"),
            (f"/web/{who.phone}/session", "a rash under my wedding ring"),
            ("/web/messages", '{"id": "a rash under my wedding ring"'),
            (f"/nowhere/{who.given}/{who.family}?born={who.birth_date.isoformat()}", "x"),
        ):
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            async with patient._http.post(f"{stack.gateway_url}{path}", data=body, headers=headers) as answer:
                assert answer.status >= 400


async def _with_a_fault_inside(stack: Stack, world: World, secrets: Secrets) -> None:
    """Exceptions in the middle of each process, with the patient's words in every frame of the stack."""
    who = await _somebody(world, secrets, "en", "Cornelius", "Vandersteen")
    async with _talking(stack, who) as patient:
        await _say(patient, "I need to see a skin doctor", who.fact("birth date", "en"), "a boil on my shoulder blade")
        await _say(patient, "any time next week")
        async with unwritable(stack, "ehr_write"):
            await _say(patient, "number 1 please")  # in an action
        async with unwritable(stack, "engine.tracker"):
            sent = await patient.send("what is the address, my shoulder blade hurts")  # in the engine
            await _tried(stack, sent)
        await patient.answer(sent, timeout=PATIENCE)
        async with unwritable(stack, "outbox"):
            sent = await patient.send("where do I park with this shoulder blade?")  # in the worker
            await _arrived(stack, sent)
            await asyncio.sleep(6)
        await patient.answer(sent, timeout=PATIENCE)
        async with unwritable(stack, "inbox"):
            sent = await patient.send("do you take insurance for shoulder blades?")  # in the gateway
            await asyncio.sleep(3)
        await patient.answer(sent, timeout=PATIENCE)


async def _tried(stack: Stack, provider_id: str) -> None:
    for _ in range(300):
        async with stack.database.begin(stack.clinic.id) as session:
            if await session.scalar(select(Inbox.attempts).where(Inbox.provider_id == provider_id)):
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the turn did not fail")


async def _arrived(stack: Stack, provider_id: str) -> None:
    for _ in range(300):
        async with stack.database.begin(stack.clinic.id) as session:
            if await session.scalar(select(Inbox.id).where(Inbox.provider_id == provider_id)):
                return
        await asyncio.sleep(0.1)
    raise AssertionError("the message did not arrive")


async def test_the_conversations_went_where_they_should(told: Told) -> None:
    """Otherwise the logs would prove nothing."""
    expected = {
        "utter_verified", "utter_booked", "utter_cancelled", "utter_identity_locked", "utter_human_coming",
        "utter_safety_emergency", "utter_ehr_unavailable", "utter_technical", "utter_stopped", "utter_no_visits",
        "utter_human_after_trying",
    }  # fmt: skip
    assert expected - told.keys == set()


async def test_every_process_logs_where_the_scanner_looks(told: Told) -> None:
    files = told.files()
    assert {f"{name}.log" for name in PROCESSES} <= set(files)
    for name in PROCESSES:
        assert len(scan(files[f"{name}.log"], STRANGER)) >= 2, name


async def test_every_process_ran_at_the_most_talkative_level(told: Told) -> None:
    for name in PROCESSES:
        popen = told.stack.supervisor.processes[name].popen
        assert popen is not None
        environment = Path(f"/proc/{popen.pid}/environ").read_bytes().split(b"\0")
        assert b"CARETHREAD_LOG_LEVEL=debug" in environment, name


async def test_the_faults_were_logged(told: Told) -> None:
    """Each left its trace: what follows is not clean because nothing was written."""
    files = told.files()
    traces = {
        "actions.log": ["action_failed", "action_ehr_failed"],
        "engine.log": ["turn not taken"],
        "worker.log": ["turn_failed", "red_flag"],
        "gateway.log": ["twilio_not_committed", "twilio_refused", "twilio_received"],
    }
    assert {name: [word for word in words if word not in files[name]] for name, words in traces.items()} == {
        name: [] for name in traces
    }


async def test_no_log_holds_anything_of_a_patients(told: Told) -> None:
    assert len(told.secrets.texts) > 60
    found = {name: scan(log, told.secrets) for name, log in told.files().items()}
    assert {name: places for name, places in found.items() if places} == {}


async def test_no_log_holds_a_secret(told: Told) -> None:
    token = told.stack.settings.engine_token.get_secret_value()
    for name, log in told.files().items():
        assert DEMO_SECRET not in log, name
        assert token not in log, name
        assert "Bearer ey" not in log, name
