"""The step ``grant``: asks the NFVO, the embedded one or an external one (SOL003 clause 9).

SOL003 has no query for grants, so an external NFVO is asked once: the log keeps that the request is about to be sent, then where
the grant will be. A request whose answer was lost is not repeated, because a second grant might reserve everything twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid5

import msgspec
from forestay_events.errors import Retryable
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import Grant, GrantRequest, VimConnectionInfo

from forestay_lcm.adapters.nfvo.client import Nfvo
from forestay_lcm.adapters.nfvo.granting import await_grant, request_grant, sealed
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.catalogue import Catalogue, reference_to
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.decisions.reports import GRANTED_CONNECTIONS
from forestay_lcm.domain.grants import Asking, Terms, check
from forestay_lcm.domain.grants.acceptance import UnusableGrant
from forestay_lcm.domain.grants.operations import asked_for, vnfd_after
from forestay_lcm.domain.images import kept_images
from forestay_lcm.domain.plan import DRIVERS
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Again, Confirmed, Outcome, Turn

_ASKED_AT = "asked_at"
"""What is noted before the request is sent; without a time, once it is known that it was not received."""

_MARGIN = timedelta(seconds=15)
"""How long after its time-out whoever has sent a request may need to tell."""


class GrantStep:
    """Asks for grants; the same operation always asks for the same.

    :param nfvo: an external one, ``None`` for the embedded one.
    """

    def __init__(
        self, catalogue: Catalogue, clock: Callable[[], datetime], settings: NfvoSettings, nfvo: Nfvo | None
    ) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._nfvo = nfvo
        self._zones: Sequence[str] = settings.nfvo_zones
        self._best_effort = settings.nfvo_best_effort
        self._patience = timedelta(seconds=settings.nfvo_timeout) + _MARGIN

    async def run(self, vnf: Vnf, operation: Operation, run: StepRun, turn: Turn) -> Outcome:
        new_id = _ids(operation.id)
        asking = Asking(
            vnf_id=vnf.id,
            op_id=operation.id,
            vnfd_id=vnf.vnfd_id,
            new_id=new_id,
            automatic=operation.automatic,
            best_effort=self._best_effort,
        )
        vnfd = await self._catalogue.vnfd(vnf.project, vnfd_after(vnf, operation))
        asked = asked_for(vnf, operation, vnfd, asking)
        if self._nfvo is not None:
            return await self._external(
                self._nfvo, _Terms(self._catalogue, vnf, operation, vnfd, asked.request), run, turn
            )
        images = kept_images(vnf, operation)
        answer = local_nfvo.answer(
            asked.request, new_id=new_id, flavour=asked.flavour, zones=self._zones, images=images
        )
        return _granted(asked.request, {"grant": msgspec.to_builtins(answer)})

    async def _external(self, nfvo: Nfvo, terms: _Terms, run: StepRun, turn: Turn) -> Outcome:
        if "location" in run.result:
            return _with(terms, await await_grant(nfvo, run.result, terms.accept))
        asked_at = run.result.get(_ASKED_AT)
        left = asked_at and datetime.fromisoformat(asked_at) + self._patience - self._clock()
        if left and left > timedelta(0):
            return Again(left.total_seconds(), "whoever has asked the NFVO may still get its answer")

        noted = False

        async def about_to_send() -> None:
            nonlocal noted
            noted = True
            await turn.note({_ASKED_AT: self._clock().isoformat()})

        request = await terms.opened()
        try:
            outcome = await request_grant(
                nfvo, request, terms.accept, sent=asked_at is not None, about_to_send=about_to_send
            )
        except Retryable:
            if noted:
                await turn.note({_ASKED_AT: None})
            raise
        if isinstance(outcome, Confirmed) and "location" in outcome.result:
            await turn.note(outcome.result)
            return Again(outcome.result["delay"], "the NFVO has not decided yet")
        return _with(terms, outcome)


class _Terms:
    """What a grant of an external NFVO is taken on."""

    def __init__(self, catalogue: Catalogue, vnf: Vnf, operation: Operation, vnfd: Vnfd, request: GrantRequest) -> None:
        self._catalogue = catalogue
        self._vnf = vnf
        self._executors = {run.step.executor for run in operation.plan}
        self._vnfd = vnfd
        self.request = request

    async def opened(self) -> GrantRequest:
        """The request with the secrets of its ``additionalParams`` in the clear, as the NFVO gets it."""
        secrets = self._catalogue.secrets_of(self._vnf.id)
        params = await secrets.open_params({"additionalParams": self.request.additional_params})
        return msgspec.structs.replace(self.request, additional_params=params["additionalParams"])

    async def accept(self, grant: Grant) -> Grant:
        """The grant as the log may keep it. :raises UnusableGrant: it contradicts the request, the VNFD or itself."""
        check(grant, Terms(request=self.request, vnfd=self._vnfd, connections=self._vnf.vim_connections))
        if not (grant.vim_connection_info or self._vnf.vim_connections):
            raise _unusable("neither it nor anybody else says in which VIM the VNF is to live")
        places = {key: await self._place(key, info) for key, info in grant.vim_connection_info.items()}
        grant = msgspec.structs.replace(grant, vim_connection_info=places)
        return await sealed(self._catalogue.secrets_of(self._vnf.id), grant)

    async def _place(self, key: str, info: VimConnectionInfo) -> VimConnectionInfo:
        """Where a VIM connection of a grant leads; a registered VIM may be named by its id alone."""
        if info.access_info is None or info.interface_info is None:
            known = await self._catalogue.vim(self._vnf.project, info.vim_id) if info.vim_id else None
            if known is None:
                where = f"VIM {info.vim_id}, which is not registered" if info.vim_id else "no VIM"
                raise _unusable(f"vimConnectionInfo/{key} gives no access and names {where}")
            info = reference_to(known)
        if DRIVERS.get(info.vim_type) not in self._executors:
            raise _unusable(
                f"vimConnectionInfo/{key} is of type {info.vim_type}, which the operation was not planned for"
            )
        return info

    def connections(self, granted: dict[str, Any]) -> dict[str, Any]:
        """Where the VNF lives according to a grant: what it names comes before what the request does."""
        present: dict[str, Any] = msgspec.to_builtins(self._vnf.vim_connections)
        return granted | {key: info for key, info in present.items() if key not in granted}


def _with(terms: _Terms, outcome: Outcome) -> Outcome:
    """The outcome with what the operation needs of a grant that has come."""
    if not isinstance(outcome, Confirmed):
        return outcome
    granted = _granted(terms.request, outcome.result)
    connections: dict[str, Any] = outcome.result["grant"].get("vimConnectionInfo") or {}
    if connections and terms.request.operation == "INSTANTIATE":
        granted.result[GRANTED_CONNECTIONS] = terms.connections(connections)
    return granted


def _unusable(fault: str) -> UnusableGrant:
    return UnusableGrant(f"The grant of the NFVO cannot be used: {fault}.", status=502, title="Grant cannot be used")


def _granted(request: GrantRequest, result: dict[str, Any]) -> Confirmed:
    return Confirmed({"grant_request": msgspec.to_builtins(request), "grant": result["grant"]})


def _ids(op_id: str) -> Callable[[], str]:
    """Ids that are the same each time the operation's grant is made."""
    numbers = count()
    return lambda: str(uuid5(UUID(op_id), f"grant/{next(numbers)}"))
