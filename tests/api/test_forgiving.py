"""Requests whose intent is plain although they are not written as documented."""

import pytest

from tests.api.serving import Client

URL = "https://hooks.example.test/x?y=%20z"


@pytest.mark.parametrize(
    "pasted", [f" {URL}", f"{URL}\n", f"\r\n\t{URL} \r\n", f"\ufeff{URL}\u200b", f"\xa0{URL}\u2028"]
)
@pytest.mark.parametrize("field", ["callback_url", "webhook_url", "url"])
async def test_what_was_copied_along_with_a_url_is_no_part_of_it(
    api: Client, pasted: str, field: str
) -> None:
    """It registers, is found, changed and deleted under the URL itself, which is kept byte for byte."""
    status, made = await api.call("POST", "/v1/callbacks", json={"job_id": "1", field: pasted})
    assert (status, made["callback_url"]) == (201, URL)
    status, found = await api.call("GET", "/v1/callbacks", params={"callback_url": pasted})
    assert [each["id"] for each in found["data"]] == [made["id"]]
    status, changed = await api.call("PATCH", f"/v1/callbacks/{made['id']}", json={field: f"{pasted} "})
    assert (status, changed["callback_url"]) == (200, URL)
    status, gone = await api.call("DELETE", "/v1/callbacks", params={"callback_url": pasted})
    assert (status, gone["count"]) == (200, 1)


@pytest.mark.parametrize("text", ["https://hooks.example.test/a b", "https://hooks.example.test/a\nb", " "])
async def test_blanks_inside_a_url_are_named(api: Client, text: str) -> None:
    """Where they belong cannot be guessed."""
    status, body = await api.call("POST", "/v1/callbacks", json={"job_id": "1", "callback_url": text})
    assert (status, body["error"]["details"]["field"]) == (400, "callback_url")
    assert body["error"]["message"].startswith("callback_url: the URL ")


async def test_a_slash_at_the_end_of_a_path_changes_nothing(api: Client) -> None:
    """Reads, writes with a body and deletes work, without a redirect that would lose the body."""
    status, made = await api.call(
        "POST", "/v1/callbacks/", json={"job_id": "1", "callback_url": "inbox:"}, allow_redirects=False
    )
    assert (status, made["job_id"]) == (201, "1")
    for path in ("/v1/me/", "/v1/callbacks/", f"/v1/callbacks/{made['id']}/timeline/", "/healthz/"):
        status, _ = await api.call("GET", path, allow_redirects=False)
        assert status == 200, path
    assert await api.call("DELETE", f"/v1/callbacks/{made['id']}/") == (
        200,
        {"id": made["id"], "deleted": True},
    )
    async with api.http.get(api.url + "/metrics") as answer:
        text = await answer.text()
    assert 'route="/v1/callbacks"' in text or 'path="/v1/callbacks"' in text
    assert '/"' not in text.replace('"/"', "")


async def test_two_slashes_in_a_path_are_named(api: Client) -> None:
    """They come from a base address that ends in one."""
    status, body = await api.call("GET", "//v1/me")
    assert (status, "two slashes" in body["error"]["message"]) == (404, True)


async def test_a_base_url_of_the_proxy_without_its_end_is_named(api: Client) -> None:
    """Whoever moved over by the base URL is sent to the proxy's, not to the API's own paths."""
    status, body = await api.call("GET", "/reelmirror/v1/personas")
    assert (status, "go below /reelmirror/api/" in body["error"]["message"]) == (404, True)
