"""SMART Backend Services against a token endpoint on this machine that checks what it is given."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from carethread.clinic import ConfigError
from carethread.ehr.auth import ASSERTION, BackendServices, SigningKey, jwks, signing_key
from carethread.ehr.client import Ehr
from carethread.ehr.errors import EhrMalformed, EhrUnauthorized, EhrUnavailable

EC_KEY = signing_key(json.dumps(ECKey.generate_key("P-384", private=True).as_dict(private=True)), kid="ec-1")


class Server:
    """An EHR with a token endpoint: `good` tokens are accepted; `seen` are the assertions it was given."""

    def __init__(self) -> None:
        self.keys = KeySet.import_key_set(jwks(EC_KEY))  # type: ignore[arg-type]
        self.good: set[str] = set()
        self.seen: list[dict[str, Any]] = []
        self.forms: list[dict[str, list[str]]] = []
        self.discovered = 0
        self.token_answer: tuple[int, bytes] | None = None
        self.life: Any = 300
        self.slow_s = 0.0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/fhir/.well-known/smart-configuration":
                    server.discovered += 1
                    self.answer(200, json.dumps({"token_endpoint": server.token_url}).encode())
                elif self.headers.get("Authorization", "").removeprefix("Bearer ") in server.good:
                    self.answer(200, b'{"resourceType": "Patient", "id": "p1"}')
                else:
                    self.answer(401, b"{}")

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                time.sleep(server.slow_s)
                server.forms.append(form)
                if server.token_answer:
                    self.answer(*server.token_answer)
                    return
                assertion = jwt.decode(form["client_assertion"][0], server.keys, algorithms=["ES384", "RS384"])
                server.seen.append({**assertion.claims, **assertion.header})
                token = f"token-{len(server.seen)}"
                server.good.add(token)
                self.answer(200, json.dumps({"access_token": token, "expires_in": server.life}).encode())

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.root = f"http://127.0.0.1:{self.http.server_port}"
        self.token_url = f"{self.root}/auth/token"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def auth(server: Server, **more: Any) -> BackendServices:
    return BackendServices(f"{server.root}/fhir", "carethread", EC_KEY, **more)


async def test_a_token_is_bought_once_with_a_proof_good_for_minutes(server: Server) -> None:
    ehr = Ehr(f"{server.root}/fhir", auth=auth(server, scope="system/Patient.rs"))
    for _ in range(3):
        assert await ehr.read("Patient", "p1")
    await ehr.close()
    assert (server.discovered, len(server.seen)) == (1, 1)
    [proof] = server.seen
    assert (proof["iss"], proof["sub"], proof["aud"]) == ("carethread", "carethread", server.token_url)
    assert proof["exp"] - proof["iat"] <= 300
    assert (proof["alg"], proof["kid"], proof["typ"]) == ("ES384", "ec-1", "JWT")
    [form] = server.forms
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_assertion_type"] == [ASSERTION]
    assert form["scope"] == ["system/Patient.rs"]


async def test_one_renewal_for_many_waiters(server: Server) -> None:
    server.slow_s = 0.2
    ehr = Ehr(f"{server.root}/fhir", auth=auth(server))
    await asyncio.gather(*(ehr.read("Patient", "p1") for _ in range(12)))
    assert len(server.seen) == 1
    # The EHR forgets every token: all twelve hear 401, one new token serves them all.
    server.good.clear()
    await asyncio.gather(*(ehr.read("Patient", "p1") for _ in range(12)))
    assert len(server.seen) == 2
    assert len({proof["jti"] for proof in server.seen}) == 2
    await ehr.close()


async def test_a_token_is_renewed_before_it_ends(server: Server) -> None:
    now = [1_800_000_000.0]
    signer = auth(server, clock=lambda: now[0])

    def token() -> str:
        return signer.signed_headers({})["Authorization"]

    assert token() == "Bearer token-1"
    now[0] += 269
    assert token() == "Bearer token-1"
    now[0] += 2
    assert token() == "Bearer token-2"
    server.life = 40
    now[0] += 300
    assert token() == "Bearer token-3"
    now[0] += 19
    assert token() == "Bearer token-3"
    now[0] += 2
    assert token() == "Bearer token-4"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, b'{"error": "invalid_client"}'), EhrUnauthorized),
        ((401, b"{}"), EhrUnauthorized),
        ((302, b""), EhrUnauthorized),
        ((503, b""), EhrUnavailable),
        ((429, b""), EhrUnavailable),
        ((200, b"<html>"), EhrMalformed),
        ((200, b"[]"), EhrMalformed),
        ((200, b'{"access_token": ""}'), EhrMalformed),
        ((200, b'{"access_token": "x", "expires_in": "soon"}'), EhrMalformed),
    ],
)
async def test_no_token_to_be_had(server: Server, answer: tuple[int, bytes], error: type[Exception]) -> None:
    server.token_answer = answer
    ehr = Ehr(f"{server.root}/fhir", auth=auth(server))
    with pytest.raises(error) as caught:
        await ehr.create({"resourceType": "Patient"})
    assert type(caught.value) is error
    assert server.forms[0]["client_assertion"][0] not in repr(caught.value)
    await ehr.close()


def test_nothing_is_signed_for_an_address_without_tls(server: Server) -> None:
    signer = auth(server, token_url="http://ehr.example.org/token")
    with pytest.raises(EhrUnauthorized, match="not https"):
        signer.signed_headers({})


# Keys


def test_keys_from_pem_and_jwk_and_what_is_published() -> None:
    rsa = RSAKey.generate_key(2048, private=True)
    for text in (rsa.as_pem(private=True).decode(), json.dumps(rsa.as_dict(private=True))):
        key = signing_key(text, kid="rsa-1", algorithm="RS384")
        assert key.algorithm == "RS384"
        assert key.key.is_private
    published = jwks(EC_KEY, key)
    assert [entry["kid"] for entry in published["keys"]] == ["ec-1", "rsa-1"]
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {name for entry in published["keys"] for name in entry}


def _jwk(key: RSAKey | ECKey, *, private: bool) -> str:
    return json.dumps(key.as_dict(private=private))


@pytest.mark.parametrize(
    ("text", "algorithm", "mend"),
    [
        ("", "ES384", "make an EC key on curve P-384"),
        ("-----BEGIN NONSENSE-----", "ES384", "make an EC key on curve P-384"),
        ("{not json", "RS384", "make an RSA key"),
        (_jwk(ECKey.generate_key("P-384", private=True), private=False), "ES384", "not a private key"),
        (_jwk(ECKey.generate_key("P-256", private=True), private=True), "ES384", "curve P-256"),
        (_jwk(ECKey.generate_key("P-384", private=True), private=True), "RS384", "make an RSA key"),
        (_jwk(RSAKey.generate_key(1024, private=True), private=True), "RS384", "1024 bits are too few"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_with_the_mend(text: str, algorithm: Any, mend: str) -> None:
    with pytest.raises(ConfigError, match=mend):
        signing_key(text, kid="k", algorithm=algorithm)


def test_a_key_does_not_show_itself() -> None:
    assert isinstance(EC_KEY, SigningKey)
    assert repr(EC_KEY) == "SigningKey(kid='ec-1', algorithm='ES384')"
