"""The one error of the simulated services.

A service raises it with the name and the words that the real one uses. The API renders it in the service's own JSON; Heat
repeats it in a resource's reason the way the service's Python client would have put it.
"""

from __future__ import annotations

from forestay_simvim.ids import request_id


class ServiceError(Exception):
    """An error answer of one service.

    :param kind: the error's class name (``BadRequest``, ``OverQuota``, ``StackExists``).
    :param status: HTTP status code.
    :param message: the service's own words.
    :param headers: response headers that belong to it.
    """

    def __init__(self, kind: str, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status
        self.message = message
        self.headers = headers or {}

    def told_by_client(self) -> tuple[str, str]:
        """The (class name, message) that Heat sees through novaclient or cinderclient."""
        return self.kind, f"{self.message} (HTTP {self.status}) (Request-ID: {request_id()})"


# The errors that neutronclient has a class of its own for; all others it names after the HTTP status.
_NEUTRON_CLIENT = {
    "NetworkNotFound", "PortNotFound", "NetworkInUse", "PortInUse", "IpAddressInUse", "IpAddressAlreadyAllocated",
    "InvalidIpForNetwork", "InvalidIpForSubnet", "OverQuota", "IpAddressGenerationFailure", "MacAddressInUse",
}  # fmt: skip
_BY_STATUS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 409: "Conflict"}


class NetworkError(ServiceError):
    """An error answer of Neutron, whose client has other class names and another wording."""

    def told_by_client(self) -> tuple[str, str]:
        by_status = _BY_STATUS.get(self.status, "NeutronClientException")
        kind = f"{self.kind}Client" if self.kind in _NEUTRON_CLIENT else by_status
        return kind, f"{self.message}\nNeutron server returns request_ids: ['{request_id()}']"


def unauthorized(message: str = "The request you have made requires authentication.") -> ServiceError:
    """Keystone's 401, which every service's token check answers with too."""
    return ServiceError("Unauthorized", 401, message)
