"""The two steps of a grant from an external NFVO: it is asked once, and looked for until it is there.

Rules of this module:

* ``request_grant`` sends the request and has the log keep where the grant will be; ``await_grant`` goes on from there,
  whoever comes to it. Nothing between the two is lost in a crash.
* SOL003 has no query for grants, so a request whose answer was lost cannot be looked for. It is not repeated: a second grant
  might reserve everything twice. The operation ends ROLLED_BACK, and the reason says what to look for at the NFVO.
* A handler holds nothing and waits for nothing: what takes time is ``Again``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from forestay_events.errors import Retryable, UnknownOutcome
from forestay_sol.vnflcm import Grant, GrantRequest, VimConnectionInfo

from forestay_lcm.adapters.nfvo.client import Nfvo, Pending
from forestay_lcm.executor import Again, Confirmed, Failed, Outcome
from forestay_lcm.secrets import Secrets

Accept = Callable[[Grant], Awaitable[Grant]]
"""Checks a grant (:func:`forestay_lcm.domain.grants.check`) and gives it as the log may keep it (:func:`sealed`)."""


async def request_grant(
    nfvo: Nfvo, asked: GrantRequest, accept: Accept, *, sent: bool, about_to_send: Callable[[], Awaitable[None]]
) -> Outcome:
    """Ask for a grant: ``Confirmed`` with the ``grant``, or with the ``location`` where it will be.

    :param sent: whether it may have been sent already: the step's outcome is unknown.
    :param about_to_send: called when nothing but the sending is left to do; asks the fence, and may note that it begins.
    :raises Retryable: it was not sent.
    :raises UnknownOutcome: it may have been received, or was granted and that could not be kept; come back with ``sent``.
    :raises Permanent: refused, with the NFVO's own words; or a grant that cannot be used.
    """
    if sent:
        return Failed(
            title="Answer to the grant request lost",
            status=504,
            detail=f"The NFVO may have granted operation {asked.vnf_lcm_op_occ_id} of VNF instance {asked.vnf_instance_id}, "
            "but its answer did not arrive. Nothing was changed. Look there for a grant to release, then repeat the operation.",
        )
    await nfvo.log_in()
    await about_to_send()
    answer = await nfvo.ask(asked)
    if isinstance(answer, Pending):
        return Confirmed({"location": answer.location, "delay": answer.delay})
    try:
        return Confirmed({"grant": msgspec.to_builtins(await accept(answer))})
    except Retryable as error:
        raise UnknownOutcome(f"the grant {answer.id} came, but could not be kept: {error}") from error


async def await_grant(nfvo: Nfvo, requested: Mapping[str, Any], accept: Accept) -> Outcome:
    """Look for the grant: ``Confirmed`` with the ``grant``, or ``Again`` while the NFVO decides.

    :param requested: the result of :func:`request_grant`.
    :raises Retryable: the NFVO cannot be asked now.
    :raises Permanent: refused, with the NFVO's own words; or a grant that cannot be used.
    """
    if "grant" in requested:
        return Confirmed({"grant": requested["grant"]})
    answer = await nfvo.look(requested["location"])
    if isinstance(answer, Pending):
        return Again(answer.delay, f"the NFVO has not decided about {answer.location} yet")
    return Confirmed({"grant": msgspec.to_builtins(await accept(answer))})


async def sealed(secrets: Secrets, grant: Grant) -> Grant:
    """The grant with its secrets sealed for the VNF instance: those of VIM connections where the instance has them."""

    async def connection(key: str, info: VimConnectionInfo) -> VimConnectionInfo:
        path = f"/vimConnectionInfo/{key}/accessInfo"
        access = info.access_info and await secrets.vault.seal_members(secrets.vnf_id, info.access_info, path=path)
        return msgspec.structs.replace(info, access_info=access)

    params = grant.additional_params
    return msgspec.structs.replace(
        grant,
        vim_connection_info={key: await connection(key, info) for key, info in grant.vim_connection_info.items()},
        additional_params=params and await secrets.seal_granted(params),
    )
