"""AWS signatures: the published vectors, and whatever request against botocore's own signer."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore import auth as botocore_auth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Theirs
from hypothesis import given
from hypothesis import strategies as st

from squirrel.executor.targets.sigv4 import Credentials, Signing, signed_headers

EXAMPLE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
VECTORS_MS = 1_440_938_160_000  # 20150830T123600Z
MOMENT = dt.datetime(2026, 11, 21, 14, 0, 5, tzinfo=dt.UTC)
NOW_MS = int(MOMENT.timestamp() * 1000)


@pytest.mark.parametrize(
    ("method", "url", "headers", "signature"),
    [
        (
            "GET",
            "https://example.amazonaws.com/",
            {},
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "POST",
            "https://example.amazonaws.com/",
            {},
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "GET",
            "https://example.amazonaws.com/?Param2=value2&Param1=value1",
            {},
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
    ],
)
def test_published_vectors(method: str, url: str, headers: dict[str, str], signature: str) -> None:
    """The AWS Signature Version 4 test suite: get-vanilla, post-vanilla, get-vanilla-query-order-key-case."""
    made = signed_headers(method, url, headers, b"", EXAMPLE, Signing("us-east-1", "service", VECTORS_MS))
    assert made["authorization"].endswith(f"Signature={signature}")


_safe = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#%&+\\^`{|}<>\"'[]"),
    min_size=1,
    max_size=30,
)


@given(
    path=st.lists(_safe.map(lambda s: s.replace("/", "").replace(".", "") or "x"), max_size=4).map("/".join),
    query=st.dictionaries(
        st.text(st.sampled_from("abzAZ09-_.~"), min_size=1), st.text(st.sampled_from("abz09-_.~")), max_size=4
    ),
    value=st.text(st.sampled_from("ab  \t09;,="), min_size=1, max_size=20).filter(lambda s: s.strip() != ""),
    body=st.binary(max_size=200),
    token=st.sampled_from(["", "session-token"]),
)
def test_as_botocore_signs(path: str, query: dict[str, str], value: str, body: bytes, token: str) -> None:
    url = "https://sqs.eu-central-1.amazonaws.com:8443/" + path
    if query:
        url += "?" + "&".join(f"{name}={text}" for name, text in query.items())
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": value}
    ours = signed_headers(
        "POST", url, headers, body, Credentials("AKIA4711", "s3cret+/", token), Signing("eu-central-1", "sqs", NOW_MS)
    )
    assert ours["authorization"] == _theirs(url, headers, body, token)


def _theirs(url: str, headers: dict[str, str], body: bytes, token: str) -> str:
    request: Any = AWSRequest("POST", url, headers=dict(headers), data=body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore_auth, "get_current_datetime", lambda *_: MOMENT.replace(tzinfo=None))
        SigV4Auth(Theirs("AKIA4711", "s3cret+/", token or None), "sqs", "eu-central-1").add_auth(request)
    return str(request.headers["Authorization"])
