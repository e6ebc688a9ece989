"""The files of `deploy` are what their tools take, and say what the product needs."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bridge.api.responses.queue_metrics import QueueState, render_queues
from bridge.config.settings import Settings, variable_name
from tests.deploy.dockerfile import read_command, read_stages
from tests.docs.pages import ROOT

DEPLOY = ROOT / "deploy"
SETTINGS = {variable_name(name) for name in Settings.model_fields}
STOP_S = 35  # how long attempts in flight may take to end
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
KUBERNETES = "1.32"
WORST_EXPOSURE = 20  # tenths of a point; 100 is a service without any of these rules


def load_manifests() -> list[dict[str, Any]]:
    """Every object of every file that kustomization.yaml lists."""
    folder = DEPLOY / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    return [each for name in listed for each in yaml.safe_load_all((folder / name).read_text())]


MANIFESTS = load_manifests()
PODS = {
    each["metadata"]["name"]: each["spec"]["template"] for each in MANIFESTS if each["kind"] == "Deployment"
}


def only(kind: str) -> dict[str, Any]:
    """The one manifest of a kind."""
    (found,) = (each for each in MANIFESTS if each["kind"] == kind)
    return found


def test_the_image_runs_without_rights_and_keeps_its_data_apart() -> None:
    """No root, no compiler or checkout in what is shipped, one volume, a health check, signals that arrive."""
    build, final = read_stages(DEPLOY / "docker" / "Dockerfile")
    assert build.name == "build"
    assert final.image.endswith("-slim")
    assert all(words.startswith("--from=build ") for words in final.all_of("COPY"))
    assert final.last("USER") == "10001:10001"
    assert final.last("VOLUME") == "/data"
    assert "REELBRIDGE_DATA_DIR=/data" in final.last("ENV")
    assert read_command(final.last("ENTRYPOINT")) == ["reelbridge"]
    assert "--require-hashes -r locks/requirements.lock" in " ".join(build.all_of("RUN"))
    assert final.steps.index(("USER", "10001:10001")) > max(
        number for number, (name, _) in enumerate(final.steps) if name in ("RUN", "COPY")
    )


def test_what_the_image_is_built_from_reaches_the_builder() -> None:
    """The ignore file lets through what is copied, and nothing else."""
    build, _ = read_stages(DEPLOY / "docker" / "Dockerfile")
    copied = {source for words in build.all_of("COPY") for source in words.split()[:-1]}
    lines = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied


def test_compose_has_an_api_workers_and_a_store_that_keeps_what_it_accepted() -> None:
    """Read-only roots, no capabilities, time to stop; settings that exist; the store as reelbridge demands it."""
    file = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    services = file["services"]
    assert set(services) == {"api", "worker", "valkey"}
    for name in ("api", "worker"):
        service = services[name]
        assert set(service["environment"]) <= SETTINGS
        assert service["command"] == name
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert int(service["stop_grace_period"].removesuffix("s")) > STOP_S
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert services["worker"]["deploy"]["replicas"] >= 2
    store = " ".join(services["valkey"]["command"])
    assert "--appendonly yes" in store
    assert "--maxmemory-policy noeviction" in store
    assert services["valkey"]["volumes"] == ["valkey:/data"]
    assert "valkey" in file["volumes"]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_a_manifest_is_valid_by_the_published_schema(manifest: dict[str, Any]) -> None:
    """Field by field: one that Kubernetes does not know is an error."""
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_manifest_with_a_misspelt_field_is_not_valid() -> None:
    """The check can fail."""
    broken = only("Service") | {"specs": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_the_manifests_together() -> None:
    """`kubectl apply -k` would send them all."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / "kubernetes")], capture_output=True, text=True, check=True
    )
    assert len(list(yaml.safe_load_all(done.stdout))) == len(MANIFESTS)


@pytest.mark.parametrize("name", PODS)
def test_pods_are_confined_and_get_the_time_to_stop(name: str) -> None:
    """No root, no token of the cluster, a read-only root; what selects them finds them."""
    template = PODS[name]
    spec = template["spec"]
    assert spec["terminationGracePeriodSeconds"] > STOP_S
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["args"] == [name.removeprefix("reelbridge-")]
    budgets = [each["spec"] for each in MANIFESTS if each["kind"] == "PodDisruptionBudget"]
    labels = template["metadata"]["labels"]
    assert [each["maxUnavailable"] for each in budgets if each["selector"]["matchLabels"] == labels] == [1]


def test_the_api_is_asked_what_its_probes_mean() -> None:
    """Alive while the process answers, ready while the store does; the service leads to its port."""
    (container,) = PODS["reelbridge-api"]["spec"]["containers"]
    asked = {
        probe: container[f"{probe}Probe"]["httpGet"]["path"] for probe in ("startup", "liveness", "readiness")
    }
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    (port,) = container["ports"]
    assert str(port["containerPort"]) == only("ConfigMap")["data"]["REELBRIDGE_PORT"]
    assert only("Service")["spec"]["ports"][0]["targetPort"] == port["name"]
    assert set(only("ConfigMap")["data"]) <= SETTINGS


def test_workers_are_scaled_by_a_metric_that_exists() -> None:
    """The autoscaler's metric is one of /metrics, and its target is the workers."""
    spec = only("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"]["name"] in PODS
    (metric,) = spec["metrics"]
    shown = render_queues(
        QueueState(lag_s={"poll": 0}, lanes={}, asleep={}, workers=1, apis=1, beat_age_s=1.0, open_breakers=0)
    ).decode()
    assert f"\n{metric['external']['metric']['name']}{{" in shown


def on_this_machine(unit: Path, folder: Path) -> Path:
    """A unit whose program is there: systemd wants to see it."""
    copy = folder / unit.name.replace("@", "@1")
    copy.write_text(unit.read_text().replace("/opt/reelbridge/bin/reelbridge", "/bin/true"))
    return copy


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit_and_finds_it_closed(unit: Path, tmp_path: Path) -> None:
    """`verify` says nothing, and `security` rates the exposure as OK."""
    copy = on_this_machine(unit, tmp_path)
    verified = subprocess.run(
        ["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", copy],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout + rated.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_there_is_and_gives_it_time_to_stop(unit: Path) -> None:
    """By the lines themselves, also where there is no systemd."""
    lines = dict(line.split("=", 1) for line in unit.read_text().splitlines() if re.match(r"\w+=", line))
    assert lines["ExecStart"].split()[1] in ("up", "api", "worker")
    assert int(lines["TimeoutStopSec"]) > STOP_S
    assert lines["Environment"].split("=")[0] in SETTINGS
    assert lines["User"] == "reelbridge"
