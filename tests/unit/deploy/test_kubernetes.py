"""deploy/kubernetes.yaml: the same facts as Compose, held the same way."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from squirrel.cli.app import build_app
from squirrel.cli.services import SERVICES
from squirrel.runtime.settings import PREFIX, Settings, load
from tests.unit.deploy.compose import INTERNAL_PORT, ROOT, services

FILE = ROOT / "deploy" / "kubernetes.yaml"
ITEMS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["items"]
WORKLOADS = {item["metadata"]["name"]: item for item in ITEMS if "template" in item.get("spec", {})}
NAMES = sorted(WORKLOADS)


def pod(name: str) -> dict[str, Any]:
    found: dict[str, Any] = WORKLOADS[name]["spec"]["template"]["spec"]
    return found


def container(name: str) -> dict[str, Any]:
    (only,) = pod(name)["containers"]
    found: dict[str, Any] = only
    return found


def settings_of(name: str) -> Settings:
    (config,) = (item["data"] for item in ITEMS if item["kind"] == "ConfigMap")
    env = {each["name"]: each.get("value", "stands-in") for each in container(name).get("env", [])}
    secret = re.findall(rf"--from-literal=({PREFIX}[A-Z_]+)=", FILE.read_text(encoding="utf-8"))
    given = {**config, **dict.fromkeys(secret, "shared"), **env}
    assert all(isinstance(value, str) for value in given.values()), "Kubernetes takes strings only"
    return load(environment=given, env_file=ROOT / "nowhere")[0]


def test_it_runs_every_service_and_the_topics_once() -> None:
    assert set(WORKLOADS) == {f"squirrel-{service}" for service in [*SERVICES, "topics"]}
    assert WORKLOADS["squirrel-topics"]["kind"] == "Job"
    assert WORKLOADS["squirrel-engine"]["kind"] == "StatefulSet"


@pytest.mark.parametrize("name", NAMES)
def test_containers_are_sealed_and_their_commands_are_verbs(name: str) -> None:
    found = container(name)
    assert found["image"] == services()["gateway"]["image"]
    assert found["name"] == name.removeprefix("squirrel-")
    build_app().parse_args(found["args"], exit_on_error=False, print_error=False)
    sealed = found["securityContext"]
    assert (sealed["runAsNonRoot"], sealed["runAsUser"], sealed["readOnlyRootFilesystem"]) == (True, 65532, True)
    assert (sealed["allowPrivilegeEscalation"], sealed["capabilities"]) == (False, {"drop": ["ALL"]})
    assert pod(name)["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_settings(name: str) -> None:
    found = settings_of(name)
    assert found.internal_token.get_secret_value()
    assert found.cidrs() == ()


@pytest.mark.parametrize("name", sorted(f"squirrel-{service}" for service in SERVICES))
def test_probes_ports_and_mounts_fit_together(name: str) -> None:
    found, settings = container(name), settings_of(name)
    ports = {each["containerPort"] for each in found["ports"]}
    assert settings.internal_port == INTERNAL_PORT in ports
    alive, ready = found["livenessProbe"]["httpGet"], found["readinessProbe"]["httpGet"]
    assert (alive["path"], alive["port"]) == ("/healthz", INTERNAL_PORT)
    assert (ready["path"], ready["port"]) == ("/readyz", settings.port if "gateway" in name else INTERNAL_PORT)
    assert ready["port"] in ports
    volumes = {each["name"] for each in pod(name)["volumes"]}
    volumes |= {each["metadata"]["name"] for each in WORKLOADS[name]["spec"].get("volumeClaimTemplates", [])}
    assert {mount["name"] for mount in found["volumeMounts"]} <= volumes
    assert {mount["mountPath"] for mount in found["volumeMounts"]} == {"/tmp", "/var/lib/squirrel"}
    labels = WORKLOADS[name]["spec"]["template"]["metadata"]["labels"]
    assert WORKLOADS[name]["spec"]["selector"]["matchLabels"] == labels


def test_an_engines_state_outlives_its_pod() -> None:
    mounts = {mount["mountPath"]: mount["name"] for mount in container("squirrel-engine")["volumeMounts"]}
    (claim,) = WORKLOADS["squirrel-engine"]["spec"]["volumeClaimTemplates"]
    assert mounts["/var/lib/squirrel"] == claim["metadata"]["name"]
    names = {each["name"]: each for each in container("squirrel-engine")["env"]}
    assert names["SQUIRREL_WORKER"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert names["SQUIRREL_INTERNAL_HOST"]["valueFrom"]["fieldRef"]["fieldPath"] == "status.podIP"
