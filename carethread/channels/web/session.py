"""Who is at the other end of a web chat: an anonymous visitor, proven by a signed token that their browser keeps."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

LIFETIME = timedelta(days=30)
_ALGORITHM = "HS256"
# Keeps these tokens apart from others that the same secret may sign.
_AUDIENCE = "web-chat"
_MAX_TOKEN = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Visitor:
    """One browser at one widget. `address` is the patient's address on the web channel."""

    tenant: str
    account: str
    address: str


class BadToken(Exception):
    """The token is not ours, was changed, or has run out."""


def new_address() -> str:
    """128 random bits: nobody can guess another visitor's address."""
    return secrets.token_hex(16)


def issue(visitor: Visitor, secret: str, *, now: datetime) -> str:
    """A token for `visitor` that holds until `now` + `LIFETIME`."""
    claims = {
        "aud": _AUDIENCE,
        "sub": visitor.address,
        "tenant": visitor.tenant,
        "account": visitor.account,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFETIME).timestamp()),
    }
    return jwt.encode({"alg": _ALGORITHM}, claims, OctKey.import_key(secret))


def read(token: str, secret: str, *, now: datetime) -> Visitor:
    """The visitor a token was issued to; raises `BadToken`."""
    if not token or len(token) > _MAX_TOKEN:
        raise BadToken("no token")
    try:
        claims = jwt.decode(token, OctKey.import_key(secret), algorithms=[_ALGORITHM]).claims
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            aud={"essential": True, "value": _AUDIENCE},
            exp={"essential": True},
            sub={"essential": True},
            tenant={"essential": True},
            account={"essential": True},
        ).validate(claims)
    except (JoseError, ValueError) as error:
        raise BadToken(type(error).__name__) from error
    return Visitor(str(claims["tenant"]), str(claims["account"]), str(claims["sub"]))
