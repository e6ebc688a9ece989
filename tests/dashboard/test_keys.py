"""Keys, the signing secret and projects, as an admin handles them in the dashboard."""

import re

from tests.api.serving import Client
from tests.dashboard.visitor import Visitor

PATH = "/settings/keys"


def shown_key(text: str) -> str:
    (key,) = re.findall(r'id="made"[^>]*>(brk_[a-z0-9]+)<', text)
    return str(key)


async def test_a_key_is_shown_once_and_its_form_makes_one(api: Client, visitor: Visitor) -> None:
    """The same form sent again makes no second key, and does not show the first one again."""
    form = (await visitor.get(PATH)).form(PATH)
    made = await visitor.send(form, **{"name": "phone", "scope-read": "on"})
    key = shown_key(made.text)
    assert made.headers["Cache-Control"] == "no-store"
    again = await visitor.send(form, **{"name": "phone", "scope-read": "on"})
    assert again.status == 303
    page = await visitor.get(again.headers["Location"])
    assert "It was made the first time" in page.text
    assert key not in page.text
    reader = Visitor(api)
    await reader.sign_in(key)
    assert (await reader.get("/")).status == 200
    assert (await reader.get(PATH)).status == 403
    assert PATH not in (await reader.get("/settings")).text
    kept = [
        await api.services.store.redis.get(name) for name in await api.services.store.redis.keys("*action*")
    ]
    assert not [each for each in kept if key.encode() in each]


async def test_a_revoked_key_ends_its_sessions_and_ones_own_cannot_be(api: Client, visitor: Visitor) -> None:
    made = await visitor.send((await visitor.get(PATH)).form(PATH), **{"name": "short", "scope-read": "on"})
    reader = Visitor(api)
    await reader.sign_in(shown_key(made.text))
    page = await visitor.get(PATH)
    (form,) = [each for each in page.forms if each["to"].endswith("/revoke")]
    assert (await visitor.send(form)).status == 303
    assert (await reader.get("/")).headers["Location"].startswith("/sign-in")
    assert not [each for each in (await visitor.get(PATH)).forms if each["to"].endswith("/revoke")]
    _, me = await api.call("GET", "/v1/me")
    refused = await visitor.send({**form, "to": f"{PATH}/{me['key']['id']}/revoke", "action": "b" * 32})
    assert 'role="alert"' in (await visitor.get(refused.headers["Location"])).text


async def test_a_key_needs_a_name_and_a_scope(visitor: Visitor) -> None:
    for fields in ({"name": "x"}, {"name": "", "scope-read": "on"}):
        answer = await visitor.send((await visitor.get(PATH)).form(PATH), **fields)
        assert 'role="alert"' in (await visitor.get(answer.headers["Location"])).text


async def test_the_signing_secret_is_shown_and_rotated_when_asked_for(api: Client, visitor: Visitor) -> None:
    _, before = await api.call("GET", "/v1/secrets/default")
    page = await visitor.get(PATH)
    assert before["secret"] not in page.text
    assert before["secret"] in (await visitor.send(page.form("/settings/secret"))).text
    await visitor.send((await visitor.get(PATH)).form("/rotate"))
    _, after = await api.call("GET", "/v1/secrets/default")
    assert after["secret"] != before["secret"]


async def test_projects_are_made_by_the_default_one_alone(api: Client, visitor: Visitor) -> None:
    made = await visitor.send((await visitor.get(PATH)).form("/settings/projects"), name="agency")
    other = Visitor(api)
    await other.sign_in(shown_key(made.text))
    page = await other.get(PATH)
    assert "/settings/projects" not in page.text
    form = page.form(PATH)
    refused = await other.send({**form, "to": "/settings/projects"}, name="another")
    assert 'role="alert"' in (await other.get(refused.headers["Location"])).text
    _, found = await api.call("GET", "/v1/projects")
    assert sorted(each["name"] for each in found["data"]) == ["agency", "default"]
