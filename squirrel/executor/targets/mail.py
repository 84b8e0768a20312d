"""E-mail over SMTP, our own small sender: a guarded stream, bounded lines, STARTTLS or TLS before any credential.

Source: RFC 5321, RFC 3207 (STARTTLS; what was said before it is forgotten), RFC 4954 (AUTH PLAIN, LOGIN).
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Final

from squirrel.wire.target_types import Attempt, CallFailed, Network, Reply, text_of
from squirrel.wire.target_types.mail import EmailConfig

LINES_MAX: Final = 128  # of one answer
EHLO_NAME: Final = "squirrel.invalid"
SUBJECT_CHARS_MAX: Final = 500


async def send(config: EmailConfig, attempt: Attempt, network: Network) -> Reply:
    """One e-mail to all of `to`: refused by the server for one of them, it is sent to none."""
    session = await _begin(config, network)
    if config.username:
        await _login(session, config)
    await session.ask(f"MAIL FROM:<{config.sender}>", 250)
    for address in config.to:
        await session.ask(f"RCPT TO:<{address}>", 250, 251)
    await session.ask("DATA", 354)
    code, text = await session.data(letter_of(config, attempt, network.now_ms))
    session.write("QUIT\r\n")
    return Reply(None, {}, f"{code} {text}".encode())


def letter_of(config: EmailConfig, attempt: Attempt, now_ms: int) -> bytes:
    """The letter as bytes with CRLF."""
    text, message = text_of(attempt)
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = config.sender, ", ".join(config.to)
    subject = message.get("subject") if isinstance(message.get("subject"), str) else config.subject
    letter["Subject"] = " ".join(str(subject or config.subject or attempt.event).split())[:SUBJECT_CHARS_MAX]
    letter["Date"] = formatdate(now_ms / 1000)
    letter["Message-ID"] = f"<{attempt.run_id}.{attempt.number}@{EHLO_NAME}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter["X-Squirrel-Run"] = attempt.run_id
    letter.set_content(text)
    html = message.get("html")
    if isinstance(html, str):
        letter.add_alternative(html, subtype="html")
    return letter.as_bytes()


class _Session:
    """A conversation: one line out, one answer of bounded lines in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def write(self, text: str) -> None:
        self._writer.write(text.encode("utf-8"))

    async def answer(self) -> tuple[int, list[str]]:
        lines: list[str] = []
        while len(lines) < LINES_MAX:
            try:
                raw = await self._reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                raise CallFailed("disconnected", "the mail server closed the connection") from None
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            if len(line) < 3 or not line[:3].isascii() or not line[:3].isdigit():
                raise CallFailed("protocol", "the server does not speak SMTP")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines
        raise CallFailed("protocol", f"the mail server's answer has more than {LINES_MAX} lines")

    async def ask(self, line: str, *wanted: int, what: str = "") -> list[str]:
        self.write(line + "\r\n")
        await self._writer.drain()
        return await self.expect(*wanted, what=what or line.partition(":")[0].partition(" ")[0])

    async def expect(self, *wanted: int, what: str) -> list[str]:
        code, lines = await self.answer()
        if code not in wanted:
            said = " ".join(lines)[:200]
            # No status: a 5xx of SMTP is about this letter and not, as HTTP's, about the server.
            raise CallFailed("status", f"the mail server answered {code} to {what}: {said}", retryable=code < 500)
        return lines

    async def data(self, letter: bytes) -> tuple[int, str]:
        stuffed = b"\r\n".join(b"." + line if line.startswith(b".") else line for line in letter.split(b"\r\n"))
        self._writer.write(stuffed.removesuffix(b"\r\n") + b"\r\n.\r\n")
        await self._writer.drain()
        lines = await self.expect(250, what="the letter")
        return 250, " ".join(lines)

    async def secure(self, network: Network, host: str) -> None:
        """TLS on this stream; whatever was sent before it is not read after it."""
        if len(getattr(self._reader, "_buffer", b"")):
            raise CallFailed("protocol", "the mail server spoke before TLS was up", retryable=False)
        try:
            await self._writer.start_tls(network.tls, server_hostname=host)
        except (OSError, ValueError):
            raise CallFailed("tls", "the TLS handshake with the mail server failed") from None


async def _begin(config: EmailConfig, network: Network) -> _Session:
    reader, writer = await network.connect(config.host, config.port, tls=config.security == "tls")
    session = _Session(reader, writer)
    await session.expect(220, what="the connection")
    offered = await session.ask(f"EHLO {EHLO_NAME}", 250)
    if config.security == "starttls":
        if not any(each.upper() == "STARTTLS" for each in offered):
            raise CallFailed(
                "tls", "the mail server offers no STARTTLS; use another port, or security tls", retryable=False
            )
        await session.ask("STARTTLS", 220)
        await session.secure(network, config.host)
        await session.ask(f"EHLO {EHLO_NAME}", 250)
    return session


async def _login(session: _Session, config: EmailConfig) -> None:
    plain = b64encode(f"\0{config.username}\0{config.password}".encode()).decode()
    await session.ask(f"AUTH PLAIN {plain}", 235, what="the login")
