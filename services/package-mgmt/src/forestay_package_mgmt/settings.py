"""What an operator can set about VNF packages: environment variables ``FORESTAY_<MEMBER>``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the service; sizes are bytes, times are seconds."""

    package_size_limit: Annotated[int, Meta(ge=1, description="bytes that an uploaded VNF package may have")] = 64 << 30
    package_page_size: Annotated[int, Meta(ge=0, description="VNF packages on a page of the list; 0: all")] = 100
    package_upload_patience: Annotated[float, Meta(gt=0, description="seconds an upload may stand still")] = 60.0
    package_reading_time: Annotated[float, Meta(gt=0, description="seconds that reading a package may take")] = 3600.0
    package_readers: Annotated[int, Meta(ge=1, description="packages that are read at the same time")] = 2
    package_signature_required: Annotated[bool, Meta(description="whether unsigned packages are refused")] = False
    package_trust_anchors: Annotated[
        Path | None, Meta(description="PEM of the certificates that package signers have to lead to")
    ] = None
    package_orphan_age: Annotated[float, Meta(ge=0, description="age at which a blob nobody needs is swept")] = 3600.0
    package_fetchers: Annotated[int, Meta(ge=1, description="packages that are fetched at the same time")] = 4
    package_fetch_time: Annotated[float, Meta(gt=0, description="seconds that fetching a package may take")] = 14400.0
    package_fetch_allow: Annotated[list[str], Meta(description="networks to fetch from besides public addresses")] = []
    package_fetch_deny: Annotated[list[str], Meta(description="networks that nothing is fetched from")] = []
    package_fetch_ca_file: Annotated[
        Path | None, Meta(description="PEM of the CAs to fetch from, if not the system's")
    ] = None
