"""What is run elsewhere, read by parsers: the compose file's node and cluster, and the manifests for Kubernetes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import metrics
from bridge.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
CLUSTER = dict(
    line.split("=", 1)
    for line in (DEPLOY / "cluster.env").read_text("utf-8").splitlines()
    if line and not line.startswith("#")
)
WITHOUT_METRICS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
"""Of every Python process."""


def test_without_more_ado_it_is_one_node() -> None:
    """Built here, its data on a volume, its port on this machine alone, on SQLite, memory and an engine of its own."""
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["callbridge"]
    node = SERVICES["callbridge"]
    assert node["build"] == "."
    [volume] = node["volumes"]
    assert f"VOLUME {volume.partition(':')[2]}" in (ROOT / "Dockerfile").read_text("utf-8")
    grace = Settings.model_fields["drain_grace_s"].default
    assert int(node["stop_grace_period"].removesuffix("s")) > grace + 10
    given = {name: value.partition(":-")[2].rstrip("}") for name, value in node["environment"].items()}
    assert given["CALLBRIDGE_DATABASE_URL"] == "sqlite:////data/callbridge.db"
    assert given["CALLBRIDGE_EVENTS_URL"] == Settings.model_fields["events_url"].default
    assert given["CALLBRIDGE_ENGINE"] == Settings.model_fields["engine"].default


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    """Nothing is written outside its volumes, no capability is kept, no port is open beyond this machine."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service.get("user", "by its image") not in {"root", "0"}
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert source in COMPOSE["volumes"] or (ROOT / source).exists()


@pytest.mark.parametrize("name", [name for name, service in SERVICES.items() if "build" not in service])
def test_an_image_from_elsewhere_is_pinned_and_watched(name: str) -> None:
    """To a version, not to whatever is newest; run by a user; and it says whether it is well."""
    service = SERVICES[name]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-alpine)?", service["image"])
    assert "user" in service
    assert "healthcheck" in service


def test_what_images_are_built_on_is_pinned() -> None:
    """To one release of Python, the same for what builds and for what runs."""
    bases = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.13\.\d+-slim-\w+", bases.pop())


def test_the_cluster_is_whole() -> None:
    """Two nodes on the PostgreSQL, the Redis and the Ray that are there, told apart from other services by their names."""
    assert CLUSTER["COMPOSE_PROFILES"] == "cluster"
    cluster = {name for name, service in SERVICES.items() if service.get("profiles") == ["cluster"]}
    assert cluster == set(SERVICES) - {"callbridge"}
    assert SERVICES["callbridge-2"]["environment"] == SERVICES["callbridge"]["environment"]
    for name in ("DATABASE_URL", "EVENTS_URL", "ENGINE"):
        host = re.sub(r".*[@/]([\w-]+):\d+.*", r"\1", CLUSTER[PREFIX + name])
        assert host in SERVICES
    settings = {name.removeprefix(PREFIX).lower(): value for name, value in CLUSTER.items() if name.startswith(PREFIX)}
    read = Settings(**{name: value for name, value in settings.items() if value})
    assert read.engine == "ray://ray-head:8000"


def test_the_balancer_and_prometheus_know_the_nodes() -> None:
    """Both of them, at the port where they listen; calls go where `/readyz` says that they may."""
    balancer = (DEPLOY / "haproxy.cfg").read_text("utf-8")
    nodes = {"callbridge:8080", "callbridge-2:8080"}
    assert set(re.findall(r"^ +server \S+ (\S+)", balancer, re.MULTILINE)) == nodes
    assert "GET /readyz" in balancer
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert set(scraped[0]["static_configs"][0]["targets"]) == nodes


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    """A panel of a metric that nobody counts stays empty for ever."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "callbridge.json").read_text("utf-8"))
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    named = {name for expr in asked for name in re.findall(r"\b(?:callbridge|process)_\w+", expr)}
    told = set(re.findall(r"^# TYPE (\w+)", metrics.render().decode(), re.MULTILINE))
    engine = {"callbridge_engine_pressure", "callbridge_engine_late_seconds"}  # of an engine, while there is one
    assert len(dashboard["panels"]) >= 12
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in named} - engine - WITHOUT_METRICS <= told


def test_the_dashboard_groups_by_labels_that_there_are() -> None:
    """Grouped by a label that a metric does not have, a panel shows one line that means nothing."""
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "callbridge.json").read_text("utf-8"))
    had = {family.name: family for family in metrics.REGISTRY.collect()}
    checked = 0
    for expr in {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}:
        grouped = re.search(r"by \(([^)]*)\) \(.*?\b(callbridge_\w+)", expr)
        if grouped is None or (family := re.sub(r"_(total|bucket)$", "", grouped[2])) not in had:
            continue
        labels = set(re.split(r", *", grouped[1])) - {"instance", "job", "le"}
        assert labels <= set(metrics.REGISTRY._names_to_collectors[family]._labelnames), expr  # type: ignore[attr-defined]
        checked += bool(labels)
    assert checked >= 6


def manifests() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text("utf-8"))
    ]


@pytest.mark.parametrize(
    "manifest", manifests(), ids=lambda manifest: f"{manifest['kind']}-{manifest['metadata']['name']}"
)
def test_a_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    """Of the newest Kubernetes that the checker knows, unknown fields refused; KubeRay's own kind has no schema there."""
    if manifest["apiVersion"].startswith("ray.io/"):
        pytest.skip("KubeRay's schema is not in any package")
    checker = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    checker.validate(manifest, checker.latest_version(), strict=True)


def pods() -> Iterator[dict[str, Any]]:
    """Every pod's specification, the bridges' first."""
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]["spec"]
        if manifest["kind"] == "RayService":
            cluster = manifest["spec"]["rayClusterConfig"]
            for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
                yield group["template"]["spec"]


def test_pods_run_as_a_user_and_change_nothing_of_their_image() -> None:
    """They write where a volume is, and nowhere else; and a bridge is given as long to drain as it takes."""
    bridge, *ray = found = list(pods())
    assert len(ray) == 2
    for pod in found:
        assert pod["securityContext"]["runAsNonRoot"] is True
        [container] = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert re.fullmatch(r"[\w-]+:\d+\.\d+\.\d+", container["image"])
        mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
        assert "/tmp" in mounted.values()  # noqa: S108
    assert bridge["terminationGracePeriodSeconds"] > Settings.model_fields["drain_grace_s"].default + 10


def test_the_ray_service_runs_what_is_here() -> None:
    """The application by its import path, with all that it asks for."""
    service = next(manifest for manifest in manifests() if manifest["kind"] == "RayService")
    [app] = yaml.safe_load(service["spec"]["serveConfigV2"])["applications"]
    module, _, name = app["import_path"].partition(":")
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
    assert f"def {name}(args" in source
    assert set(re.findall(r'args\["(\w+)"\]', source)) == set(app["args"])
    assert set(app["args"]["settings"]) <= set(Settings.model_fields)
