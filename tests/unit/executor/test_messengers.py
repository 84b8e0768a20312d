"""Slack, e-mail, Redis, Pub/Sub and Apprise against servers that say what the real ones say."""

from __future__ import annotations

import asyncio
import email
import email.policy
from base64 import b64decode

import orjson
import pytest

from squirrel.executor.conformance import standing_in
from squirrel.testing import Line, Received, Target, answer
from tests.unit.executor.conftest import RUN
from tests.unit.executor.google import JSON, Google
from tests.unit.executor.plugins import kit, plugin_attempt


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ("hello", {"text": "hello"}),
        ({"text": "hello", "blocks": [{"type": "divider"}]}, {"text": "hello", "blocks": [{"type": "divider"}]}),
        ({"blocks": [{"type": "divider"}]}, {"blocks": [{"type": "divider"}]}),
        ({"a": 1}, {"text": '{\n  "a": 1\n}'}),
    ],
)
async def test_slack_webhook(message: object, sent: object) -> None:
    async with kit() as parts, Target(answer(200, b"ok")) as target:
        outcome = await parts.plugins.call(plugin_attempt("slack", message, url=target.url))
    assert (outcome.state, outcome.body) == ("succeeded", b"ok")
    assert orjson.loads(target.requests[0].body) == sent


async def test_slack_bot_says_no_beside_a_200() -> None:
    async with kit() as parts:
        async with Target(answer(200, b'{"ok":true}', JSON)) as target:
            given = {"token": "xoxb-1", "channel": "C1", "api_url": target.url[:-5]}
            assert (await parts.plugins.call(plugin_attempt("slack", "x", **given))).state == "succeeded"
        assert target.requests[0].line.startswith("POST /chat.postMessage")
        assert target.requests[0].header("authorization") == "Bearer xoxb-1"
        for said, retryable in ((b"channel_not_found", False), (b"ratelimited", True)):
            async with Target(answer(200, b'{"ok":false,"error":"%b"}' % said, JSON)) as target:
                outcome = await parts.plugins.call(
                    plugin_attempt("slack", "x", **{**given, "api_url": target.url[:-5]})
                )
            assert (outcome.state, outcome.retryable) == ("failed", retryable)
            assert said.decode() in outcome.error_detail


class Mailbox:
    """A mail server that takes what it is told to take."""

    def __init__(self, refuse: str = "", starttls: bool = False) -> None:
        self.heard: list[str] = []
        self.letters: list[bytes] = []
        self._refuse = refuse
        self._starttls = starttls

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip():
            self.heard.append(line)
            verb = line.split()[0]
            if self._refuse and line.startswith(self._refuse):
                writer.write(b"550 5.1.1 no such mailbox\r\n")
            elif verb == "EHLO":
                writer.write(
                    b"250-mail.example\r\n" + (b"250-STARTTLS\r\n" if self._starttls else b"") + b"250 AUTH PLAIN\r\n"
                )
            elif verb == "AUTH":
                writer.write(b"235 2.7.0 welcome\r\n")
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.letters.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 2.0.0 queued as 4711\r\n")
            elif verb == "QUIT":
                return
            else:
                writer.write(b"250 ok\r\n")


MAIL = {"host": "127.0.0.1", "from": "a@example.com", "to": ["b@example.com", "c@example.com"], "security": "none"}


async def test_a_letter_with_dots_unicode_and_html() -> None:
    mailbox = Mailbox()
    message = {"subject": "Grüße\r\nBcc: x@y", "text": "line\n.\n..dots\nÄ", "html": "<b>Ä</b>"}
    async with kit() as parts, standing_in(mailbox) as port:
        given = {**MAIL, "port": port, "username": "u", "password": "p"}
        outcome = await parts.plugins.call(plugin_attempt("email", message, **given))
    assert outcome.state == "succeeded", outcome
    assert b"4711" in outcome.body
    assert b64decode(next(line for line in mailbox.heard if line.startswith("AUTH"))[11:]) == b"\0u\0p"
    raw = mailbox.letters[0].removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
    letter = email.message_from_bytes(raw, policy=email.policy.default)
    assert letter["Subject"] == "Grüße Bcc: x@y"
    assert letter["Bcc"] is None
    assert letter["To"] == "b@example.com, c@example.com"
    assert RUN in letter["Message-ID"]
    plain, html = letter.iter_parts()
    assert plain.get_content().splitlines() == ["line", ".", "..dots", "Ä"]
    assert "<b>Ä</b>" in html.get_content()


async def test_mail_is_refused_by_recipient_and_no_credential_goes_out_in_the_open() -> None:
    refusing, open_one = Mailbox("RCPT TO:<c@"), Mailbox()
    async with kit() as parts, standing_in(refusing) as one, standing_in(open_one) as two:
        outcome = await parts.plugins.call(plugin_attempt("email", "x", **{**MAIL, "port": one}))
        assert (outcome.state, outcome.retryable, outcome.status) == ("failed", False, None)
        assert "550" in outcome.error_detail
        given = {**MAIL, "port": two, "security": "starttls", "username": "u", "password": "p4ssword"}
        outcome = await parts.plugins.call(plugin_attempt("email", "x", **given))
    assert (outcome.error_type, refusing.letters) == ("tls", [])
    assert not any(line.startswith(("AUTH", "MAIL")) for line in open_one.heard)


async def test_redis_stream_gets_an_entry() -> None:
    heard = bytearray()

    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"scheduled_for" not in heard:
            heard.extend(await reader.read(4096))
        writer.write(b"+OK\r\n+OK\r\n$15\r\n1800000000000-0\r\n")

    async with kit() as parts, standing_in(redis) as port:
        given = {"host": "127.0.0.1", "port": port, "stream": "due", "username": "u", "password": "p", "database": 3}
        outcome = await parts.plugins.call(plugin_attempt("redis_stream", length_max=100, **given))
    assert (outcome.state, outcome.body) == ("succeeded", b"1800000000000-0")
    assert heard.startswith(
        b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*18\r\n$4\r\nXADD\r\n$3\r\ndue\r\n"
    )
    assert b'$22\r\n{"subject":"Reminder"}\r\n' in heard


@pytest.mark.parametrize(
    ("said", "error_type", "retryable"),
    [
        (b"-WRONGTYPE no stream\r\n", "status", False),
        (b"-LOADING in a moment\r\n", "status", True),
        (b"HTTP/1.1 400 Bad Request\r\n", "protocol", True),
        (b"$99999999\r\n", "protocol", True),
        (b"$abc\r\n", "protocol", True),
        (b"", "disconnected", True),
    ],
)
async def test_what_redis_answers(said: bytes, error_type: str, retryable: bool) -> None:
    async def redis(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(said)

    async with kit() as parts, standing_in(redis) as port:
        outcome = await parts.plugins.call(plugin_attempt("redis_stream", host="127.0.0.1", port=port, stream="due"))
    assert (outcome.state, outcome.error_type, outcome.retryable) == ("failed", error_type, retryable)


async def test_pubsub_publishes_with_one_token_for_all() -> None:
    google = Google()
    async with kit() as parts, Target(google) as target:
        base = target.url[:-5]
        account = google.account(base)
        attempt = plugin_attempt("pubsub", project="p", topic="due", service_account=account, endpoint=base)
        outcomes = await asyncio.gather(*(parts.plugins.call(attempt) for _ in range(20)))
        assert {each.state for each in outcomes} == {"succeeded"}, outcomes[0]
        assert google.tokens == 1, "fetched once for all that need it at the same time"
        parts.clock.seconds += 3600
        assert (await parts.plugins.call(attempt)).state == "succeeded"
        assert google.tokens == 2, "and again when it is about to expire"
    published = [each for each in target.requests if "publish" in each.line]
    assert published[0].line == "POST /v1/projects/p/topics/due:publish HTTP/1.1"
    assert published[0].header("authorization") == "Bearer token-1"
    (message,) = orjson.loads(published[0].body)["messages"]
    assert b64decode(message["data"]) == b'{"subject":"Reminder"}'
    assert message["attributes"]["squirrel-run"] == RUN


async def test_a_token_that_pubsub_refuses_is_fetched_anew_by_the_retry() -> None:
    google = Google(answers=[401, 200])
    async with kit() as parts, Target(google) as target:
        base = target.url[:-5]
        attempt = plugin_attempt(
            "pubsub", project="p", topic="due", service_account=google.account(base), endpoint=base
        )
        refused = await parts.plugins.call(attempt)
        assert (refused.state, refused.status, refused.retryable) == ("failed", 401, True)
        assert (await parts.plugins.call(attempt)).state == "succeeded"
    assert [each.header("authorization") for each in target.requests if "publish" in each.line] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


async def test_apprise_goes_out_through_the_guard_only() -> None:
    async with Target(answer(200, b"ok")) as target:
        url = f"json://127.0.0.1:{target.port}/hook"
        async with kit() as parts:
            outcome = await parts.plugins.call(plugin_attempt("apprise", {"text": "hello"}, url=url))
            assert outcome.state == "succeeded", outcome
            assert orjson.loads(target.requests[0].body)["message"] == "hello"
        async with kit(loopback=False) as parts:
            outcome = await parts.plugins.call(plugin_attempt("apprise", "hello", url=url))
        assert (outcome.state, outcome.error_type, outcome.retryable) == ("failed", "refused_by_guard", False)
        assert len(target.requests) == 1


async def test_apprise_asks_no_proxy_and_follows_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    async with Target(answer(200)) as proxy, Target(answer(302, b"", (("location", proxy.url),))) as target:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with kit() as parts:
            url = f"json://127.0.0.1:{target.port}/hook"
            outcome = await parts.plugins.call(plugin_attempt("apprise", "x", url=url))
    assert (outcome.state, outcome.status) == ("failed", 302)
    assert (len(proxy.requests), len(target.requests)) == (0, 1)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "syslog://",
        "mailto://u:p@h",
        "json://127.0.0.1/?template=/etc/passwd",
        "dbus://",
        "nothing",
    ],
)
async def test_apprise_takes_only_services_that_speak_http_and_read_no_file(url: str) -> None:
    async with kit() as parts:
        outcome = await parts.plugins.call(plugin_attempt("apprise", "x", url=url))
    assert (outcome.error_type, outcome.retryable) == ("bad_target", False)
    assert url not in outcome.error_detail


async def test_apprise_ends_with_the_attempt_whatever_the_service_does() -> None:
    async def never(line: Line, _: Received) -> bool:
        await line.until_dropped()
        return False

    async with Target(never) as target, kit() as parts:
        url = f"json://127.0.0.1:{target.port}/hook"
        outcome = await parts.plugins.call(plugin_attempt("apprise", "x", url=url, timeout_ms=300))
        assert (outcome.error_type, outcome.retryable) == ("timeout", True)
        await asyncio.wait_for(target.idle.wait(), 5)
