"""What the operator asks of the packages that are read."""

from __future__ import annotations

from forestay_csar import Policy
from forestay_events.config import ConfigError

from forestay_package_mgmt.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """What the operator asks of signatures. :raises ConfigError: the trust anchors cannot be read."""
    file = settings.package_trust_anchors
    try:
        policy = Policy(
            signature_required=settings.package_signature_required, trust_anchors=file.read_text() if file else ""
        )
        policy.anchors()
    except (OSError, ValueError) as error:
        raise ConfigError(f"FORESTAY_PACKAGE_TRUST_ANCHORS cannot be used: {error}.") from error
    return policy
