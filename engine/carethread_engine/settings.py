"""Settings of the engine process, from the same `CARETHREAD_*` environment variables as the platform's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

# What the demo runs with; production refuses it. The platform's settings hold the same value.
DEMO_SECRET = "demo-secret-for-this-machine-only"  # noqa: S105


class SettingsError(Exception):
    """A variable that cannot work: which one, and the mend."""


@dataclass(frozen=True)
class Settings:
    """Seconds are ordered so that the inner call always gives up first: action < turn < the platform's own wait."""

    env: str
    host: str
    port: int
    token: str | None
    database_url: str | None
    database_pool: int
    model: Path
    project: Path
    actions_url: str | None
    action_timeout: float
    turn_timeout: float
    log_level: str

    @classmethod
    def read(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        def get(name: str, default: str) -> str:
            return environ.get(f"CARETHREAD_{name}") or default

        def number(name: str, default: str) -> float:
            value = get(name, default)
            try:
                result = float(value)
            except ValueError:
                raise SettingsError(f"CARETHREAD_{name} is {value!r}; give a number") from None
            if result <= 0:
                raise SettingsError(f"CARETHREAD_{name} is {value!r}; give a number above 0")
            return result

        env = get("ENV", "demo")
        project = Path(get("PROJECT_DIR", str(PROJECT)))
        actions_port = get("ACTIONS_PORT", "")
        # The platform stops waiting at CARETHREAD_TURN_TIMEOUT; our answer, good or bad, leaves before.
        turn_timeout = number("TURN_TIMEOUT", "20") * 0.95
        settings = cls(
            env=env,
            host=get("ENGINE_HOST", "127.0.0.1"),
            port=int(number("ENGINE_PORT", "5005")),
            token=environ.get("CARETHREAD_ENGINE_TOKEN") or None,
            database_url=environ.get("CARETHREAD_ENGINE_DATABASE_URL") or None,
            database_pool=int(number("ENGINE_DATABASE_POOL", "8")),
            model=Path(get("ENGINE_MODEL", str(project / "models" / "carethread.tar.gz"))),
            project=project,
            actions_url=environ.get("CARETHREAD_ACTIONS_URL")
            or (f"http://127.0.0.1:{actions_port}" if actions_port else None),
            action_timeout=number("ACTION_TIMEOUT", "15"),
            turn_timeout=turn_timeout,
            log_level=get("LOG_LEVEL", "info"),
        )
        settings._check()
        return settings

    def _check(self) -> None:
        if self.action_timeout >= self.turn_timeout:
            raise SettingsError(
                f"CARETHREAD_ACTION_TIMEOUT ({self.action_timeout:g} s) must be shorter than CARETHREAD_TURN_TIMEOUT "
                f"(the engine answers within {self.turn_timeout:g} s), or a slow action loses its turn"
            )
        if self.env != "production":
            return
        if self.token == DEMO_SECRET or len(self.token or "") < 32:
            raise SettingsError("CARETHREAD_ENGINE_TOKEN must be a secret of 32 characters or more in production")
        if not self.database_url:
            raise SettingsError(
                "CARETHREAD_ENGINE_DATABASE_URL is not set: conversations would live in memory and die with the process"
            )
