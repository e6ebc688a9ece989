"""What surrounds the handlers: errors in one shape, limits of the socket, pages without a key."""

import asyncio
import gzip
import io
import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from openapi_spec_validator import validate
from redis.exceptions import ConnectionError as StoreLostError

from bridge.api.app import build_app
from bridge.api.middleware import shape_errors
from bridge.container import open_services
from tests.api.serving import BEARER, KEY, Client, make_settings, running, serving


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "NOT_FOUND"),
        ("GET", "/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/v1/callbacks/x/y/z", 404, "NOT_FOUND"),
        ("PUT", "/v1/callbacks", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/healthz", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "/v1/callbacks/%00", 404, "NOT_FOUND"),
        ("GET", "/v1/callbacks/%ED%A0%80", 404, "NOT_FOUND"),
        ("GET", "/v1/events/evt_" + "a" * 4000, 404, "NOT_FOUND"),
    ],
)
async def test_aiohttps_own_errors_have_our_shape(
    api: Client, method: str, path: str, status: int, code: str
) -> None:
    """A client parses one kind of error."""
    got, body, headers = await api.ask(method, path)
    assert (got, body["error"]["code"]) == (status, code)
    assert set(body["error"]) == {"code", "message", "details"}
    assert headers["Content-Type"].startswith("application/json")
    assert ("Allow" in headers) == (status == 405)


@pytest.mark.parametrize("size", [256 * 1024 + 1, 10 * 1024 * 1024])
async def test_a_body_over_the_limit_is_a_413(api: Client, size: int) -> None:
    """Also one that is small only while it is compressed."""
    raw = b'{"job_id": "1", "x": "' + b"a" * size + b'"}'
    for body, headers in ((raw, {}), (gzip.compress(raw), {"Content-Encoding": "gzip"})):
        sent = {**BEARER, **headers}
        status, answer = await api.call("POST", "/v1/callbacks", data=io.BytesIO(body), headers=sent)
        assert (status, answer["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_lies_about_its_encoding_is_a_400(api: Client) -> None:
    """What says gzip and is none."""
    headers = {**BEARER, "Content-Encoding": "gzip"}
    status, body = await api.call("POST", "/v1/callbacks", data=b"not gzip at all", headers=headers)
    assert (status, body["error"]["code"]) == (400, "VALIDATION_ERROR")


async def talk(url: str, sent: bytes) -> bytes:
    """Send raw bytes, read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    try:
        writer.write(sent)
        with suppress(ConnectionError):
            await writer.drain()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


async def exchange(url: str, head: str) -> tuple[str, str, dict[str, Any]]:
    """Send a request's head; return the status line, the other lines of the answer's head, and the JSON."""
    answer = (await talk(url, head.encode())).decode()
    first, _, rest = answer.partition("\r\n")
    headers, _, body = rest.partition("\r\n\r\n")
    return first, headers, json.loads(body)


@pytest.mark.parametrize(
    "head",
    [
        f"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-Long: {'a' * 20_000}\r\n\r\n",
        f"GET /v1/me HTTP/1.1\r\nHost: x\r\nX-{'a' * 20_000}: y\r\n\r\n",
        f"GET /v1/me?{'a' * 20_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /v1/me HTTP/1.1\r\nHost: x\r\n{''.join(f'X-{n}: y' + chr(13) + chr(10) for n in range(200))}\r\n",
    ],
)
async def test_a_head_over_the_limits_is_a_431_that_names_them(api: Client, head: str) -> None:
    """Whoever reads it knows what to send less of."""
    first, headers, body = await exchange(api.url, head)
    assert first.split()[1] == "431"
    assert body["error"]["code"] == "PAYLOAD_TOO_LARGE"
    assert "16,384 bytes" in body["error"]["message"]
    assert "100 headers" in body["error"]["message"]
    assert "server:" not in headers.lower()


@pytest.mark.parametrize(
    "head",
    [
        "no HTTP at all\r\n\r\n",
        "GET /v1/me HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n",
        "GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n",
        f"GET /{'a/' * 200} HTTP/1.1\r\nConnection: close\r\n\r\n",
    ],
)
async def test_no_answer_names_the_servers_software(api: Client, head: str) -> None:
    """Nor its version, whatever was asked."""
    _, headers, _ = await exchange(api.url, head)
    assert "server:" not in headers.lower()
    assert "aiohttp" not in headers


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n",
        b"POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_what_is_no_request_gets_a_short_answer(api: Client, sent: bytes) -> None:
    """A 4xx in JSON, then the connection closes."""
    head, _, body = (await talk(api.url, sent)).partition(b"\r\n\r\n")
    assert head.split()[1].startswith(b"4"), head
    assert json.loads(body)["error"]["code"] in ("VALIDATION_ERROR", "PAYLOAD_TOO_LARGE")


async def test_a_client_that_never_finishes_its_first_request_is_dropped(store_socket: Path) -> None:
    """A slow head costs a socket for a bounded time; one that was in time is served on."""
    async with (
        open_services(make_settings(store_socket)) as services,
        running(build_app(services), head_timeout_s=0.2) as url,
    ):
        assert await talk(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""
        assert b"200 OK" in await talk(url, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


async def test_a_lost_store_is_a_503(store_socket: Path) -> None:
    """With Retry-After, and without its address."""

    async def lose(_: web.Request) -> web.Response:
        raise StoreLostError("Error 111 connecting to 10.1.2.3:6379")

    async with open_services(make_settings(store_socket)) as services:
        app = build_app(services)
        app.router.add_get("/lost", lose)
        app.router.add_get("/broken", _break)
        async with running(app) as url, Client.session() as http:
            async with http.get(url + "/lost") as answer:
                body = await answer.json()
                assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
                assert body["error"]["code"] == "SERVICE_UNAVAILABLE"
                assert "10.1.2.3" not in str(body)
            async with http.get(url + "/broken") as answer:
                assert answer.status == 500


async def _break(_: web.Request) -> web.Response:
    raise RuntimeError("hunter2")


async def test_an_unforeseen_error_is_named_for_the_log_only(
    store_socket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a request id, and nothing of what went wrong."""
    caplog.set_level(logging.ERROR)
    async with open_services(make_settings(store_socket)) as services:
        app = build_app(services)
        app.router.add_get("/broken", _break)
        async with running(app) as url, Client.session() as http, http.get(url + "/broken") as answer:
            body = await answer.json()
    assert (answer.status, body["error"]["code"]) == (500, "INTERNAL_ERROR")
    assert body["error"]["details"]["request_id"].startswith("req_")
    assert "hunter2" not in str(body)
    assert shape_errors in app.middlewares


async def test_a_process_whose_heartbeats_are_not_written_is_not_ready(api: Client) -> None:
    """The store answers, and takes no writes; so nothing is registered, whatever reads say."""
    services = api.services
    for age_ms, ready in ((15_000, 503), (5_000, 200)):
        await services.store.api_heartbeats.beat(services.process, services.clock_ms() - age_ms)
        status, answer = await api.call("GET", "/readyz", headers={})
        assert status == ready, answer
    await services.store.api_heartbeats.leave(services.process)


async def test_the_open_pages_need_no_key(api: Client) -> None:
    """Health, metrics, the document and its page; the page loads nothing from elsewhere."""
    assert await api.call("GET", "/healthz", headers={}) == (200, {"status": "ok"})
    status, ready = await api.call("GET", "/readyz", headers={})
    assert (status, ready["status"], ready["workers"]) == (200, "ok", 0)
    await api.register(job_id="secret-id", callback_url="https://hooks.example.test/x?token=hunter2")
    async with api.http.get(api.url + "/metrics") as answer:
        text = await answer.text()
    assert 'reelbridge_registrations_total{kind="sync_job"} 1.0' in text
    assert 'path="/v1/callbacks"' in text
    assert not {"hunter2", "secret-id", KEY} & set(text.replace('"', " ").split())
    for path, kind in (
        ("/docs", "text/html"),
        ("/docs/start.js", "text/javascript"),
        ("/docs/swagger-ui.js", "text/javascript"),
        ("/docs/swagger-ui.css", "text/css"),
    ):
        async with api.http.get(api.url + path) as answer:
            page = await answer.text()
            assert (answer.status, answer.content_type) == (200, kind)
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            if "swagger-ui." not in path:  # what the viewer's own files load, its test in a browser shows
                assert "http://" not in page
                assert "https://" not in page


async def test_the_document_is_valid_and_complete(api: Client) -> None:
    """OpenAPI 3.1 by its published validator; webhooks for every type, and this server's address."""
    status, document = await api.call("GET", "/openapi.json", headers={})
    assert status == 200
    validate(document)
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": api.url}]
    assert "sync_job.completed" in document["webhooks"]
    assert {"/v1/callbacks", "/v1/events/{id}/resend", "/v1/accounts/{id}/credential"} <= document[
        "paths"
    ].keys()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert "default" not in operation["responses"], (path, method)
            if path.startswith("/v1"):
                assert "401" in operation["responses"]


async def test_the_older_document_is_valid_and_leads_here(store_socket: Path) -> None:
    """OpenAPI 2.0 by its published validator, under the path of a public URL too."""
    for chosen, (scheme, path) in (
        ({}, ("http", "/")),
        ({"public_url": "https://public.example.test/b"}, ("https", "/b")),
    ):
        async with serving(make_settings(store_socket, **chosen)) as api:
            status, document = await api.call("GET", "/openapi-2.0.json", headers={})
            assert (status, document["swagger"]) == (200, "2.0")
            validate(document)
            assert (document["schemes"], document["basePath"]) == ([scheme], path)
            assert document["host"] == ("public.example.test" if chosen else urlsplit(api.url).netloc)


async def test_power_automate_finds_the_url_that_wakes_its_flow(api: Client) -> None:
    """The field that it fills, what arrives there, and the operations that register and cancel."""
    _, document = await api.call("GET", "/openapi-2.0.json", headers={})
    path, definitions = document["paths"]["/v1/callbacks"], document["definitions"]
    assert path["x-ms-notification-content"]["schema"] == {"$ref": "#/definitions/FlatEvent"}
    assert path["post"]["parameters"][-1]["schema"] == {"$ref": "#/definitions/CallbackBody"}
    body = definitions["CallbackBody"]
    assert body["required"] == ["callback_url"]
    assert body["properties"]["callback_url"]["x-ms-notification-url"] is True
    assert body["properties"]["payload"]["default"] == "flat"
    assert {each["type"] for each in definitions["FlatEvent"]["properties"].values()} == {
        *("string", "integer", "boolean")
    }
    assert "delete" in document["paths"]["/v1/callbacks/{id}"]


@pytest.mark.parametrize(
    "path", ["/openapi.json", "/openapi-2.0.json", "/asyncapi.json", "/openapi.json/", "/asyncapi.json/"]
)
async def test_pages_of_other_origins_may_read_the_documents(api: Client, path: str) -> None:
    """They need no key and hold nothing of a project."""
    status, _, headers = await api.ask("GET", path, headers={"Origin": "https://page.example.test"})
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "Access-Control-Allow-Credentials" not in headers


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/me"),
        ("GET", "/v1/event-types"),
        ("GET", "/v1/callbacks"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/docs"),
        ("GET", "/nothing"),
        ("OPTIONS", "/v1/callbacks"),
        ("OPTIONS", "/openapi.json"),
    ],
)
async def test_pages_of_other_origins_may_read_nothing_else(api: Client, method: str, path: str) -> None:
    """No answer to a key may be read, and no method but GET is announced."""
    headers = {**BEARER, "Origin": "https://page.example.test", "Access-Control-Request-Method": "GET"}
    async with api.http.request(method, api.url + path, headers=headers) as answer:
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


async def test_links_follow_trusted_proxies_and_the_public_url(store_socket: Path) -> None:
    """X-Forwarded-* counts only from REELBRIDGE_TRUSTED_PROXIES; a public URL always wins."""
    forwarded = {**BEARER, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "bridge.example.test"}
    for chosen, base in (
        ({}, None),
        ({"trusted_proxies": ("127.0.0.0/8",)}, "https://bridge.example.test"),
        (
            {"trusted_proxies": ("127.0.0.0/8",), "public_url": "https://public.example.test/b"},
            "https://public.example.test/b",
        ),
    ):
        async with serving(make_settings(store_socket, **chosen)) as api:
            fields = {"job_id": "1", "callback_url": "inbox:"}
            _, made, headers = await api.ask("POST", "/v1/callbacks", json=fields, headers=forwarded)
            assert headers["Location"] == f"{base or api.url}/v1/callbacks/{made['id']}"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", 'x"><script>', "127.0.0.1.evil.example"]
)
async def test_an_invented_host_makes_no_link(store_socket: Path, host: str) -> None:
    """Neither in a Location nor in the document's servers, on whatever address the bridge listens."""
    for listens_on in ("127.0.0.1", "0.0.0.0"):
        async with serving(make_settings(store_socket, host=listens_on, allow_http=True)) as api:
            headers = {**BEARER, "Host": host, "X-Forwarded-Host": host}
            _, made, answered = await api.ask("POST", "/v1/projects", json={"name": "x"}, headers=headers)
            assert answered["Location"] == f"{api.url}/v1/projects/{made['id']}"
            _, document = await api.call("GET", "/openapi.json", headers=headers)
            assert document["servers"] == [{"url": api.url}]
            assert "evil" not in str(answered)


async def test_a_deep_path_is_a_404(api: Client) -> None:
    """Before it is looked up, which takes time quadratic to its depth."""
    for depth in (50, 101, 5_000):
        status, body, headers = await api.ask("GET", "/a" * depth)
        assert (status, body["error"]["code"]) == (404, "NOT_FOUND")
        assert headers["Content-Type"].startswith("application/json")
