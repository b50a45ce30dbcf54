"""What an operator may set, and what they are told when they err."""

from typing import Any

import pytest
import yaml

from stead.identity.errors import ConfigurationError
from stead.identity.flows import ClientIdentity
from stead.identity.issuer_settings import PRESETS, IssuerSettings
from stead.identity.settings import Settings
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload


def login_client(home: Any) -> ClientIdentity:
    login = Settings.load(home).login
    assert login is not None
    return login.client(home)


@pytest.fixture
def write(home: Any) -> Any:
    def written(text: Any) -> Any:
        (home.folder(".") / "stead.yaml").write_text(text)
        return home

    return written


def test_without_file_or_environment_everything_has_a_default(home: Any) -> None:
    settings = Settings.load(home)
    assert (settings.planner, settings.issuers, settings.login) == ("rules", (), None)
    assert settings.timeouts.read > 15


def test_the_file_is_read(write: Any) -> None:
    settings = Settings.load(write("planner: openai:gpt-5\ntimeouts: {connect: 2}\n"))
    assert (settings.planner, settings.timeouts.connect, settings.timeouts.read) == ("openai:gpt-5", 2, 300)


def test_the_environment_wins_key_by_key(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEAD_PLANNER", "ollama:llama")
    monkeypatch.setenv("STEAD_TIMEOUTS__READ", "60")
    settings = Settings.load(write("planner: rules\ntimeouts: {connect: 2}\n"))
    assert (settings.planner, settings.timeouts.connect, settings.timeouts.read) == ("ollama:llama", 2, 60)


def test_another_issuer_is_trusted_by_configuration_alone(write: Any) -> None:
    settings = Settings.load(
        write("issuers:\n- {issuer: 'https://login.example', algorithms: [RS256], roles: realm_access.roles}\n")
    )
    (issuer,) = settings.issuers
    trusted = issuer.trusted()
    assert isinstance(trusted, TrustedIssuer)
    assert (trusted.issuer, trusted.algorithms, trusted.roles) == (
        "https://login.example",
        ("RS256",),
        "realm_access.roles",
    )


def test_a_bank_is_described_among_the_issuers_and_trusted_by_no_service(write: Any) -> None:
    home = write("bank: https://bank\nissuers: [{issuer: https://idp}, {issuer: https://bank, algorithms: [PS256]}]\n")
    settings = Settings.load(home)
    assert [each.issuer for each in settings.accepted] == ["https://idp"]
    assert settings.described("https://bank").algorithms == ("PS256",)


def test_a_bank_alone_leaves_the_networks_own_provider_trusted(write: Any) -> None:
    home = write("issuer: https://own\nbank: https://bank\nissuers: [{issuer: https://bank}]\n")
    workload = Workload.open("broker", url="https://broker", home=home)
    assert [each.issuer for each in workload.issuers] == ["https://own"]


def test_an_issuer_s_every_property_can_be_set() -> None:
    from dataclasses import fields

    said_by_clients = {"names"}
    assert set(IssuerSettings.model_fields) >= {field.name for field in fields(TrustedIssuer)} - said_by_clients


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_fills_in_and_is_overruled(preset: str) -> None:
    plain = IssuerSettings.model_validate({"issuer": "https://idp.example", "preset": preset})
    assert {name: getattr(plain, name) for name in PRESETS[preset]} == PRESETS[preset]
    own = IssuerSettings.model_validate({"issuer": "https://idp.example", "preset": preset, "client": "who"})
    assert own.trusted().client == "who"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"preset": "keycloack"}, "preset"),
        ({"dialect": "saml"}, "dialect"),
        ({"subjects": "people"}, "subjects"),
        ({"actor": "azp"}, "actor"),
        ({"audience": {}}, "Did you mean 'audiences'"),
        ({"clients": {"broker": {"clientid": "b"}}}, "client"),
    ],
    ids=str,
)
def test_a_mistake_about_an_issuer_is_found_at_the_start(write: Any, home: Any, said: Any, words: str) -> None:
    write(yaml.safe_dump({"issuers": [{"issuer": "https://idp.example", **said}]}))
    with pytest.raises(ConfigurationError) as raised:
        Settings.load(home)
    assert words in f"{raised.value.description} {raised.value.hint}"


def test_a_workload_is_called_there_what_the_settings_say(write: Any, home: Any) -> None:
    secret = home.folder("secrets") / "broker"
    secret.write_text("s3cret\n")
    broker = {"client_id": "0a1b", "client_secret_file": str(secret)}
    write(yaml.safe_dump({"issuers": [{"issuer": "https://idp.example", "clients": {"broker": broker}}]}))
    described = Settings.load(home).described("https://idp.example")
    there = described.client_named("broker", home)
    assert (there.client_id, there.method, there.secret is not None) == ("0a1b", "basic", True)
    other = described.client_named("portfolio-agent", home)
    assert (other.client_id, other.key is not None, other.secret) == ("portfolio-agent", True, None)


def test_another_login_provider_is_used_by_configuration_alone(write: Any, home: Any) -> None:
    secret = home.folder("secrets") / "web"
    secret.write_text("s3cret\n")
    client = login_client(
        write(f"login: {{issuer: 'https://login.example', client_id: web, client_secret_file: '{secret}'}}\n")
    )
    assert client.secret is not None
    assert (client.client_id, client.issuer, client.key) == ("web", "https://login.example", None)
    assert client.secret.reveal() == "s3cret"


@pytest.mark.parametrize(("how", "method"), [("client_secret_post", "post"), ("client_secret_basic", "basic")])
def test_how_the_secret_is_sent_can_be_chosen(write: Any, home: Any, how: Any, method: Any) -> None:
    secret = home.folder("secrets") / "web"
    secret.write_text("s3cret")
    text = f"login: {{issuer: i, client_id: web, client_secret_file: '{secret}', client_auth: {how}}}"
    assert login_client(write(text)).method == method


def test_without_a_secret_the_login_client_signs_and_a_public_one_does_not(write: Any, home: Any) -> None:
    assert login_client(write("login: {issuer: i, client_id: web}")).key is not None
    public = login_client(write("login: {issuer: i, client_id: web, client_auth: none}"))
    assert public.key is None
    assert public.secret is None


def test_a_secret_file_that_is_missing_is_named_by_its_key_not_its_path(write: Any, home: Any) -> None:
    write("login: {issuer: i, client_id: web, client_secret_file: /nowhere/s}")
    with pytest.raises(ConfigurationError, match="client_secret_file") as error:
        login_client(home)
    assert "/nowhere" not in error.value.description


@pytest.mark.parametrize(
    ("text", "place", "meant"),
    [
        ("planer: rules", "planer", "planner"),
        ("timeouts: {conect: 1}", "timeouts.conect", "connect"),
        ("login: {issuer: i, client_id: c, client_secret: s}", "login.client_secret", "client_secret_file"),
        ("issuers: [{issuer: i, algoritms: [ES256]}]", "issuers.0.algoritms", "algorithms"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_was_meant(write: Any, text: Any, place: Any, meant: Any) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.load(write(text))
    assert error.value.description == f"There is no setting {place!r}."
    assert error.value.hint == f"Did you mean {meant!r}?"


@pytest.mark.parametrize("algorithms", ["[HS256]", "[none]", "[ES256, HS512]", "[ES265]", "[]", "ES256", "[[ES256]]"])
@pytest.mark.parametrize("place", ["issuers: [{{issuer: i, {}}}]", "login: {{issuer: i, client_id: c, {}}}"])
def test_an_algorithm_that_proves_nothing_is_refused_at_load(write: Any, place: str, algorithms: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.load(write(place.format(f"algorithms: {algorithms}")))
    assert "algorithms" in error.value.description


def test_a_key_like_no_other_is_refused_with_all_there_are(write: Any) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.load(write("zzz: 1"))
    assert "planner" in str(error.value.hint)


@pytest.mark.parametrize(
    "text",
    ["planner: [", "- planner", "7", "\x00", "planner: 7", "timeouts: {read: 0}", "timeouts: {read: soon}", "1: 2"],
)
def test_a_file_that_makes_no_sense_is_one_clear_error(write: Any, text: Any) -> None:
    with pytest.raises(ConfigurationError):
        Settings.load(write(text))


def test_an_environment_variable_that_makes_no_sense_is_one_clear_error(home: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEAD_ISSUERS", "not json")
    with pytest.raises(ConfigurationError):
        Settings.load(home)


def test_the_state_directory_s_own_variable_is_no_setting(home: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEAD_HOME", str(home.path))
    Settings.load(home)


def test_an_empty_file_is_no_error(write: Any) -> None:
    assert Settings.load(write("")).planner == "rules"


def test_services_that_share_an_audience_need_to_be_told_apart_by_their_senders(write: Any) -> None:
    shared = "audiences: {'https://a.example': api, 'https://b.example': api}"
    issuer = "issuers:\n- {issuer: 'https://login.example/oauth2/aus1', preset: okta, " + shared
    with pytest.raises(ConfigurationError, match="senders"):
        Settings.load(write(issuer + "}\n"))
    named = Settings.load(write(issuer + ", senders: {a: 'https://a.example'}}\n"))
    assert named.issuers[0].senders == {"a": "https://a.example"}


def test_bound_tokens_only_cannot_be_asked_of_an_issuer_that_binds_none(write: Any) -> None:
    with pytest.raises(ConfigurationError, match="binds"):
        Settings.load(write("dpop: always\nissuers:\n- {issuer: 'https://login.example', binds: false}\n"))
