"""What an operator can set for notifications: environment variables ``FORESTAY_NOTIFY_...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta


class NotifySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of callbacks and of their delivery."""

    notify_test_callback: Annotated[
        bool, Meta(description="a new subscription's callback must answer GET with 204")
    ] = True
    notify_verify_tls: Annotated[bool, Meta(description="check the certificates of subscribers")] = True
    notify_ca_file: Annotated[Path | None, Meta(description="PEM of the CAs of subscribers, if not the system's")] = (
        None
    )
    notify_client_cert_file: Annotated[
        Path | None, Meta(description="PEM of the certificate that Forestay presents")
    ] = None
    notify_client_key_file: Annotated[Path | None, Meta(description="PEM of its key, if not in the same file")] = None
    notify_allow: Annotated[list[str], Meta(description="networks that callbacks may be in; all if empty")] = []
    notify_deny: Annotated[list[str], Meta(description="networks that callbacks must not be in")] = []
    notify_timeout: Annotated[float, Meta(gt=0, le=300, description="seconds in which a callback must answer")] = 20.0
    notify_keep_trying: Annotated[float, Meta(gt=0, description="hours after which a notification is given up")] = 72.0
    notify_retry_pause: Annotated[float, Meta(gt=0, description="seconds between tries, at most")] = 60.0
    notify_log_days: Annotated[float, Meta(ge=0, description="days for which the delivery log is kept")] = 7.0
