"""From a request to a command on a package, in the name of the request's caller."""

from __future__ import annotations

from forestay_sol.caller import Caller

from forestay_package_mgmt.domain.commands import PackageCommand
from forestay_package_mgmt.domain.decide import owned
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections.reads import PackageAggregates


class Commands:
    """Sends commands to packages."""

    def __init__(self, aggregates: PackageAggregates) -> None:
        self._aggregates = aggregates

    async def current(self, caller: Caller, package_id: str) -> Package:
        """The package as the log has it now. :raises Rejected: 404."""
        return owned((await self._aggregates.load(package_id)).state, caller.project)

    async def send(self, caller: Caller, package_id: str, command: PackageCommand) -> Package:
        """The package after a command. :raises Rejected: its state does not allow the command."""
        loaded = await self._aggregates.execute(package_id, command, caller.origin())
        assert loaded.state is not None, "a command that is not rejected leaves a package"  # noqa: S101
        return loaded.state
