"""The web chat's rules that need no server: who may ask, how often, where a page left off, what the widget says."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import OctKey

from carethread.channels.web import WebChannel, socket
from carethread.channels.web.assets import widget
from carethread.channels.web.chat import Chat, Limits, Parts, Refused, origin_of
from carethread.channels.web.ledger import Change, Cursor, State, inbound_state
from carethread.channels.web.limits import Limiter, Rate
from carethread.channels.web.session import LIFETIME, BadToken, Visitor, issue, new_address, read
from carethread.channels.web.texts import KEYS, WIDGET
from carethread.clinic import Account, Clinic, Clinics, ConfigError, load_clinics
from carethread.config import PROJECT, Settings
from carethread.messaging.types import OutboundMessage, Sent
from carethread.yamls import parse

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
SECRET = "a-secret-that-only-this-test-knows"
VISITOR = Visitor("riverbend", "riverbend-web", "ab" * 16)
WIDGET_YML = PROJECT / "content" / "widget.yml"


class TestToken:
    def test_comes_back_as_the_visitor_it_was_issued_to(self) -> None:
        token = issue(VISITOR, SECRET, now=NOW)
        assert read(token, SECRET, now=NOW + LIFETIME - timedelta(seconds=1)) == VISITOR

    def test_runs_out(self) -> None:
        token = issue(VISITOR, SECRET, now=NOW)
        with pytest.raises(BadToken):
            read(token, SECRET, now=NOW + LIFETIME + timedelta(seconds=1))

    def test_of_another_secret_is_refused(self) -> None:
        with pytest.raises(BadToken):
            read(issue(VISITOR, "another-secret-of-the-same-length!!", now=NOW), SECRET, now=NOW)

    def test_changed_is_refused(self) -> None:
        head, body, signature = issue(VISITOR, SECRET, now=NOW).split(".")
        other = issue(Visitor("riverbend", "riverbend-web", "cd" * 16), SECRET, now=NOW).split(".")[1]
        with pytest.raises(BadToken):
            read(f"{head}.{other}.{signature}", SECRET, now=NOW)
        assert other != body

    @pytest.mark.parametrize(
        "claims", [{}, {"aud": "staff"}, {"aud": "web-chat"}, {"aud": "web-chat", "exp": 99999999999}]
    )
    def test_with_other_claims_is_refused(self, claims: dict[str, Any]) -> None:
        token = jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
        with pytest.raises(BadToken):
            read(token, SECRET, now=NOW)

    def test_that_names_no_algorithm_is_refused(self) -> None:
        body = issue(VISITOR, SECRET, now=NOW).split(".")[1]
        with pytest.raises(BadToken):
            read(f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.", SECRET, now=NOW)

    @pytest.mark.parametrize("text", ["", "a", "a.b.c", "é" * 30, "x" * 5000, "....", "null"])
    def test_that_is_none_is_refused(self, text: str) -> None:
        with pytest.raises(BadToken):
            read(text, SECRET, now=NOW)

    def test_addresses_are_128_random_bits(self) -> None:
        addresses = {new_address() for _ in range(200)}
        assert len(addresses) == 200
        assert all(re.fullmatch(r"[0-9a-f]{32}", address) for address in addresses)


class TestLimiter:
    def test_lets_so_many_through_and_then_says_how_long(self) -> None:
        limiter = Limiter(Rate(2, 10))
        assert [limiter.take("a", NOW + timedelta(seconds=s)) for s in (0, 4)] == [0, 0]
        assert limiter.take("a", NOW + timedelta(seconds=5)) == 5.0
        assert limiter.take("a", NOW + timedelta(seconds=10)) == 0
        assert limiter.take("a", NOW + timedelta(seconds=11)) == 3.0

    def test_counts_each_for_itself(self) -> None:
        limiter = Limiter(Rate(1, 10))
        assert [limiter.take(key, NOW) for key in "ab"] == [0, 0]

    def test_a_refusal_does_not_count(self) -> None:
        limiter = Limiter(Rate(1, 10))
        limiter.take("a", NOW)
        for second in range(1, 10):
            assert limiter.take("a", NOW + timedelta(seconds=second)) > 0
        assert limiter.take("a", NOW + timedelta(seconds=10)) == 0

    def test_remembers_the_last_keys_only(self) -> None:
        limiter = Limiter(Rate(1, 10), keys=2)
        for key in "abc":
            limiter.take(key, NOW)
        assert limiter.take("c", NOW) > 0
        assert limiter.take("a", NOW) == 0  # forgotten, the oldest


class TestCursor:
    def test_survives_being_written(self) -> None:
        cursor = Cursor(12, 34, "00ff", "ab12")
        assert Cursor.parse(str(cursor)) == cursor

    @pytest.mark.parametrize(
        "text", ["", "1", "1.2", "-1.2.a.b", "1.2.zz.b", "1.2.a.b.c", "9" * 40 + ".1.a.b", "x", "None"]
    )
    def test_that_makes_no_sense_is_the_start(self, text: str) -> None:
        assert Cursor.parse(text) == Cursor()
        assert Cursor.parse(text).fresh

    @pytest.mark.parametrize(
        ("done_at", "outcome", "state"),
        [
            (None, None, "sent"),
            (NOW, "answered", "read"),
            (NOW, "red_flag", "read"),
            (NOW, "keyword", "read"),
            (NOW, "to_human", "delivered"),
            (NOW, "gave_up", "delivered"),
            (NOW, None, "delivered"),
        ],
    )
    def test_a_message_is_read_when_something_has_read_it(
        self, done_at: datetime | None, outcome: str | None, state: str
    ) -> None:
        assert inbound_state(done_at, outcome) == state

    def test_state_in_json(self) -> None:
        assert State(True, "human", "es").json() == {"typing": True, "owner": "human", "language": "es", "level": ""}


def chat(*, limits: Limits | None = None, origins: tuple[str, ...] = ("https://clinic.example",)) -> Chat:
    """The web chat of one clinic, without a database behind it."""
    clinic = load_clinics(PROJECT / "clinics")["riverbend"]
    accounts = (Account(channel="web", address="riverbend-web", origins=origins),)
    return Chat(
        parts(Clinics(riverbend=clinic.model_copy(update={"accounts": accounts}))), lambda: NOW, limits or Limits()
    )


def parts(clinics: Clinics, **settings: Any) -> Parts:
    class Some:
        pass

    some: Any = Some()
    some.clinics = clinics
    some.settings = Settings(env="test", public_url="http://127.0.0.1:8080").model_copy(update=settings)
    some.database = some.updates = some.intake = None
    return cast(Parts, some)


class TestWhoMayAsk:
    @pytest.mark.parametrize(
        ("origin", "may"),
        [
            (None, True),  # not a page of somebody else's: browsers say where they are
            ("https://clinic.example", True),
            ("http://127.0.0.1:8080", True),  # the gateway's own pages
            ("https://clinic.example.evil.example", False),
            ("http://clinic.example", False),
            ("https://clinic.example:8443", False),
            ("null", False),
        ],
    )
    def test_pages_of_the_sites_that_embed_the_widget(self, origin: str | None, may: bool) -> None:
        subject = chat()
        assert subject.allowed(origin) is may
        if may:
            assert subject.account("riverbend-web", origin)[0].id == "riverbend"
        else:
            with pytest.raises(Refused) as refused:
                subject.account("riverbend-web", origin)
            assert refused.value.code == "bad_origin"

    def test_an_unknown_widget_is_refused(self) -> None:
        with pytest.raises(Refused) as refused:
            chat().account("no-such-widget", None)
        assert refused.value.code == "unknown_account"

    def test_a_phone_number_is_not_a_widget(self) -> None:
        with pytest.raises(Refused):
            chat().account("+13125550150", None)

    def test_a_session_that_is_shown_again_stays_the_same_visitor(self) -> None:
        subject = chat()
        clinic, account = subject.account("riverbend-web", None)
        first = subject.open(clinic, account, ip="192.0.2.1")
        again = subject.open(clinic, account, ip="192.0.2.1", token=str(first["token"]))
        other = subject.open(clinic, account, ip="192.0.2.1", token="changed" + str(first["token"]))
        assert (first["resumed"], again["resumed"], other["resumed"]) == (False, True, False)
        visitors = [subject.visitor(str(session["token"]), None) for session in (first, again, other)]
        assert visitors[0] == visitors[1] != visitors[2]

    def test_a_session_does_not_work_on_other_sites(self) -> None:
        subject = chat()
        token = str(subject.open(*subject.account("riverbend-web", None), ip="192.0.2.1")["token"])
        assert subject.visitor(token, "https://clinic.example").account == "riverbend-web"
        with pytest.raises(Refused) as refused:
            subject.visitor(token, "https://evil.example")
        assert refused.value.code == "bad_origin"

    def test_a_token_for_a_clinic_that_is_gone_is_refused(self) -> None:
        subject = chat()
        secret = Settings(env="test").session_secret.get_secret_value()
        for visitor in (Visitor("gone", "riverbend-web", "a"), Visitor("riverbend", "gone", "a")):
            with pytest.raises(Refused) as refused:
                subject.visitor(issue(visitor, secret, now=NOW), None)
            assert refused.value.code == "bad_token"

    def test_a_network_address_opens_only_so_many_sessions(self) -> None:
        subject = chat(limits=Limits(sessions=Rate(2, 60)))
        clinic, account = subject.account("riverbend-web", None)
        for _ in range(2):
            subject.open(clinic, account, ip="192.0.2.1")
        with pytest.raises(Refused) as refused:
            subject.open(clinic, account, ip="192.0.2.1")
        assert (refused.value.code, refused.value.retry_after) == ("too_fast", 60)
        subject.open(clinic, account, ip="192.0.2.2")

    def test_a_visitor_has_only_so_many_pages(self) -> None:
        subject = chat(limits=Limits(pages=1))
        with subject.page(VISITOR):
            with pytest.raises(Refused) as refused, subject.page(VISITOR):
                pass
            assert refused.value.code == "too_many"
        with subject.page(VISITOR):
            pass

    def test_production_refuses_a_widget_that_any_site_may_embed(self) -> None:
        clinics = load_clinics(PROJECT / "clinics")
        with pytest.raises(ConfigError, match=r"riverbend/clinic\.yml.*'riverbend-web'.*origin '\*'.*list the sites"):
            Chat(parts(clinics, env="production"), lambda: NOW, Limits())

    def test_origin_as_browsers_write_it(self) -> None:
        assert origin_of("https://Chat.Clinic.example:8443/path?x=1") == "https://chat.clinic.example:8443"


class StuckSocket:
    """A page that says hello and then reads nothing."""

    def __init__(self, token: str) -> None:
        self._frames = [json.dumps({"type": "hello", "token": token})]
        self.failed: int | None = None

    async def recv(self, timeout: float | None = None) -> str:
        if not self._frames:
            await asyncio.Event().wait()
        return self._frames.pop()

    async def send(self, _data: str) -> None:
        await asyncio.Event().wait()

    def fail_connection(self, code: int) -> None:
        self.failed = code


async def test_a_page_that_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def changes(self: Chat, visitor: Visitor, cursor: Cursor) -> Change:
        return Change(None, (), cursor, State(), more=False, changed=False)

    monkeypatch.setattr(Chat, "changes", changes)
    monkeypatch.setattr(socket, "SEND_TIMEOUT", 0.05)
    subject = chat(limits=Limits(pages=1))
    token = str(subject.open(*subject.account("riverbend-web", None), ip="192.0.2.1")["token"])
    stuck = StuckSocket(token)
    await asyncio.wait_for(socket.serve(subject, cast(Any, stuck), None), 5)
    assert stuck.failed == socket.TRY_LATER
    with subject.page(subject.visitor(token, None)):
        pass  # its place is free again


class TestTexts:
    def test_the_widget_says_exactly_what_the_file_holds(self) -> None:
        source = widget().body.decode()
        used = set(re.findall(r"\bt\('([a-z_0-9]+)'", source))
        used |= set(re.findall(r"'((?:from|state|starter)_[a-z0-9]+)'", source))
        used |= {f"starter_{number}" for number in (1, 2, 3, 4)}
        used |= {f"state_{state}" for state in ("sending", "waiting", "sent", "delivered", "read", "failed")}
        used |= {"assistant_line", "human_line", "emergency_now", "crisis_now", "emergency_call", "crisis_call"}
        used |= {"back_online", "offline", "language_name"}
        assert used == set(KEYS)
        assert all(key in source for key in KEYS if not re.match(r"(state|starter)_|language_name", key))

    def test_in_both_languages_with_the_clinics_facts_filled_in(self) -> None:
        clinic = load_clinics(PROJECT / "clinics")["riverbend"]
        texts = WIDGET.load(WIDGET_YML).of(clinic)
        assert list(texts) == ["en", "es"]
        for words in texts.values():
            assert set(words) == set(KEYS)
            assert words["title"] == clinic.name
            assert clinic.emergency_number in words["emergency_line"]
            left = {name for text in words.values() for name in re.findall(r"\{(\w+)\}", text)}
            assert left == {"count", "number"}

    def test_only_in_the_clinics_languages(self) -> None:
        clinic = load_clinics(PROJECT / "clinics")["riverbend"].model_copy(update={"languages": ("es",)})
        assert list(WIDGET.load(WIDGET_YML).of(clinic)) == ["es"]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda raw: raw.pop("send"), r"widget\.yml:1: lacks 'send'"),
            (lambda raw: raw["send"].pop("es"), r"widget\.yml:\d+: 'send' has no text in 'es'"),
            (lambda raw: raw["send"].update(es=" "), r"widget\.yml:\d+: 'send' has no text in 'es'"),
            (lambda raw: raw.update(shout={"en": "A", "es": "A"}), r"widget\.yml:\d+: 'shout' is not a text"),
            (
                lambda raw: raw["send"].update(en="{name}"),
                r"widget\.yml:\d+: 'send' in 'en' holds \{name\}; use one of",
            ),
            (lambda raw: raw.update(send="Send"), r"widget\.yml:\d+: 'send' must map a language"),
        ],
    )
    def test_a_bad_file_is_refused_with_the_place(self, tmp_path: Path, change: Any, message: str) -> None:
        raw = parse(WIDGET_YML.read_text(encoding="utf-8"))
        change(raw)
        path = tmp_path / "widget.yml"
        path.write_text(yaml.safe_dump(raw, allow_unicode=True, sort_keys=False), encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            WIDGET.load(path)

    @pytest.mark.parametrize(("text", "message"), [("a: [", r"widget\.yml:\d+: not YAML"), ("- a", r":1: must map")])
    def test_a_file_of_another_kind_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "widget.yml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=message):
            WIDGET.load(path)

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"widget\.yml: cannot be read"):
            WIDGET.load(tmp_path / "widget.yml")

    def test_what_a_page_learns_can_be_sent_and_holds_no_secret(self) -> None:
        subject = chat()
        about = json.dumps(subject.about(load_clinics(PROJECT / "clinics")["riverbend"]))
        assert "auth_token" not in about
        assert "account_sid" not in about


class TestWidgetFile:
    def test_is_one_script_that_brings_nothing_with_it(self) -> None:
        source = widget().body.decode()
        assert "customElements.define('carethread-chat'" in source
        assert not re.search(r"\bimport\b\s*[({'\"*]|\brequire\(", source)
        # Message text never becomes markup.
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source)

    def test_is_small_on_the_wire(self) -> None:
        asset = widget()
        assert len(asset.gzipped) < 20_000
        assert re.fullmatch(r'"[0-9a-f]{20}"', asset.etag)


async def test_sending_on_the_web_is_done_when_the_row_is() -> None:
    clinic: Clinic = load_clinics(PROJECT / "clinics")["riverbend"]
    account = clinic.first_account("web")
    assert account is not None
    message = OutboundMessage(7, "riverbend", cast(Any, None), account, "ab", "Hello", "en")
    assert await WebChannel().send(message) == Sent("web:7") == await WebChannel().lookup(message)
