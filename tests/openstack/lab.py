"""The real OpenStack that ``OS_CLIENT_CONFIG_FILE`` and ``OS_CLOUD`` name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flow.cloud import TestCloud


def lab() -> TestCloud:
    """How to log in; without a cloud the test is skipped."""
    config = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if not config:
        pytest.skip("no real OpenStack: OS_CLIENT_CONFIG_FILE is not set (run `just test-openstack`)")
    clouds: dict[str, Any] = yaml.safe_load(Path(config).read_text())["clouds"]
    auth = clouds[os.environ["OS_CLOUD"]]["auth"]
    return TestCloud(auth["auth_url"], auth["username"], auth["password"], auth["project_name"])
