"""What a URL that a client names may lead to: hostile ones, hostile resolvers, hostile servers."""

import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared import outbound
from shared.outbound import Rules, Target, TargetRefused, TargetUnreachable, is_public, networks, parsed, resolved, send
from tests.receiving import fine, serving

LOOPBACK = Rules(http=True, private=networks("127.0.0.0/8"))

NO_URLS = [
    "",
    "hooks.example",
    "//hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "gopher://hooks.example/",
    "javascript:alert(1)",
    "https://",
    "https:///path",
    "https://user@hooks.example/",
    "https://user:password@hooks.example/",
    "https://hooks.example@127.0.0.1/",
    "https://127.0.0.1\\@hooks.example/",
    "https://hooks.example /",
    "https://hooks.example/\r\nHost: inside",
    "https://hooks.example/\tx",
    "https://hooks.example/#fragment",
    "https://hooks.example:0/",
    "https://hooks.example:99999/",
    "https://hooks.example:x/",
    "https://höoks.example/",
    "https://ⓛocalhost/",
    "https://-.example/",
    "https://a..example/",
    "https://[hooks.example]/",
    "https://[::1/",
    "https://%31%32%37.0.0.1/",
    "https://hooks.example/" + "x" * 2048,
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",  # Alibaba's metadata
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",  # Azure's
    "169.254.169.254",  # the others'
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",  # Oracle's
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",  # Amazon's metadata
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2606:4700::1111%eth0",
]


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_plain_url_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        parsed(url, LOOPBACK)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address

    assert not is_public(ip_address(address))
    with pytest.raises(TargetRefused):
        parsed(f"https://{host}/", Rules())


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00::1"])
def test_an_address_that_is_public_is_taken(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "localhost"])
def test_other_spellings_of_loopback_are_refused(host: str) -> None:
    with pytest.raises(TargetRefused):
        resolved(parsed(f"https://{host}/", Rules()), Rules())


def test_plain_http_is_for_whom_a_setting_allows_it() -> None:
    with pytest.raises(TargetRefused, match="https://"):
        parsed("http://hooks.example/", Rules())

    assert parsed("http://hooks.example/", Rules(http=True)) == Target(False, "hooks.example", 80, "/")


@pytest.mark.parametrize(
    ("url", "target", "authority"),
    [
        ("https://Hooks.Example", Target(True, "hooks.example", 443, "/"), "hooks.example"),
        (
            "https://hooks.example:8443/a%20b?c=d",
            Target(True, "hooks.example", 8443, "/a%20b?c=d"),
            "hooks.example:8443",
        ),
        ("https://[2606:4700::1111]:444/", Target(True, "2606:4700::1111", 444, "/"), "[2606:4700::1111]:444"),
        ("https://xn--hks-sna.example/", Target(True, "xn--hks-sna.example", 443, "/"), "xn--hks-sna.example"),
    ],
)
def test_a_url_is_taken_apart(url: str, target: Target, authority: str) -> None:
    assert parsed(url, Rules()) == target
    assert target.authority == authority


def answers(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    return lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]


def test_of_a_name_only_public_addresses_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    target = parsed("https://hooks.example/", Rules())

    monkeypatch.setattr(socket, "getaddrinfo", answers("10.0.0.1", "8.8.8.8"))
    assert resolved(target, Rules()) == [ip_address("8.8.8.8")]
    monkeypatch.setattr(socket, "getaddrinfo", answers("10.0.0.1", "169.254.169.254"))
    with pytest.raises(TargetRefused):
        resolved(target, Rules())


def test_a_name_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(TargetUnreachable, match="could not be resolved"):
        resolved(parsed("https://nowhere.invalid/", Rules()), Rules())


def test_a_request_arrives_and_its_answer_comes_back() -> None:
    with serving(fine) as server:
        url = f"http://127.0.0.1:{server.server_port}/hook?x=1"
        answer = send("POST", url, rules=LOOPBACK, body=b"{}", headers={"X-One": "1"})

    ((method, path, headers, body),) = server.requests
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"ok", "2")
    assert (method, path, body, headers["X-One"]) == ("POST", "/hook?x=1", b"{}", "1")
    assert headers["Host"] == f"127.0.0.1:{server.server_port}"


def test_without_the_setting_nothing_arrives_at_loopback() -> None:
    with serving(fine) as server, pytest.raises(TargetRefused):
        send("POST", f"http://localhost:{server.server_port}/", rules=Rules(http=True))

    assert server.requests == []


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/inside")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(elsewhere) as server:
        answer = send("POST", f"http://127.0.0.1:{server.server_port}/", rules=LOOPBACK)

    assert (answer.status, answer.headers["location"]) == (302, "/inside")
    assert len(server.requests) == 1


def test_a_name_that_is_rebound_meanwhile_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver says something harmless when it is checked, and loopback from then on."""
    replies = iter(["8.8.8.8"])
    connected: list[str] = []

    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        return answers(next(replies, "127.0.0.1"))()

    def connect(_: socket.socket, address: tuple[str, int]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(TargetUnreachable, match="refused the connection"):
        send("POST", "https://rebinding.example/", rules=Rules())

    assert connected == ["8.8.8.8"]


def test_an_answer_is_cut_off_where_it_gets_too_long() -> None:
    def long(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    with serving(long) as server:
        answer = send("GET", f"http://127.0.0.1:{server.server_port}/", rules=LOOPBACK, most_bytes=1000)

    assert answer.body == b"x" * 1000


def silent(_: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(40):
        handler.wfile.write(b"X-More: and more\r\n")
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [silent, dripping])
def test_who_is_slow_is_left_in_time(answer: Callable[[BaseHTTPRequestHandler], None]) -> None:
    with serving(answer) as server:
        started = time.monotonic()
        with pytest.raises(TargetUnreachable, match="in time"):
            send("GET", f"http://127.0.0.1:{server.server_port}/", rules=LOOPBACK, seconds=0.3)

        assert time.monotonic() - started < 1.5


def test_what_is_no_http_is_no_answer() -> None:
    def ssh(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    with serving(ssh) as server, pytest.raises(TargetUnreachable, match="no HTTP"):
        send("GET", f"http://127.0.0.1:{server.server_port}/", rules=LOOPBACK)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trusted certificate of hooks.test, which is this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


def test_tls_is_with_the_name_though_the_connection_is_to_the_address(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(fine, certificate) as server:
        monkeypatch.setattr(outbound.socket, "getaddrinfo", answers("127.0.0.1"))
        answer = send("POST", f"https://hooks.test:{server.server_port}/", rules=LOOPBACK, body=b"{}")
        with pytest.raises(TargetUnreachable, match="Hostname mismatch"):
            send("POST", f"https://other.test:{server.server_port}/", rules=LOOPBACK)

    assert answer.status == 200
    assert server.requests[0][2]["Host"] == f"hooks.test:{server.server_port}"
