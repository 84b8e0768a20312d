"""docker-compose.yml, held without a Docker engine: every image, command, port, path and variable in it must exist.

The file was also validated against the Compose specification's JSON schema; what that schema cannot know is here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from squirrel.cli.app import build_app
from squirrel.cli.services import SERVICES
from squirrel.gateway.api_table import API
from squirrel.runtime.settings import PREFIX, Settings, load
from squirrel.stores.cassandra_address import parse_address
from tests.unit.deploy.compose import (
    INTERNAL_PORT,
    ROOT,
    compose,
    container_ports,
    dockerfile,
    environment,
    ours,
    services,
)

CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
ALL = sorted(services())
OURS = sorted(ours())
PROBE = re.compile(r"urlopen\('http://127\.0\.0\.1:(?P<port>\d+)(?P<path>/\w+)', timeout=(?P<timeout>\d+)\)")


def settings_of(name: str) -> Settings:
    """What the process in the container would read."""
    return load(environment=environment(services()[name]), env_file=ROOT / "nowhere")[0]


def test_it_runs_every_service_and_what_they_need() -> None:
    assert set(services()) == {"kafka", "cassandra", "topics", *SERVICES}
    assert compose().keys() <= {"name", "services", "volumes"} | {key for key in compose() if key.startswith("x-")}


@pytest.mark.parametrize("name", ALL)
def test_images_are_pinned_by_tag(name: str) -> None:
    image, _, tag = services()[name]["image"].partition(":")
    assert image in {"squirrel", "apache/kafka", "cassandra"}
    assert re.match(r"\d+\.\d+", tag), f"{image} needs a version, not {tag!r}"


def test_servers_are_the_versions_we_test_with() -> None:
    from squirrel.runtime.local import cassandra, kafka

    assert services()["kafka"]["image"] == f"apache/kafka:{kafka.VERSION}"
    assert cassandra.VERSION.startswith(services()["cassandra"]["image"].partition(":")[2] + ".")


@pytest.mark.parametrize("name", ALL)
def test_containers_are_sealed(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(mount.startswith("/tmp:") for mount in service["tmpfs"])
    assert not {"privileged", "network_mode", "pid", "devices"} & service.keys()
    assert not any(str(mount).startswith(("/", ".", "~")) for mount in service.get("volumes", [])), "no host paths"


@pytest.mark.parametrize("name", ALL)
def test_published_ports_are_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in services()[name].get("ports", []))


@pytest.mark.parametrize("name", ALL)
def test_dependencies_exist_and_can_be_met(name: str) -> None:
    for other, wanted in services()[name].get("depends_on", {}).items():
        assert wanted["condition"] in CONDITIONS
        awaited = services()[other]
        if wanted["condition"] == "service_healthy":
            assert awaited["healthcheck"]["test"], f"{name} waits for the health of {other}, which has no check"
        if wanted["condition"] == "service_completed_successfully":
            assert awaited["restart"] == "no", f"{name} waits for the end of {other}, which is restarted"


def test_who_uses_what_waits_for_it() -> None:
    for name in SERVICES:
        assert services()[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"
    for name in ("gateway", "recorder"):
        assert services()[name]["depends_on"]["cassandra"]["condition"] == "service_healthy"


@pytest.mark.parametrize("name", OURS)
def test_commands_are_verbs(name: str) -> None:
    command = services()[name]["command"]
    build_app().parse_args(command, exit_on_error=False, print_error=False)  # raises for what is no verb
    assert command == (["topics", "apply"] if name == "topics" else [name])


@pytest.mark.parametrize("name", OURS)
def test_variables_are_settings_and_pass_their_checks(name: str) -> None:
    given = environment(services()[name])
    assert given.keys() <= {PREFIX + field.upper() for field in Settings.model_fields}
    found = settings_of(name)
    assert found.cidrs() == (), "no private network may be called unless the operator says so"
    assert found.internal_token.get_secret_value() == "shared"
    assert parse_address(found.history.removeprefix("cassandra://")).hosts == ("cassandra",)


def test_all_services_agree_where_it_matters() -> None:
    alike = ("kafka", "topic_prefix", "partitions", "replication", "internal_token", "history", "targets_allow_cidrs")
    first = settings_of("topics")
    for name in OURS:
        found = settings_of(name)
        assert [getattr(found, field) for field in alike] == [getattr(first, field) for field in alike], name


def test_without_the_shared_secret_nothing_starts() -> None:
    for service in ours().values():
        assert str(service["environment"]["SQUIRREL_INTERNAL_TOKEN"]).startswith("${SQUIRREL_INTERNAL_TOKEN:?")


def test_ports_are_those_that_are_listened_on() -> None:
    gateway = settings_of("gateway")
    assert gateway.host == "0.0.0.0"
    assert container_ports(services()["gateway"]) == {gateway.port}
    assert all(settings_of(name).internal_port == INTERNAL_PORT for name in OURS)
    exposed = {int(word) for step in dockerfile() if step.verb == "EXPOSE" for word in step.words()}
    assert exposed == {gateway.port, INTERNAL_PORT}
    listeners = environment(services()["kafka"])["KAFKA_LISTENERS"]
    host, _, port = gateway.kafka.partition(":")
    assert host in services()
    assert f"INSIDE://:{port}," in listeners
    (outside,) = container_ports(services()["kafka"])
    assert f"OUTSIDE://:{outside}" in listeners
    assert f"OUTSIDE://127.0.0.1:{outside}" in environment(services()["kafka"])["KAFKA_ADVERTISED_LISTENERS"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_health_checks_ask_a_door_that_answers(name: str) -> None:
    check = services()[name]["healthcheck"]
    match = PROBE.search(check["test"][-1])
    assert match, check
    compile(check["test"][-1], name, "exec")
    assert int(match["timeout"]) < int(check["timeout"].removesuffix("s"))
    found = settings_of(name)
    assert int(match["port"]) == (found.port if name == "gateway" else found.internal_port)
    where = "squirrel/gateway/api_table.py" if name == "gateway" else "squirrel/runtime/internal_door.py"
    assert f'"{match["path"]}"' in (ROOT / where).read_text(encoding="utf-8")
    assert match["path"] == "/readyz"
    assert API == "/api/v1"


def test_what_must_outlive_a_container_has_a_volume() -> None:
    volumes = compose()["volumes"]
    mounted = {
        (name, mount.partition(":")[2]): mount.partition(":")[0]
        for name, service in services().items()
        for mount in service.get("volumes", [])
    }
    assert set(mounted.values()) == set(volumes), "every volume is used, and none is missing"
    assert mounted["kafka", environment(services()["kafka"])["KAFKA_LOG_DIRS"]] == "kafka-data"
    assert ("cassandra", "/var/lib/cassandra") in mounted
    (data_dir,) = (
        match[1]
        for step in dockerfile()
        if step.verb == "ENV" and (match := re.search(r"SQUIRREL_DATA_DIR=(\S+)", step.rest))
    )
    assert ("engine", data_dir) in mounted
    for name in set(SERVICES) - {"engine"}:
        assert any(mount.startswith(f"{data_dir}:uid=65532,") for mount in services()[name]["tmpfs"])


def test_an_engines_name_stays_the_same_so_that_its_state_is_found_again() -> None:
    hosts: list[Any] = [services()[name].get("hostname") for name in SERVICES]
    assert hosts == list(SERVICES)
