"""What LCM knows of packages: of each VNFD the content that it came with, also after the package is gone."""

from __future__ import annotations

from uuid import uuid4

import msgspec
import pytest
from forestay_events.config import BaseConfig
from forestay_events.errors import Permanent
from forestay_events.platform import open_platform
from forestay_lcm import app
from forestay_lcm.catalogue import Catalogue
from forestay_sol.service import serving
from forestay_sol.streams import package
from forestay_sol.vnfd import Checksum

from tests.lcm.engine.running import append
from tests.lcm.samples import PROJECT, VNFD


async def test_the_content_of_a_package_is_known_as_long_as_its_vnfd(config: BaseConfig) -> None:
    checksum = Checksum(algorithm="SHA-512", hash="00")
    first, second = (package.PackageContentStored(digest=digest, size=1, checksum=checksum) for digest in ("a1", "b2"))
    vnfd = msgspec.structs.replace(VNFD, vnfd_id="with-content")
    key = str(uuid4())
    async with open_platform(config, "lcm") as platform, serving(platform, [await app.build(platform)], "lcm"):
        catalogue = Catalogue(platform)
        await append(platform, "PKG", "package", key, package.CODEC, package.PackageCreated(), first)
        await append(
            platform, "PKG", "package", key, package.CODEC,
            package.PackageOnboardingFailed(error={}), second, package.PackageOnboarded(vnfd=vnfd),
        )  # fmt: skip
        assert await catalogue.package(PROJECT, "with-content") == "b2"
        await append(platform, "PKG", "package", key, package.CODEC, package.PackageDeleted())
        assert await catalogue.package(PROJECT, "with-content") == "b2"
        with pytest.raises(Permanent, match="package of VNFD none"):
            await catalogue.package(PROJECT, "none")
        with pytest.raises(Permanent, match="package of VNFD with-content"):
            await catalogue.package("another project", "with-content")
