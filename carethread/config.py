"""Settings of one process, read from `CARETHREAD_*` environment variables. The README lists every one."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent

# What the demo runs with. `Settings` refuses each of these when CARETHREAD_ENV is `production`.
DEMO_SECRET = "demo-secret-for-this-machine-only"  # noqa: S105


_PREFIX = "CARETHREAD_"


class SettingsError(ValueError):
    """A variable cannot work; the text is one line with its name and the mend, and never shows a secret."""


class Settings(BaseSettings):
    """Typed settings; a value that cannot work is refused with the variable's name and the mend."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", env_ignore_empty=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_refusal(error)) from None

    env: Literal["demo", "test", "production"] = "demo"
    data_dir: Path = PROJECT / ".var"
    content_dir: Path = PROJECT / "content"
    clinics_dir: Path = PROJECT / "clinics"
    programs_dir: Path = PROJECT / "programs"

    # Roles are carethread_app and carethread_engine: neither can bypass row-level security.
    database_url: str | None = None
    database_admin_url: str | None = None
    database_pool: int = Field(default=8, ge=1, le=100)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    # How providers and browsers reach the gateway: Twilio signs this address, so it must be exact.
    public_url: str = "http://127.0.0.1:8080"
    # Only the engine calls the actions, and they ask nobody who it is: never a public address.
    actions_host: str = "127.0.0.1"
    actions_port: int = Field(default=5055, ge=1, le=65535)
    engine_port: int = Field(default=5005, ge=1, le=65535)
    engine_url: str = "http://127.0.0.1:5005"
    sandbox_ehr_port: int = Field(default=8090, ge=1, le=65535)
    phones_port: int = Field(default=8091, ge=1, le=65535)
    # Where SMS and WhatsApp messages are sent; the demo points it at the phone simulator.
    twilio_api_url: str = "https://api.twilio.com"

    # Takes the place of every clinic's `ehr_url`: for a demo or a test on other ports.
    ehr_url: str | None = None

    engine_token: SecretStr = SecretStr(DEMO_SECRET)
    session_secret: SecretStr = SecretStr(DEMO_SECRET)

    # Seconds. Ordered so that the inner call always gives up first: EHR < action < engine turn.
    ehr_timeout: float = Field(default=8.0, gt=0)
    action_timeout: float = Field(default=15.0, gt=0)
    turn_timeout: float = Field(default=20.0, gt=0)
    # How long a worker may be silent before another takes its conversation over.
    lease_seconds: float = Field(default=10.0, gt=0)
    # How long the engine may fail before the patient is told that the answer will take longer.
    holding_after: float = Field(default=6.0, ge=0)
    # How long before an unanswered message goes to a human.
    give_up_after: float = Field(default=600.0, gt=0)

    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _inner_waits_are_shorter(self) -> Self:
        waits = ("ehr_timeout", "action_timeout", "turn_timeout")
        for inner, outer in pairwise(waits):
            if getattr(self, inner) >= getattr(self, outer):
                raise ValueError(
                    f"{_PREFIX}{inner.upper()} ({getattr(self, inner):g} s) must be shorter than "
                    f"{_PREFIX}{outer.upper()} ({getattr(self, outer):g} s), or a slow call loses the turn around it"
                )
        return self

    @model_validator(mode="after")
    def _production_is_not_a_demo(self) -> Self:
        if self.env != "production":
            return self
        wrong = [
            f"{_PREFIX}{name.upper()} has its demo value or is short; set a secret of 32 characters or more"
            for name in ("engine_token", "session_secret")
            if (secret := getattr(self, name).get_secret_value()) == DEMO_SECRET or len(secret) < 32
        ]
        wrong += [
            f"{_PREFIX}{name.upper()} is not set; production needs a PostgreSQL server of its own"
            for name in ("database_url",)
            if not getattr(self, name)
        ]
        if self.public_url.startswith("http://"):
            wrong.append("CARETHREAD_PUBLIC_URL must be the https:// address that patients and providers use")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def production(self) -> bool:
        return self.env == "production"


def _refusal(error: ValidationError) -> str:
    """Every mistake, one after the other. Pydantic's own text would quote what was given, secrets included."""
    reasons = []
    for mistake in error.errors(include_url=False):
        if mistake["type"] == "value_error":
            reasons.append(str(mistake["ctx"]["error"]))
            continue
        name = str(mistake["loc"][0]) if mistake["loc"] else "?"
        shown = "" if "token" in name or "secret" in name or "url" in name else f" is {str(mistake['input'])!r}"
        reasons.append(f"{_PREFIX}{name.upper()}{shown}: {mistake['msg'][0].lower()}{mistake['msg'][1:]}")
    return "; ".join(reasons)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
