"""Certificates are checked against the name, and a failure says what is wrong with them."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from tests.http.receivers import OK, post, receive, sending


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


NAMES = {"hooks.example": ["127.0.0.1"], "hooks.example.": ["127.0.0.1"]}


async def test_a_good_certificate_is_checked_by_name_while_the_address_is_judged() -> None:
    """SNI and verification use the URL's name, though DNS returned a loopback address."""
    authority = trustme.CA()
    asked: list[str | None] = []
    server = _server(authority.issue_cert("hooks.example"))

    def note_name(_socket: ssl.SSLObject | ssl.SSLSocket, name: str | None, _context: ssl.SSLContext) -> None:
        asked.append(name)

    server.sni_callback = note_name
    trust = _trusting(authority)
    async with receive(OK, tls=server) as receiver, sending(names=NAMES, trust=trust) as sender:
        answer = await post(sender, receiver.url(scheme="https", host="hooks.example"))
        again = await post(sender, receiver.url(scheme="https", host="HOOKS.example."))
    assert (answer.status, again.status) == (200, 200)
    assert set(asked) == {"hooks.example"}


async def _failure(
    server: ssl.SSLContext, trust: ssl.SSLContext, host: str = "hooks.example"
) -> tuple[str | None, str]:
    async with receive(OK, tls=server) as receiver, sending(names=NAMES, trust=trust) as sender:
        answer = await post(sender, receiver.url(scheme="https", host=host))
    assert receiver.requests == []
    return answer.failure, answer.reason


async def test_a_self_signed_certificate_is_named() -> None:
    """A CA's own certificate used as a server's counts as self-signed."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority.cert_pem.tempfile() as certificate, authority.private_key_pem.tempfile() as key:
        server.load_cert_chain(certificate, key)
    failure, reason = await _failure(server, ssl.create_default_context())
    assert (failure, "self-signed" in reason) == ("tls_self_signed", True)


async def test_an_unknown_authority_is_named() -> None:
    """A certificate that is signed by an authority this machine does not know."""
    failure, _ = await _failure(
        _server(trustme.CA().issue_cert("hooks.example")), ssl.create_default_context()
    )
    assert failure == "tls_untrusted"


async def test_an_expired_certificate_is_named() -> None:
    """The most common failure of a receiver that once worked."""
    authority = trustme.CA()
    expired = authority.issue_cert("hooks.example", not_after=datetime.now(UTC) - timedelta(days=1))
    failure, reason = await _failure(_server(expired), _trusting(authority))
    assert (failure, "expired" in reason) == ("tls_expired", True)


@pytest.mark.parametrize("host", ["hooks.example", "127.0.0.1"])
async def test_a_certificate_for_another_host_is_named(host: str) -> None:
    """The mismatch is reported for a name and for an address in the URL."""
    authority = trustme.CA()
    failure, _ = await _failure(_server(authority.issue_cert("other.example")), _trusting(authority), host)
    assert failure == "tls_wrong_host"


async def test_a_port_that_speaks_plain_http_is_a_tls_failure() -> None:
    """With https:// on an http port the handshake is answered in clear text."""

    async def answer_in_clear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer_in_clear, "127.0.0.1", 0)
    async with server, sending(names=NAMES) as sender:
        port = server.sockets[0].getsockname()[1]
        answer = await post(sender, f"https://hooks.example:{port}/")
    assert answer.failure == "tls"
