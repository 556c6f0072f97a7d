"""A tenant: one folder `clinics/<tenant>/` with `clinic.yml`, read and checked at start."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

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

    @model_validator(mode="after")
    def _teams_exist(self) -> Self:
        for reason, team in self.routing.items():
            if team not in self.teams:
                known = ", ".join(sorted(self.teams))
                raise ValueError(f"routing '{reason}' names team '{team}', which is not defined (teams: {known})")
        if "default" not in self.routing:
            raise ValueError("routing needs a 'default' team")
        return self

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


def load_clinic(path: Path) -> Clinic:
    """Read one `clinic.yml`; raises `ConfigError` with file, line and mend."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); make the file or remove its folder") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{path}:{line}: not YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}:1: a clinic is a mapping of settings; see docs/clinic.md")
    try:
        clinic = Clinic.model_validate({"id": path.parent.name, **raw})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        line = line_of(text, [part for part in first["loc"] if isinstance(part, str)])
        raise ConfigError(f"{path}:{line}: {where}: {first['msg']}") from error
    if clinic.id != path.parent.name:
        raise ConfigError(f"{path}:1: id '{clinic.id}' differs from its folder '{path.parent.name}'; make them one")
    return clinic


def load_clinics(directory: Path) -> Clinics:
    """Every `*/clinic.yml` below `directory`; refuses two clinics that claim one channel account."""
    clinics = Clinics()
    owners: dict[tuple[str, str], str] = {}
    for path in sorted(directory.glob("*/clinic.yml")):
        clinic = load_clinic(path)
        for account in clinic.accounts:
            key = (account.channel, account.address)
            if key in owners:
                raise ConfigError(f"{path}: account {key} already belongs to clinic '{owners[key]}'; give each its own")
            owners[key] = clinic.id
        clinics[clinic.id] = clinic
    if not clinics:
        raise ConfigError(f"{directory}: holds no clinic; add <tenant>/clinic.yml (clinics/riverbend is an example)")
    return clinics


def line_of(text: str, keys: list[str]) -> int:
    """The line (from 1) of the last of nested mapping keys that can be found in YAML `text`."""
    node: yaml.Node | None = yaml.compose(text)
    line = 1
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        match = next((pair for pair in node.value if pair[0].value == key), None)
        if match is None:
            break
        line, node = match[0].start_mark.line + 1, match[1]
    return line
