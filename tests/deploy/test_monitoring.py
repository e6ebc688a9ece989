"""Alerts, dashboard and documentation name the metrics and labels that there are."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.api.serving import Client, make_settings, serving
from tests.api.store_server import running_store
from tests.docs.pages import ROOT, between, table_rows
from tests.docs.test_links import slugs

FOLDER = ROOT / "deploy" / "monitoring"
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
QUERIES = [
    *(rule["expr"] for rule in RULES),
    *(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]),
]
METRIC = re.compile(r"\breelbridge_\w+")
OF_HISTOGRAMS = ("_bucket", "_sum", "_count")
# Added by Prometheus' format to a histogram's buckets.
OF_FORMAT = {"le"}


def documented() -> dict[str, tuple[str, set[str], str]]:
    """Type, labels and meaning of each metric of docs/metrics.md."""
    return {
        name.strip("`"): (type_, set(re.findall(r"`(\w+)`", labels)), meaning)
        for name, type_, labels, meaning in table_rows(between("docs/metrics.md", "metrics"))
    }


@pytest.fixture(scope="module")
def store_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with running_store(tmp_path_factory.mktemp("monitoring")) as socket:
        yield socket


@pytest.fixture
async def api(store_socket: Path) -> AsyncIterator[Client]:
    async with serving(make_settings(store_socket)) as client:
        yield client


async def test_the_documented_metrics_are_those_that_are_exposed(api: Client) -> None:
    """Name, type and meaning of each, in order, and the labels of those that have samples."""
    await api.call("POST", "/v1/callbacks", json={"job_id": "j", "callback_url": "https://r.example.test/"})
    async with api.http.get(api.url + "/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    shown = {
        f"{each.name}_total" if each.type == "counter" else each.name: (each.type, each.documentation)
        for each in families
        if not each.name.endswith("_created")
    }
    known = documented()
    assert shown == {name: (type_, meaning) for name, (type_, _, meaning) in known.items()}
    for family in families:
        for sample in family.samples:
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if name in known:
                assert set(sample.labels) - OF_FORMAT == known[name][1], name


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_is_promql_about_metrics_and_labels_that_there_are(query: str) -> None:
    """Every label that it filters or groups by is one of a metric that it names."""
    promql_parser.parse(query)
    known = documented()
    names = {_family(name, known) for name in METRIC.findall(query)}
    assert names
    assert names <= set(known)
    labels = {label for name in names for label in known[name][1]} | OF_FORMAT
    used = set(re.findall(r"(\w+)\s*=~?\s*\"", query))
    used |= {label.strip() for group in re.findall(r"by \(([^)]*)\)", query) for label in group.split(",")}
    assert used <= labels


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_leads_to_an_entry_of_the_runbook(rule: Mapping[str, Any]) -> None:
    """It says in a sentence what is wrong, and shows labels that its query leaves."""
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in slugs(page)
    assert rule["labels"]["severity"] in ("warning", "critical")
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    left = {
        label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")
    }
    assert shown <= left


def test_every_alert_has_a_name_of_its_own() -> None:
    """A second one of the same name would be taken for the first."""
    assert len({rule["alert"] for rule in RULES}) == len(RULES)


def test_the_dashboard_can_be_imported() -> None:
    """Each panel has an id, a place that no other takes, and asks the data source that the viewer chooses."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["type"]) == ("datasource", "datasource")


def _family(name: str, known: Mapping[str, object]) -> str:
    """The metric that a series belongs to."""
    for ending in OF_HISTOGRAMS:
        if name.endswith(ending) and name.removesuffix(ending) in known:
            return name.removesuffix(ending)
    return name
