"""Whose Twilio account an address belongs to, with which secret, and how Twilio writes addresses."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from carethread.clinic import Account, Clinics, ConfigError
from carethread.config import DEMO_SECRET, Settings

PhoneChannel = Literal["sms", "whatsapp"]
CHANNELS: tuple[PhoneChannel, ...] = ("sms", "whatsapp")

TWILIO_HOST = "api.twilio.com"

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SEPARATORS = re.compile(r"[\s().\-]")
_PREFIX: Mapping[PhoneChannel, str] = {"sms": "", "whatsapp": "whatsapp:"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs Twilio's requests to us, and ours to Twilio."""

    account_sid: str
    auth_token: str = field(repr=False)
    demo: bool  # made up here because no token is set: no real Twilio account knows it


def demo_token(account_sid: str) -> str:
    """The token of `account_sid` where none is set: the same in every process of the demo."""
    return hmac.new(DEMO_SECRET.encode(), account_sid.encode(), hashlib.sha256).hexdigest()[:32]


def credentials(account: Account, settings: Settings, environ: Mapping[str, str] = os.environ) -> Credentials:
    """The Twilio account behind `account`; raises `ConfigError` when it cannot be used."""
    place = f"{account.channel} account {account.address}"
    if not account.account_sid:
        raise ConfigError(f"{place} has no account_sid; copy it from the Twilio console into clinic.yml")
    token = environ.get(account.auth_token_env, "") if account.auth_token_env else ""
    if token:
        return Credentials(account.account_sid, token, demo=False)
    if not settings.production:
        return Credentials(account.account_sid, demo_token(account.account_sid), demo=True)
    if not account.auth_token_env:
        raise ConfigError(f"{place} has no auth_token_env; name the environment variable that holds the Twilio token")
    raise ConfigError(f"{place}: {account.auth_token_env} is not set; set it to the account's Twilio auth token")


def check_accounts(clinics: Clinics, settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Refuse at start what would fail at the first message; raises `ConfigError` with file and mend."""
    for clinic in clinics.values():
        for number, account in enumerate(clinic.accounts):
            if account.channel not in CHANNELS:
                continue
            place = clinic.place("accounts", number, below=settings.clinics_dir)
            if not _E164.fullmatch(account.address):
                raise ConfigError(
                    f"{place}: {account.channel} account '{account.address}' is not a phone number in E.164 form"
                    " (like +13125550150)"
                )
            try:
                credentials(account, settings, environ)
            except ConfigError as error:
                raise ConfigError(f"{place}: {error}") from error
    if settings.production and urlsplit(settings.twilio_api_url).scheme != "https":
        raise ConfigError(f"CARETHREAD_TWILIO_API_URL must be https:// in production, not '{settings.twilio_api_url}'")


def to_twilio(channel: PhoneChannel, address: str) -> str:
    """`address` as Twilio writes it: `+13125550101`, `whatsapp:+13125550101`."""
    return _PREFIX[channel] + address


def from_twilio(channel: PhoneChannel, raw: str) -> str | None:
    """The E.164 number in an address of Twilio's; None for anything else (a short code, another channel)."""
    prefix = _PREFIX[channel]
    raw = raw.strip()
    if not raw.lower().startswith(prefix):
        return None
    number = _SEPARATORS.sub("", raw[len(prefix) :])
    return number if _E164.fullmatch(number) else None
