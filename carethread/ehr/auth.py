"""SMART Backend Services: how this system proves to an EHR who it is, with a key of its own and no shared secret.

https://hl7.org/fhir/smart-app-launch/backend-services.html: a JWT signed with our private key buys an access token
for a few minutes; the EHR knows our public key from a JWKS address.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import requests
from fhirclient.auth import FHIRAuth
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey, import_key

from carethread.clinic import ConfigError
from carethread.ehr.errors import EhrMalformed, EhrUnauthorized, EhrUnavailable

Algorithm = Literal["RS384", "ES384"]
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_S = 240  # five minutes at most
# A token is renewed so long before its end, so that none ends on its way.
EARLY_S = 30
SHORTEST_LIFE_S = 60  # of a token whose life the EHR does not say
TIMEOUT_S = (3.05, 5.0)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Our private key, as it signs for one EHR."""

    kid: str
    algorithm: Algorithm
    key: RSAKey | ECKey = field(repr=False)

    def public(self) -> dict[str, Any]:
        """The public half as a JWK, for our JWKS address."""
        shown: dict[str, Any] = dict(self.key.as_dict(private=False))
        return {**shown, "kid": self.kid, "alg": self.algorithm, "use": "sig", "key_ops": ["verify"]}


def signing_key(text: str, *, kid: str, algorithm: Algorithm = "ES384") -> SigningKey:
    """Read a private key from PEM or JWK `text`; raises `ConfigError` that says what to make instead."""
    mend = {
        "RS384": "an RSA key of 2048 bits or more",
        "ES384": "an EC key on curve P-384",
    }[algorithm]
    try:
        data: Any = json.loads(text) if text.lstrip().startswith("{") else text
        key = import_key(data, "RSA") if algorithm == "RS384" else import_key(data, "EC")
    except Exception:
        raise ConfigError(f"EHR key '{kid}': not a private key in PEM or JWK for {algorithm}; make {mend}") from None
    if not isinstance(key, RSAKey | ECKey) or not key.is_private:
        raise ConfigError(f"EHR key '{kid}': not a private key; make {mend}")
    if isinstance(key, ECKey) and key.curve_name != "P-384":
        raise ConfigError(f"EHR key '{kid}': curve {key.curve_name} cannot sign {algorithm}; make {mend}")
    if isinstance(key, RSAKey) and key.raw_value.key_size < 2048:
        raise ConfigError(f"EHR key '{kid}': {key.raw_value.key_size} bits are too few; make {mend}")
    return SigningKey(kid, algorithm, key)


def jwks(*keys: SigningKey) -> dict[str, Any]:
    """What our JWKS address answers: the public halves of keys in use, and of those just retired."""
    return {"keys": [key.public() for key in keys]}


class BackendServices(FHIRAuth):  # type: ignore[misc]
    """Signs requests with an access token, renewed before it ends: once, however many threads want one."""

    auth_type = "smart-backend-services"

    def __init__(
        self,
        base_url: str,
        client_id: str,
        key: SigningKey,
        *,
        scope: str = "system/*.cruds",
        token_url: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__({"app_id": client_id})
        self._base_url = base_url if base_url.endswith("/") else base_url + "/"
        self._key, self._scope, self._clock = key, scope, clock
        self._token_url = token_url
        self._token: str | None = None
        self._ends = 0.0
        self._lock = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False

    def can_sign_headers(self) -> bool:
        return True

    def signed_headers(self, headers: dict[str, str]) -> dict[str, str]:
        """`headers` with a token; raises `EhrUnauthorized` or `EhrUnavailable` when there is none to be had."""
        return {**headers, "Authorization": f"Bearer {self._current()}"}

    def forget(self, headers: Mapping[str, str]) -> None:
        """The EHR did not accept the token in `headers`: the next request gets another, unless one is there already."""
        with self._lock:
            if headers.get("Authorization") == f"Bearer {self._token}":
                self._token = None

    def _current(self) -> str:
        with self._lock:
            if self._token is None or self._clock() >= self._ends:
                self._token, life = self._buy()
                self._ends = self._clock() + max(life - EARLY_S, life / 2)
            return self._token

    def _buy(self) -> tuple[str, float]:
        """A new access token and its life in seconds."""
        url = self._endpoint()
        form = {
            "grant_type": "client_credentials",
            "scope": self._scope,
            "client_assertion_type": ASSERTION,
            "client_assertion": self.assertion(url),
        }
        answer = self._call("POST", url, data=form)
        token, life = answer.get("access_token"), answer.get("expires_in", SHORTEST_LIFE_S)
        if not isinstance(token, str) or not token or not isinstance(life, int | float):
            raise EhrMalformed("POST token: answered without an access token")
        return token, float(life)

    def assertion(self, token_url: str) -> str:
        """A JWT that is good for one request to `token_url`."""
        now = int(self._clock())
        claims = {
            "iss": self.app_id,
            "sub": self.app_id,
            "aud": token_url,
            "jti": str(uuid4()),
            "iat": now,
            "exp": now + ASSERTION_LIFE_S,
        }
        header = {"alg": self._key.algorithm, "kid": self._key.kid, "typ": "JWT"}
        return jwt.encode(header, claims, self._key.key, algorithms=[self._key.algorithm])

    def _endpoint(self) -> str:
        """Where tokens are bought: as configured, else as the EHR says in its SMART configuration."""
        if self._token_url is None:
            said = self._call("GET", urljoin(self._base_url, ".well-known/smart-configuration"))
            url = said.get("token_endpoint")
            if not isinstance(url, str):
                raise EhrMalformed("GET smart-configuration: names no token endpoint")
            self._token_url = url
        parts = urlsplit(self._token_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise EhrUnauthorized("the token endpoint is not https; nothing is signed for it")
        return self._token_url

    def _call(self, method: str, url: str, data: Mapping[str, str] | None = None) -> dict[str, Any]:
        what = f"{method} {'token' if data else 'smart-configuration'}"
        try:
            response = self._session.request(
                method, url, data=data, headers={"Accept": "application/json"}, timeout=TIMEOUT_S, allow_redirects=False
            )
            body = response.json() if response.status_code < 300 else None
        except requests.JSONDecodeError:
            raise EhrMalformed(f"{what}: not JSON") from None
        except requests.RequestException as error:
            raise EhrUnavailable(f"{what}: {type(error).__name__}") from None
        if response.status_code >= 500 or response.status_code == 429:
            raise EhrUnavailable(f"{what}: {response.status_code}", status=response.status_code)
        if response.status_code >= 300:
            raise EhrUnauthorized(f"{what}: {response.status_code}", status=response.status_code)
        if not isinstance(body, dict):
            raise EhrMalformed(f"{what}: not a JSON object")
        return body
