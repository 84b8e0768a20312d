"""The payload table: forms of addresses and URLs that have led requests astray, and what becomes of each here."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from squirrel.model.addresses import (
    host_allowed,
    normalise_host,
    normalise_url,
    parse_host_patterns,
    parse_networks,
    refusal,
)
from squirrel.model.errors import Refused

LOOPBACK = parse_networks("127.0.0.0/8,::1/128")

DENIED_TEXT = """
0.0.0.0 0.1.2.3 10.0.0.0 10.9.9.9 10.255.255.255 100.64.0.0 100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.1.2.3
127.255.255.255 168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.0 172.16.0.1 172.31.255.255 192.0.0.1
192.0.0.170 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.0 192.168.1.1 192.168.255.255 192.175.48.1
198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 254.1.1.1 255.255.255.255
:: ::1 0:0:0:0:0:0:0:1 0000::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe
::ffff:0:127.0.0.1 ::127.0.0.1 ::7f00:1 ::8.8.8.8 ::2 64:ff9b::7f00:1 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::7f00:1
100::1 100:0:0:1::1 2001::1 2001:0:7f00:1:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1
2001:db8::1 2002:7f00:1::1 2002:a00:1:: 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff::1 5f00::1 fc00::1
fd00:ec2::254 fd20:ce::254 fdff::1 fe80::1 fe80::5efe:7f00:1 febf::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 ff05::1:3
2a00::5efe:7f00:1 2a00::200:5efe:7f00:1 2a00:1450::5efe:10.0.0.1 4000::1 6000::1 8000::1 a000::1 c000::1 e000::1 200::1
400::1 1000::1 fe80::1%lo fe80::1%1 fe80::1%25lo ::1%lo 2a00:1450::1%eth0
"""

ADMITTED_TEXT = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 168.63.129.15 168.63.129.17
169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0 192.88.98.1 192.88.100.1 192.167.255.255
192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2606:4700::1111 2a00:1450:4001::200e 2000::1 3ffd::1 2003::1
"""

NOT_ADDRESSES_TEXT = """
2130706433 0x7f000001 0x7f.0.0.1 0177.0.0.1 017700000001 127.1 127.0.1 0 127.000.000.001 1.2.3 1.2.3.4.5 256.1.1.1 -1
localhost example.com 127.0.0.1. 127.0.0.1/8 [::1] :1 ::g 1::2::3 ::ffff:127.1 ::ffff:0177.0.0.1
"""
DENIED, ADMITTED = DENIED_TEXT.split(), ADMITTED_TEXT.split()
NOT_ADDRESSES = [
    *NOT_ADDRESSES_TEXT.split(),
    *("", " ", "127.0.0.1 ", "127.0.0.1\n", "\uff11.1.1.1", "127\u3002.0.0.1", "127.0.0.1\0"),
]

REFUSED_URLS = [
    # numeric forms that resolvers read as addresses
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0x/",
    "http://127.000.000.001/",
    "http://127.0.0.1.5/",
    "http://127.0.0.256/",
    "http://example.1/",
    "http://1.2.3.0x4/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://127\u30020\uff0e0\uff611/",
    # control characters, blanks, invisible marks, backslashes
    "http://127.0.0.1\0.example.com/",
    "http://exa\tmple.com/",
    "http://exa\nmple.com/",
    "http://exa\r\nmple.com/",
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/a b",
    "http://example.com/\x7f",
    "http://example.com/\x85",
    "http://example.com/\xa0",
    "http://example.com/\u2028",
    "http://example.com/\u202e",
    "http://example.com/\ud800",
    "http://local\u00adhost/",
    "http://local\u200bhost/",
    "http://local\ufeffhost/",
    "http://good.example\\@bad.example/",
    "http:\\\\example.com/",
    "http://example.com\\path",
    "http://1.1.1.1 &@2.2.2.2# @3.3.3.3/",
    # userinfo and fragments
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://good.example@bad.example/",
    "http://good.example#@bad.example/",
    "http://good.example%40bad.example@x.example/",
    "http://@example.com/",
    "https://example.com/#part",
    # ports
    "http://example.com:/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:99999/",
    "http://example.com:+80/",
    "http://example.com:-1/",
    "http://example.com:00080/",
    "http://example.com:8 0/",
    "http://example.com:80:80/",
    "http://example.com:http/",
    "http://example.com:\u0661/",
    # hosts
    "http://",
    "http:///path",
    "http://?q",
    "http://./",
    "http://../",
    "http://a..b/",
    "http://.example.com/",
    "http://example.com../",
    "http://%6c%6fcalhost/",
    "http://example%2ecom/",
    "http://exa$mple.com/",
    "http://exa*mple.com/",
    "http://exa'mple.com/",
    "http://-example.com/",
    "http://example-.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + ".".join(["a" * 60] * 5) + "/",
    "http://xn--/",
    "http://xn--localhost-/",
    "http://xn--a-\u00e4/",
    "http://stra\u00dfe.example/",
    "http://a\u200db.example/",
    # IPv6
    "http://[::1/",
    "http://::1/",
    "http://[]/",
    "http://[::1]x/",
    "http://[fe80::1%lo]/",
    "http://[fe80::1%25lo]/",
    "http://[v1.x]/",
    "http://[::ffff:127.1]/",
    "http://[1.2.3.4]/",
    "http://[::1]:/",
    "http://[::1]:0/",
    # schemes and shapes
    "",
    "example.com/hook",
    "//example.com/hook",
    "/hook",
    "http:/example.com",
    "http:example.com",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "dict://example.com/",
    "jar:http://example.com!/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "ws://example.com/",
    "http+unix://example.com/",
    "url:http://example.com/",
    "https://example.com/" + "a" * 8200,
]

NORMALISED = [
    ("http://example.com", "http://example.com/", None),
    ("HTTP://EXAMPLE.COM/Path?Q=1", "http://example.com/Path?Q=1", None),
    ("https://example.com.:443/", "https://example.com/", None),
    ("http://example.com:80", "http://example.com/", None),
    ("https://example.com:80/", "https://example.com:80/", None),
    ("http://m\u00fcnchen.de/", "http://xn--mnchen-3ya.de/", None),
    ("http://M\u00dcNCHEN.DE/", "http://xn--mnchen-3ya.de/", None),
    ("http://XN--MNCHEN-3YA.de/", "http://xn--mnchen-3ya.de/", None),
    ("http://\u4f8b\u3048\u3002\u30c6\u30b9\u30c8/", "http://xn--r8jz45g.xn--zckzah/", None),
    ("http://\uff45xample.com/", "http://example.com/", None),
    ("http://my_service:8080/x", "http://my_service:8080/x", None),
    ("http://localhost./", "http://localhost/", None),
    ("http://metadata.google.internal/", "http://metadata.google.internal/", None),
    ("http://127.0.0.1.nip.io/", "http://127.0.0.1.nip.io/", None),
    ("http://127.0.0.1:9000/a", "http://127.0.0.1:9000/a", "127.0.0.1"),
    ("http://127.0.0.1./", "http://127.0.0.1/", "127.0.0.1"),
    ("http://[0000::1]:9000/", "http://[::1]:9000/", "::1"),
    ("http://[::FFFF:127.0.0.1]/", "http://[::ffff:7f00:1]/", "::ffff:127.0.0.1"),
    ("http://example.com/\u00e4?\u00fc={x}", "http://example.com/%C3%A4?%C3%BC=%7Bx%7D", None),
    ("http://example.com/%2e%2e/a%20b?x=%0d%0a", "http://example.com/%2e%2e/a%20b?x=%0d%0a", None),
    ("http://example.com?x=http://a@b", "http://example.com/?x=http://a@b", None),
    ("http://example.com/@bad", "http://example.com/@bad", None),
]


def test_the_table_is_as_long_as_promised() -> None:
    assert len(DENIED) + len(NOT_ADDRESSES) + len(REFUSED_URLS) + len(ADMITTED) + len(NORMALISED) >= 250


@pytest.mark.parametrize("address", DENIED)
def test_denied(address: str) -> None:
    assert refusal(address)


@pytest.mark.parametrize("address", DENIED)
def test_reason_never_holds_the_address(address: str) -> None:
    assert address not in (refusal(address) or "")


@pytest.mark.parametrize("address", [each for each in DENIED if "%" not in each])
def test_denied_when_packed_and_when_mapped(address: str) -> None:
    parsed = ipaddress.ip_address(address)
    assert refusal(parsed.packed) == refusal(address)
    if parsed.version == 4:
        assert refusal(f"::ffff:{address}") == refusal(address)
        for embedded in (f"::{address}", f"64:ff9b::{address}", f"2a00::5efe:{address}"):
            assert refusal(embedded)


@pytest.mark.parametrize("address", NOT_ADDRESSES)
def test_what_is_no_canonical_address_is_refused(address: str) -> None:
    assert refusal(address) == "not an IP address"


@pytest.mark.parametrize("address", ADMITTED)
def test_admitted(address: str) -> None:
    assert refusal(address) is None
    assert refusal(ipaddress.ip_address(address).packed) is None


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_allow_list_makes_exceptions(address: str) -> None:
    assert refusal(address, LOOPBACK) is None


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "::2", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:0:7f00:1"]
)
def test_allow_list_is_no_wider_than_it_says(address: str) -> None:
    assert refusal(address, LOOPBACK)


def test_an_allowed_tunnel_does_not_open_what_is_inside_it() -> None:
    nat64 = parse_networks("64:ff9b::/96,2002::/16,2001::/32,::/96")
    assert refusal("64:ff9b::8.8.8.8", nat64) is None
    assert refusal("2002:808:808::1", nat64) is None
    assert refusal("64:ff9b::127.0.0.1", nat64) == "loopback"
    assert refusal("64:ff9b::169.254.169.254", nat64)
    assert refusal("2002:a9fe:a9fe::1", nat64)
    assert refusal("2001:0:808:808:0:0:80ff:fffe", nat64) == "loopback"  # Teredo client 127.0.0.1, obfuscated
    assert refusal("::10.0.0.1", nat64) == "private network"


@given(st.ip_addresses(v=4, network="127.0.0.0/8") | st.ip_addresses(v=4, network="10.0.0.0/8"))
def test_no_form_of_an_inner_address_is_admitted(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    forms = [number, 0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80 | 1]
    assert all(refusal(each.to_bytes(16, "big")) for each in forms)
    assert refusal(inner.packed)


@given(st.ip_addresses(v=6))
def test_what_is_admitted_is_global_unicast(address: ipaddress.IPv6Address) -> None:
    if refusal(address.packed) is None and address.ipv4_mapped is None:
        assert address in ipaddress.IPv6Network("2000::/3")
        assert not address.is_private


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_refused_url_names_field_and_fix(url: str) -> None:
    with pytest.raises(Refused) as caught:
        normalise_url(url, "target.url")
    problem = caught.value.problems[0]
    assert problem.field == "target.url"
    assert any(word in problem.reason for word in ("write", "leave", "percent-encode", "must", "send", "plain", "host"))


@pytest.mark.parametrize("value", [None, 1, b"http://example.com", ["http://example.com"]])
def test_url_must_be_text(value: object) -> None:
    with pytest.raises(Refused):
        normalise_url(value)


@pytest.mark.parametrize(("url", "text", "address"), NORMALISED)
def test_normalised_url(url: str, text: str, address: str | None) -> None:
    checked = normalise_url(url)
    assert checked.text == text
    assert checked.address == (None if address is None else ipaddress.ip_address(address).packed)
    assert normalise_url(checked.text) == checked
    assert checked.request_target.isascii()


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_refused_or_becomes_one_form(host: str, path: str) -> None:
    try:
        checked = normalise_url(f"http://{host}/{path}")
    except Refused:
        return
    assert checked.text.isascii()
    assert not any(each in checked.text for each in "\r\n\0 \\#")
    assert "@" not in checked.host_header
    assert normalise_url(checked.text) == checked


def test_networks_are_parsed_or_named() -> None:
    assert parse_networks("") == ()
    assert parse_networks(" 10.0.0.0/8 , ::1 ") == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    for bad in ("10.0.0.1/8", "10.0.0.0/33", "example.com", "10.0.0.0/8;", "fe80::1%lo", "::ffff:10.0.0.0/104", "10/8"):
        with pytest.raises(Refused) as caught:
            parse_networks(bad, "SQUIRREL_TARGETS_ALLOW_CIDRS")
        assert caught.value.problems[0].field == "SQUIRREL_TARGETS_ALLOW_CIDRS"
        assert "write" in caught.value.problems[0].reason


def test_host_patterns() -> None:
    patterns = parse_host_patterns("Hooks.Example.com., *.M\u00fcnchen.de,127.0.0.1")
    assert patterns == ("hooks.example.com", "*.xn--mnchen-3ya.de", "127.0.0.1")
    for host, allowed in [
        ("hooks.example.com", True),
        ("example.com", False),
        ("x.hooks.example.com", False),
        ("a.xn--mnchen-3ya.de", True),
        ("a.b.xn--mnchen-3ya.de", True),
        ("xn--mnchen-3ya.de", False),
        ("evilxn--mnchen-3ya.de", False),
        ("127.0.0.1", True),
    ]:
        assert host_allowed(host, patterns) is allowed, host
    assert host_allowed("anything", ())
    assert host_allowed("anything", parse_host_patterns("*"))
    for bad in ("a.*.com", "*example.com", "*.*.com", "exa mple", "*.", "0x7f.1"):
        with pytest.raises(Refused):
            parse_host_patterns(bad)


def test_host_is_normalised_once() -> None:
    assert normalise_host("EXAMPLE.com.") == ("example.com", None)
    assert normalise_host("[::1]") == ("::1", b"\0" * 15 + b"\1")
