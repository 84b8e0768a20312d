"""Settings: which source wins, what stops the start, and that nothing secret is ever shown."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from squirrel.cli.settings import example
from squirrel.model.errors import SettingsError
from squirrel.runtime.settings import ALIASES, DEFAULTS, ELSEWHERE, OBSOLETE, PREFIX, Settings, load

NO_FILE = Path("/nonexistent/.env")


def loaded(environment: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> Settings:
    return load(flags, environment=environment or {}, env_file=NO_FILE)[0]


def refused(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as stopped:
        load(environment=environment, env_file=NO_FILE)
    return str(stopped.value)


# --- the defaults are the manual ------------------------------------------------------------------------------------


def test_every_field_has_a_default_and_every_default_a_field() -> None:
    defaults = tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))
    assert list(defaults) == list(Settings.model_fields), "same names, same order"
    assert loaded().model_dump(mode="json").keys() == defaults.keys()


def test_every_default_says_what_it_means() -> None:
    text = example(DEFAULTS, PREFIX)
    for name in Settings.model_fields:
        before, found, _ = text.partition(f"\n#{PREFIX}{name.upper()}=")
        assert found, f"{name} is missing"
        sentence = before.rpartition("\n")[2]
        assert sentence.startswith("# "), f"{name} has no sentence: {sentence!r}"
        assert len(sentence) > 10, f"{name} has no sentence: {sentence!r}"


def test_the_example_file_is_the_generated_one(root: Path) -> None:
    assert (root / ".env.example").read_text(encoding="utf-8") == example(DEFAULTS, PREFIX), (
        "run: squirrel settings --output env > .env.example"
    )


def test_the_example_file_changes_nothing_even_with_all_its_lines_in_force(root: Path, tmp_path: Path) -> None:
    text = (root / ".env.example").read_text(encoding="utf-8")
    (tmp_path / ".env").write_text(text.replace(f"#{PREFIX}", PREFIX), encoding="utf-8")
    assert load(environment={}, env_file=tmp_path / ".env") == (loaded(), [])


@pytest.mark.parametrize("line", ["port = 8080", 'kafka = "a:1"  #', "port: 8080 # what"])
def test_a_default_without_its_sentence_is_no_default(tmp_path: Path, line: str) -> None:
    (tmp_path / "defaults.toml").write_text(f"# --- one ---\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"defaults\.toml:2: write a setting as"):
        example(tmp_path / "defaults.toml", PREFIX)


# --- who wins -------------------------------------------------------------------------------------------------------


def test_defaults_then_profile_then_file_then_environment_then_flags(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SQUIRREL_PARTITIONS=3\nSQUIRREL_WINDOW=300\nSQUIRREL_PORT=3333\n", encoding="utf-8")
    found, _ = load(
        {"port": 5555, "host": None},
        environment={"SQUIRREL_WINDOW": "400", "SQUIRREL_PORT": "4444"},
        env_file=file,
        profile={"replication": 2, "partitions": 2, "window": 2, "port": 2, "host": "localhost"},
    )
    assert (found.replication, found.partitions, found.window, found.port) == (2, 3, 400, 5555)
    assert found.host == "localhost", "a flag that was not given decides nothing"
    assert found.emit_ahead_ms == 100


def test_our_name_beats_a_seeds_name_of_the_same_source_and_the_environment_beats_the_file(tmp_path: Path) -> None:
    assert loaded({"PORT": "1111", "SQUIRREL_PORT": "2222"}).port == 2222
    file = tmp_path / ".env"
    file.write_text("SQUIRREL_PORT=3333\n", encoding="utf-8")
    assert load(environment={"PORT": "1111"}, env_file=file)[0].port == 1111


# --- the seeds' names -----------------------------------------------------------------------------------------------


def test_seeds_names_are_read_and_noted() -> None:
    found, notes = load(
        environment={
            "API_AUTH": "geheim",
            "PORT": "3000",
            "RETRIES": "5",
            "RETRY_TIME": "60",
            "ALLOWED_ORIGINS": "http://localhost:3000,https://your-domain.com",
            "ALLOWED_TARGET_HOSTS": "*.example.com,api.another-domain.com",
            "WORKER_COUNT": "512",
            "LOG_LEVEL": "WARNING",
        },
        env_file=NO_FILE,
    )
    assert found.api_token.get_secret_value() == "geheim"
    assert (found.port, found.max_retries, found.retry_initial_seconds, found.window) == (3000, 5, 60.0, 512)
    assert found.origins() == ("http://localhost:3000", "https://your-domain.com")
    assert found.target_hosts() == ("*.example.com", "api.another-domain.com")
    assert found.log_level == "warning"
    assert "PORT is read as SQUIRREL_PORT" in notes
    assert len(notes) == 8
    assert "geheim" not in " ".join(notes)


def test_a_seeds_name_without_meaning_says_why_and_an_empty_one_says_nothing() -> None:
    _, notes = load(environment=dict.fromkeys(OBSOLETE, "5"), env_file=NO_FILE)
    assert len(notes) == len(OBSOLETE) == 1
    assert all("has no effect" in note for note in notes)
    assert load(environment=dict.fromkeys(ALIASES, ""), env_file=NO_FILE) == (loaded(), [])


def test_aliases_name_real_settings() -> None:
    assert set(ALIASES.values()) <= set(Settings.model_fields)


# --- what stops the start -------------------------------------------------------------------------------------------


def test_an_unknown_name_stops_with_one_sentence() -> None:
    said = refused({"SQUIRREL_PROT": "8080"})
    assert said == "SQUIRREL_PROT in the environment is no setting of Squirrel; `squirrel settings` lists them"


def test_an_unknown_name_in_the_file_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SQUIRREL_KAFAK=x\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"^SQUIRREL_KAFAK in {file} is no setting"):
        load(environment={}, env_file=file)


def test_the_clients_names_and_everybody_elses_are_not_ours_to_judge() -> None:
    assert loaded({**dict.fromkeys(ELSEWHERE, "x"), "KAFKA": "x", "PATH": "/bin"}) == loaded()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "80800", "less than or equal to 65535"),
        ("PORT", "", "valid integer"),
        ("PARTITIONS", "0", "greater than or equal to 1"),
        ("EMIT_AHEAD_MS", "-1", "greater than or equal to 0"),
        ("MAX_RETRIES", "-2", "greater than or equal to -1"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("TOPIC_PREFIX", "a b", "should match pattern"),
        ("KAFKA", "", "at least 1 character"),
        ("COMMIT_INTERVAL_SECONDS", "0", "greater than 0"),
        ("HEARTBEAT_SECONDS", "nan", "greater than 0"),
    ],
)
def test_a_wrong_value_names_the_setting_and_what_it_must_be(name: str, value: str, said: str) -> None:
    sentence = refused({PREFIX + name: value})
    assert said in sentence
    assert sentence.startswith(f"the setting {name.lower()} is wrong: ")
    assert sentence.endswith(f"(set it as {PREFIX}{name})")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SQUIRREL_HEARTBEAT_SECONDS": "4"}, "at most a third of session_timeout_seconds"),
        ({"SQUIRREL_WINDOW": "100", "SQUIRREL_WINDOW_PER_HOST": "101"}, r"(101) is larger than window (100)"),
        ({"SQUIRREL_INTERNAL_HOST": "0.0.0.0"}, "set internal_token to a shared secret"),
        ({"SQUIRREL_INTERNAL_HOST": "engine"}, "set internal_token to a shared secret"),
    ],
)
def test_a_contradiction_stops_with_one_sentence(environment: dict[str, str], said: str) -> None:
    assert said in refused(environment)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_internal_token(host: str) -> None:
    assert loaded({"SQUIRREL_INTERNAL_HOST": host}).internal_host == host


# --- secrets --------------------------------------------------------------------------------------------------------

SECRETS = {
    "SQUIRREL_API_TOKEN": "geheim-1",
    "SQUIRREL_WEBHOOK_SECRETS": "whsec_geheim-2,whsec_geheim-3",
    "SQUIRREL_INTERNAL_TOKEN": "geheim-4",
    "SQUIRREL_HISTORY": "cassandra://squirrel:geheim-5@db.internal:9042/squirrel",
}


def test_secrets_are_never_shown() -> None:
    found = loaded(SECRETS)
    assert found.secrets() == ("whsec_geheim-2", "whsec_geheim-3")
    for text in (repr(found), str(found), str(found.shown()), f"{found}"):
        assert "geheim" not in text
    assert found.shown()["history"] == "cassandra://squirrel:**********@db.internal:9042/squirrel"
    assert found.history_url().endswith("geheim-5@db.internal:9042/squirrel"), "the store gets the real one"


def test_secrets_are_never_in_an_error() -> None:
    for broken in ({"SQUIRREL_PORT": "x"}, {"SQUIRREL_NOPE": "geheim-6"}, {"SQUIRREL_WINDOW": "geheim-7"}):
        assert "geheim" not in refused({**SECRETS, **broken})


def test_what_is_no_secret_is_shown() -> None:
    assert loaded().shown()["history"] == "sqlite:history.db"
    assert loaded({"SQUIRREL_HISTORY": "cassandra://h:9042/k"}).shown()["history"] == "cassandra://h:9042/k"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        loaded().port = 1


@pytest.mark.parametrize(
    ("history", "url"),
    [
        ("sqlite:history.db", "sqlite:/data/history.db"),
        ("sqlite:/elsewhere/h.db", "sqlite:/elsewhere/h.db"),
        ("cassandra://h:1/k", "cassandra://h:1/k"),
    ],
)
def test_a_relative_history_lies_in_the_data_directory(history: str, url: str) -> None:
    assert loaded({"SQUIRREL_HISTORY": history, "SQUIRREL_DATA_DIR": "/data"}).history_url() == url
