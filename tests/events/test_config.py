"""Configuration from the environment, and the sentences about what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_events.config import BaseConfig, ConfigError, load

MINIMAL = {
    "FORESTAY_NATS_URL": "nats://127.0.0.1:4222",
    "FORESTAY_DATABASE_URL": "postgresql://forestay:pw@db/forestay",
    "FORESTAY_DATA_DIR": "/var/lib/forestay",
}


class LcmConfig(BaseConfig, frozen=True, kw_only=True):
    drivers: tuple[str, ...] = ("openstack",)
    dry_run: bool = False
    grant_timeout: float | None = None
    api_token: int = 0


def test_variables_become_typed_members_and_defaults_fill_the_rest() -> None:
    config = load(
        LcmConfig,
        {
            **MINIMAL,
            "FORESTAY_LISTEN_PORT": "8080",
            "FORESTAY_DRIVERS": "openstack, helm",
            "FORESTAY_DRY_RUN": "true",
            "FORESTAY_GRANT_TIMEOUT": "2.5",
            "FORESTAY_LOG_LEVEL": "",
            "HOME": "/root",
        },
    )
    assert config.data_dir == Path("/var/lib/forestay")
    assert config.master_key_file == Path("/var/lib/forestay/master.key")
    assert (config.listen_port, config.drivers, config.dry_run) == (8080, ("openstack", "helm"), True)
    assert (config.grant_timeout, config.log_level, config.nats_credentials) == (2.5, "info", None)
    assert config.endpoint == "http://127.0.0.1:8080"


def test_the_public_endpoint_goes_before_the_listening_address() -> None:
    assert load(BaseConfig, {**MINIMAL, "FORESTAY_PUBLIC_ENDPOINT": "https://nfv/"}).endpoint == "https://nfv"


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("FORESTAY_NATS_URL", "", "FORESTAY_NATS_URL is not set (NATS server, nats://host:port)."),
        ("FORESTAY_LISTEN_PORT", "http", "FORESTAY_LISTEN_PORT is 'http': Expected `int`, got `str`."),
        ("FORESTAY_LISTEN_PORT", "70000", "FORESTAY_LISTEN_PORT is '70000': Expected `int` <= 65535."),
        ("FORESTAY_DRY_RUN", "maybe", "FORESTAY_DRY_RUN is 'maybe': Expected `bool`, got `str`."),
        ("FORESTAY_LOG_LEVEL", "loud", "'loud' (one of debug, info, warning, error)."),
        ("FORESTAY_API_TOKEN", "x1", "FORESTAY_API_TOKEN has a value that cannot be used: Expected `int`, got `str`."),
    ],
)
def test_a_wrong_variable_is_named_in_one_sentence(variable: str, text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        load(LcmConfig, {**MINIMAL, variable: text})
    assert str(wrong.value).startswith(variable)
    assert str(wrong.value).endswith(sentence)


def test_the_text_form_shows_no_password() -> None:
    shown = repr(load(BaseConfig, MINIMAL))
    assert "postgresql://forestay:***@db/forestay" in shown
    assert "pw" not in shown
