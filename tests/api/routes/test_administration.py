"""Projects, keys, the default secret, and accounts over HTTP."""

from standardwebhooks import Webhook

from tests.api.serving import Client

RM = "rm_" + "d" * 32
RB = "rb_live_" + "e" * 32


async def test_a_key_is_shown_once(api: Client) -> None:
    """Its list entry has a hint only."""
    status, made, headers = await api.ask(
        "POST", "/v1/keys", json={"name": "ci", "scopes": ["read", "register"]}
    )
    assert (status, made["scopes"], made["project_id"]) == (201, ["read", "register"], "prj_default")
    assert headers["Location"].endswith(made["id"])
    _, listed = await api.call("GET", "/v1/keys?limit=1")
    assert listed["data"][0]["id"] == made["id"]
    assert made["key"] not in str(listed)
    assert made["key"].endswith(listed["data"][0]["hint"])
    _, rest = await api.call("GET", f"/v1/keys?cursor={listed['next_cursor']}")
    assert [each["name"] for each in rest["data"]] == ["bootstrap"]
    wrong: list[dict[str, object]] = [
        {"scopes": []},
        {"scopes": ["root"]},
        {"scopes": "root"},
        {"name": "x" * 101},
        {"name": "\ud800"},
    ]
    for bad in wrong:
        assert (await api.call("POST", "/v1/keys", json=bad))[0] == 400
    assert (await api.call("POST", "/v1/keys", json={"project_id": "prj_none"}))[0] == 404


async def test_a_project_comes_with_its_first_key(api: Client) -> None:
    """Which sees that project, and makes keys for no other."""
    status, made, headers = await api.ask("POST", "/v1/projects", json={"name": "client b"})
    assert (status, made["name"]) == (201, "client b")
    path = headers["Location"].removeprefix(api.url)
    assert (await api.call("GET", path))[1]["id"] == made["id"]
    _, me = await api.call("GET", "/v1/me", headers={"X-API-Key": made["key"]})
    assert me["project"]["id"] == made["id"]
    other = {"X-API-Key": made["key"]}
    assert (await api.call("POST", "/v1/keys", headers=other, json={"project_id": "prj_default"}))[0] == 403
    assert (await api.call("POST", "/v1/projects", headers=other, json={"name": "x"}))[0] == 403
    status, key = await api.call("POST", "/v1/keys", json={"project_id": made["id"]})
    assert (status, key["project_id"]) == (201, made["id"])
    _, listed = await api.call("GET", "/v1/projects")
    assert [each["id"] for each in listed["data"]] == [made["id"], "prj_default"]
    assert (await api.call("POST", "/v1/projects", json={"name": ""}))[0] == 400


async def test_the_default_secret_rotates(api: Client) -> None:
    """The new one is in force, the former one until its time; an own one may be brought."""
    _, before = await api.call("GET", "/v1/secrets/default")
    assert (before["id"], before["previous_expires_at"]) == ("default", None)
    Webhook(before["secret"])
    status, after = await api.call("POST", "/v1/secrets/default/rotate")
    assert status == 200
    assert after["id"] == "default"
    assert after["secret"] != before["secret"]
    assert after["previous_expires_at"] is not None
    own = "whsec_" + "QUJD" * 10
    assert (await api.call("POST", "/v1/secrets/default/rotate", json={"secret": own}))[1]["secret"] == own
    assert (await api.call("GET", "/v1/secrets/default"))[1]["secret"] == own
    assert (await api.call("POST", "/v1/secrets/default/rotate", json={"secret": "short"}))[0] == 400


async def test_accounts_show_health_and_budget_but_no_credential(api: Client) -> None:
    """An account is made, found again, and belongs to one project."""
    status, made, headers = await api.ask(
        "POST", "/v1/accounts", json={"provider": "reelmirror", "credential": RM, "name": "second"}
    )
    assert (status, made["state"], made["budget"]["limit"], made["name"]) == (201, "ok", 60, "second")
    assert headers["Location"].endswith(made["id"])
    status, again = await api.call("POST", "/v1/accounts", json={"provider": "reelmirror", "credential": RM})
    assert (status, again["id"]) == (200, made["id"])
    _, listed = await api.call("GET", "/v1/accounts")
    assert len(listed["data"]) == 3
    assert RM not in str(listed)
    _, other = await api.call("POST", "/v1/projects", json={"name": "other"})
    body = {"provider": "reelmirror", "credential": RM}
    status, refused = await api.call("POST", "/v1/accounts", headers={"X-API-Key": other["key"]}, json=body)
    assert (status, refused["error"]["code"]) == (409, "CONFLICT")
    assert RM not in str(refused)


async def test_a_credential_is_replaced(api: Client) -> None:
    """The account keeps its id; a credential of another account is a conflict."""
    _, made = await api.call("POST", "/v1/accounts", json={"provider": "reelmirror", "credential": RM})
    path = f"/v1/accounts/{made['id']}/credential"
    status, body = await api.call("PUT", path, json={"credential": RM[:-1] + "x"})
    assert (status, body["id"], body["credential_version"]) == (200, made["id"], 2)
    assert (await api.call("PUT", path, json={"credential": "rm_" + "b" * 32}))[0] == 409
    assert (await api.call("PUT", path, json={}))[0] == 400
    assert (await api.call("PUT", "/v1/accounts/acc_none/credential", json={"credential": RM}))[0] == 404


async def test_a_credential_that_cannot_work_is_refused(api: Client) -> None:
    """One with a line break, or of the other provider; never shown again."""
    for body in (
        {"provider": "reelmirror", "credential": "rm_x\r\nX: y"},
        {"provider": "reelmirror", "credential": RB},
        {"provider": "reelbot", "credential": RM},
        {"provider": "reelmirror", "credential": "é"},
        {"provider": "odd", "credential": RM},
        {"provider": "reelmirror"},
        {},
    ):
        status, answer = await api.call("POST", "/v1/accounts", json=body)
        assert (status, answer["error"]["code"]) == (400, "VALIDATION_ERROR")
        assert str(body.get("credential", RM)) not in str(answer)
