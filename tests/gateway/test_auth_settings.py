"""With which settings the gateway starts, and what it says when it does not."""

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from tests.tokens import SECRET

ANYWHERE = {"EMOTIVOICE_GATEWAY_HOST": "0.0.0.0"}
KEYS = {"EMOTIVOICE_JWKS_URL": "https://issuer.test/keys"}
ISSUER = {"EMOTIVOICE_JWT_ISSUER": "https://issuer.test/", "EMOTIVOICE_JWT_AUDIENCE": "emotivoice"}
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----"


def settings(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> GatewaySettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return GatewaySettings()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_on_loopback_nobody_has_to_say_who_he_is(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert settings(monkeypatch, {"EMOTIVOICE_GATEWAY_HOST": host}).auth is False


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({"EMOTIVOICE_AUTH_OFF": "true"}, False),
        ({"EMOTIVOICE_AUTH_OFF": "true", "EMOTIVOICE_TENANT_HEADER": "X-Tenant"}, False),
        ({"EMOTIVOICE_API_KEYS": "true"}, True),
        ({"EMOTIVOICE_JWT_SECRET": SECRET}, True),
        ({**KEYS, **ISSUER}, True),
        ({**KEYS, **ISSUER, "EMOTIVOICE_API_KEYS": "true"}, True),
    ],
)
def test_elsewhere_it_is_said_how_callers_are_known(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], on: bool
) -> None:
    assert settings(monkeypatch, ANYWHERE | variables).auth is on


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "nothing is said": ({}, "Set EMOTIVOICE_API_KEYS=true"),
    "an empty host is every host": ({"EMOTIVOICE_GATEWAY_HOST": ""}, "Set EMOTIVOICE_API_KEYS=true"),
    "a proxy alone is no reason": ({"EMOTIVOICE_TENANT_HEADER": "X-Tenant"}, "or EMOTIVOICE_AUTH_OFF=true"),
    "off and on": ({"EMOTIVOICE_AUTH_OFF": "true", "EMOTIVOICE_API_KEYS": "true"}, "take one of them away"),
    "two ways": ({**KEYS, **ISSUER, "EMOTIVOICE_JWT_SECRET": SECRET}, "not both"),
    "a short secret": ({"EMOTIVOICE_JWT_SECRET": "hush hush hush"}, "at least 32 bytes"),
    "a public key for a secret": ({"EMOTIVOICE_JWT_SECRET": PUBLIC_KEY}, "holds a key in PEM"),
    "keys without issuer": (KEYS, "needs EMOTIVOICE_JWT_ISSUER and EMOTIVOICE_JWT_AUDIENCE"),
    "keys from a file": ({**ISSUER, "EMOTIVOICE_JWKS_URL": "file:///keys"}, "has to begin with https://"),
    "a header beside tokens": (
        {"EMOTIVOICE_API_KEYS": "true", "EMOTIVOICE_TENANT_HEADER": "X-Tenant"},
        "tokens and keys name the tenant",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_does_not_start_when(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    variables, says = REFUSED[case]
    with pytest.raises(ValidationError, match=says) as refused:
        settings(monkeypatch, ANYWHERE | variables)

    assert not [secret for secret in ("hush", SECRET, "MIIBIj") if secret in str(refused.value)]


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (ANYWHERE, "the gateway listens on 0.0.0.0, not on loopback only"),
        ({"EMOTIVOICE_GATEWAY_PORT": "eighty"}, "EMOTIVOICE_GATEWAY_PORT: Input should be a valid integer"),
    ],
)
def test_the_process_ends_with_a_sentence(variables: dict[str, str], says: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EMOTIVOICE_")}
    gateway = [sys.executable, "-m", "gateway"]
    done = subprocess.run(gateway, env=inherited | variables, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith(says)
    assert len(done.stderr.splitlines()) == 1
