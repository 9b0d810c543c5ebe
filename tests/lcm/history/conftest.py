"""Servers with an empty log."""

from __future__ import annotations

from pathlib import Path

import pytest
from forestay_events.config import BaseConfig
from forestay_standalone.embedded import EmbeddedNats

from tests.lcm.engine.running import configuration


@pytest.fixture
def bare(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path) -> BaseConfig:
    return configuration(nats_server.url, database, tmp_data_dir)
