"""What may go wrong on the simulated network. Tests switch it on, where the simulator was started with --faults."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Faults(BaseModel):
    """All switches; each counts down, or stays until cleared, as its comment says."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    # Seconds before an accepted message is answered. Stays.
    delay: float = Field(default=0, ge=0, le=60)
    # So many requests to send are refused with `refuse_status` and `refuse_code`. Counts down.
    refuse: int = Field(default=0, ge=0)
    refuse_status: int = Field(default=503, ge=400, le=599)
    refuse_code: int = 20500
    # So many messages are accepted, and the connection closed without an answer. Counts down.
    drop_after_accept: int = Field(default=0, ge=0)
    # How often the gateway gets each message of a patient's again. Stays.
    duplicate_webhooks: int = Field(default=0, ge=0, le=10)
    # Statuses are reported last first. Stays.
    statuses_reversed: bool = False
    # No statuses are reported at all. Stays.
    statuses_silent: bool = False
    # Where messages end instead of `delivered`. Stays.
    ends: str | None = Field(default=None, pattern="^(undelivered|failed)$")
    ends_code: int = 30003

    def take(self, name: str) -> bool:
        """Count the switch `name` down; whether it was on."""
        left: int = getattr(self, name)
        if left:
            setattr(self, name, left - 1)
        return left > 0
