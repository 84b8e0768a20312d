"""E-mail by SMTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from squirrel.wire.target_types.kind import Secret, TargetType

Address = Annotated[
    str, Meta(pattern=r"^[^\s<>@,;:\\\"\x00-\x1f\x7f]+@[A-Za-z0-9.-]+$", max_length=254, description="name@example.com")
]


class EmailConfig(
    Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, rename={"sender": "from"}
):
    """An e-mail. The message's `subject`, `text` and `html` are used when it has them, else it is sent as text."""

    host: Annotated[str, Meta(description="the SMTP server", min_length=1, max_length=253)]
    sender: Address
    to: Annotated[list[Address], Meta(min_length=1, max_length=50)]
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="starttls on 587, tls on 465; none sends credentials and text in the open"),
    ] = "starttls"
    username: Annotated[str, Meta(max_length=255)] = ""
    password: Secret = ""
    subject: Annotated[str, Meta(description="default: the event", max_length=500, pattern=r"^[^\r\n\x00]*$")] = ""

    def __post_init__(self) -> None:
        if bool(self.username) != bool(self.password):
            raise ValueError("send username and password together, or neither")


def _dials(config: Any) -> list[tuple[str, str]]:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return [("host", f"http://{host}:{config.port}")]


EMAIL = TargetType(
    kind="email",
    title="E-mail (SMTP)",
    description="Sends an e-mail; the run's id is in the Message-ID, so repeats of one attempt can be told.",
    config=EmailConfig,
    send="squirrel.executor.targets.mail:send",
    example={
        "host": "smtp.example.com",
        "from": "squirrel@example.com",
        "to": ["ops@example.com"],
        "username": "squirrel",
        "password": {"secret": "smtp_password"},
    },
    dials=_dials,
    place=lambda config: f"smtp://{config.host}:{config.port}",
)
