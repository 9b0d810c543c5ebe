"""The real OpenStack that ``OS_CLIENT_CONFIG_FILE`` and ``OS_CLOUD`` name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.flow.cloud import TestCloud
from tests.flow.clouds import RealCloud


def lab() -> RealCloud:
    """How to log in; without a cloud the test is skipped."""
    config = os.environ.get("OS_CLIENT_CONFIG_FILE")
    if not config:
        pytest.skip("no real OpenStack: OS_CLIENT_CONFIG_FILE is not set (run `just test-openstack`)")
    clouds: dict[str, Any] = yaml.safe_load(Path(config).read_text())["clouds"]
    own, admin = (clouds[f"{os.environ['OS_CLOUD']}{role}"]["auth"] for role in ("", "-admin"))
    names = ("auth_url", "username", "password", "project_name")
    return RealCloud(
        *(own[name] for name in names),
        admin=TestCloud(*(admin[name] for name in names)),
        home=Path(config).parent,
        up=Path(os.environ["OPENSTACK_LAB"]) / "up",
    )
