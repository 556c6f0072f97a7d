"""A tenant: one folder `clinics/<tenant>/` with `clinic.yml`, read and checked at start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time, timedelta
from pathlib import Path
from typing import Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, ValidationInfo, field_validator

from carethread.yamls import SAFE, parse

Channel = Literal["web", "sms", "whatsapp"]
Severity = Literal["emergency", "urgent", "soon", "routine"]


class ConfigError(Exception):
    """A configuration or content file cannot be used; the text says where and how to mend it."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Account(_Model):
    """A sender of the clinic's: a phone number or a web widget."""

    channel: Channel
    address: str = Field(description="E.164 for sms and whatsapp; the widget's key for web")
    # Twilio credentials: names of environment variables, so that no secret stands in a file.
    account_sid: str | None = None
    auth_token_env: str | None = None
    # Messages a second that the provider lets this number send.
    rate: float = Field(default=1.0, gt=0)
    # Sites that may embed the widget (web only); `*` for any.
    origins: tuple[str, ...] = ()


class Team(_Model):
    """Who works an escalation, and how soon (minutes) for each severity."""

    name: str
    minutes: dict[Severity, int]

    @field_validator("minutes")
    @classmethod
    def _every_severity(cls, value: dict[Severity, int]) -> dict[Severity, int]:
        # Missing ones would show only when an escalation of that severity is opened.
        if missing := [severity for severity in get_args(Severity) if severity not in value]:
            raise ValueError(f"gives no minutes for {', '.join(missing)}; a team needs all four severities")
        if any(minutes < 1 for minutes in value.values()):
            raise ValueError("minutes are whole numbers from 1")
        return value


class Hours(_Model):
    start: time
    end: time


class Specialty(_Model):
    """A specialty that patients can book, by its label in each language."""

    code: str
    display: dict[str, str]


class Clinic(_Model):
    """Everything that differs from one clinic to the next."""

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{1,30}$")
    name: str
    timezone: str
    languages: tuple[str, ...] = ("en", "es")
    phone: str
    emergency_number: str = "911"
    crisis_line: str = "988"
    ehr_url: str
    accounts: tuple[Account, ...]
    teams: dict[str, Team]
    # reason of an escalation → team; `default` is required
    routing: dict[str, str]
    quiet_hours: Hours = Hours(start=time(20, 0), end=time(8, 0))
    specialties: tuple[Specialty, ...] = ()
    # Facts for the frequently asked questions: key → language → text
    facts: dict[str, dict[str, str]] = {}
    programs: tuple[str, ...] = ()
    # How long a verified identity lasts on a channel.
    verified_for_hours: dict[Channel, float] = {"web": 1, "sms": 24, "whatsapp": 24}

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"'{value}' is not an IANA time zone (like America/Chicago)")
        return value

    @field_validator("routing")
    @classmethod
    def _teams_exist(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        teams = info.data.get("teams", {})  # absent when they are wrong themselves
        for reason, team in value.items():
            if teams and team not in teams:
                known = ", ".join(sorted(teams))
                raise ValueError(f"'{reason}' names team '{team}', which is not defined (teams: {known})")
        if "default" not in value:
            raise ValueError("there is no 'default' team; name the one that takes what no other line does")
        return value

    # Where it was read from, for errors.
    _file: Path | None = PrivateAttr(default=None)

    def place(self, *keys: str | int, below: Path = Path("clinics")) -> str:
        """`file:line` at which a setting stands; only the file, below `below`, for a clinic made without one."""
        if self._file is None or not self._file.exists():
            return str(below / self.id / "clinic.yml")
        return f"{self._file}:{line_of(read_text(self._file), keys)}"

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def team_for(self, reason: str) -> str:
        """The team that works an escalation opened for `reason`."""
        return self.routing.get(reason, self.routing["default"])

    def deadline(self, team: str, severity: Severity) -> timedelta:
        """How long `team` has to take an escalation of `severity`."""
        return timedelta(minutes=self.teams[team].minutes[severity])

    def account(self, channel: Channel, address: str) -> Account | None:
        return next((a for a in self.accounts if a.channel == channel and a.address == address), None)

    def first_account(self, channel: Channel) -> Account | None:
        return next((a for a in self.accounts if a.channel == channel), None)


class Clinics(dict[str, Clinic]):
    """All tenants of an installation, by id."""

    def by_account(self, channel: Channel, address: str) -> tuple[Clinic, Account] | None:
        """The tenant a message to `address` belongs to; None when nobody owns that address."""
        for clinic in self.values():
            if account := clinic.account(channel, address):
                return clinic, account
        return None

    def shared_facts(self) -> list[str]:
        """The facts that every clinic has, so that content may speak of them."""
        return sorted(set.intersection(*(set(clinic.facts) for clinic in self.values())))


def load_clinic(path: Path) -> Clinic:
    """Read one `clinic.yml`; raises `ConfigError` with file, line and mend."""
    text = read_text(path, "make the file or remove its folder")
    raw = read_yaml(path, text)
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}:1: a clinic is a mapping of settings; clinics/riverbend is an example")
    try:
        clinic = Clinic.model_validate({"id": path.parent.name, **raw})
    except ValidationError as error:
        raise refusal(path, text, error) from None
    if clinic.id != path.parent.name:
        raise ConfigError(
            f"{path}:{line_of(text, ['id'])}: id '{clinic.id}' differs from its folder '{path.parent.name}'; "
            "make them one"
        )
    clinic._file = path
    return clinic


def load_clinics(directory: Path) -> Clinics:
    """Every `*/clinic.yml` below `directory`; refuses two clinics that claim one channel account."""
    clinics = Clinics()
    owners: dict[tuple[str, str], str] = {}
    for path in sorted(directory.glob("*/clinic.yml")):
        clinic = load_clinic(path)
        for number, account in enumerate(clinic.accounts):
            key = (account.channel, account.address)
            if key in owners:
                raise ConfigError(
                    f"{clinic.place('accounts', number)}: {account.channel} account {account.address} already "
                    f"belongs to clinic '{owners[key]}'; give each its own"
                )
            owners[key] = clinic.id
        clinics[clinic.id] = clinic
    if not clinics:
        raise ConfigError(f"{directory}: holds no clinic; add <tenant>/clinic.yml (clinics/riverbend is an example)")
    return clinics


def read_text(path: Path, mend: str = "restore it from the repository") -> str:
    """The text of a file of ours; raises `ConfigError`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {mend}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text; save it as UTF-8") from error


def read_yaml(path: Path, text: str) -> object:
    """What a YAML file says; raises `ConfigError` with the line that cannot be read."""
    try:
        return parse(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        why = getattr(error, "problem", None) or getattr(error, "reason", "")
        raise ConfigError(f"{path}:{line}: not YAML ({why}); mend the line above or quote the text") from error


def refusal(path: Path, text: str, error: ValidationError) -> ConfigError:
    """The first thing that a model refuses in the file it was read from."""
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    why = first["msg"].removeprefix("Value error, ")
    return ConfigError(f"{path}:{line_of(text, list(first['loc']))}: {where}: {why}")


def line_of(text: str, keys: Sequence[str | int]) -> int:
    """The line (from 1) of the last of nested keys and list positions that can be found in YAML `text`."""
    node: yaml.Node | None = yaml.compose(text, Loader=SAFE)
    line = 1
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            match = next((pair for pair in node.value if pair[0].value == key), None)
            if match is None:
                break
            line, node = match[0].start_mark.line + 1, match[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
        else:
            break
    return line
