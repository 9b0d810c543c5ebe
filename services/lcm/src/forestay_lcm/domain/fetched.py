"""The aggregate "VNFD from the NFVO": a package that LCM fetched because nobody has onboarded it here (SOL003 clause 10).

Rules:

* There is one for each VNFD and project; it is fetched once and stays, because a VNFD's id is the id of one content for good
  (SOL001 clause 6.8.1, ``descriptor_id``) and VNF instances live on after the NFVO has deleted the package.
* Whoever fetches the same a second time finds it there, and nothing happens.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit, EventCodec
from forestay_lcm.domain.events import Event
from forestay_lcm.domain.transitions import IllegalTransition
from forestay_sol.vnfd import Vnfd


class VnfdFetched(Event, frozen=True, kw_only=True):
    """A package of the NFVO was fetched and checked; VNFs can be made from it.

    :ivar package_id: of the NFVO's VnfPkgInfo.
    :ivar digest: SHA-256 (hex) of the content, the blob's name.
    """

    package_id: str
    digest: str
    vnfd: Vnfd


CODEC: EventCodec[VnfdFetched] = EventCodec(VnfdFetched)


class FetchedVnfd(msgspec.Struct, frozen=True, kw_only=True):
    """A VNFD from the NFVO."""

    id: str
    project: str
    vnfd_id: str


@dataclass(frozen=True)
class KeepVnfd:
    """The package was fetched."""

    fetched: VnfdFetched


def decide(known: FetchedVnfd | None, command: KeepVnfd, ctx: Context) -> Decision[VnfdFetched]:
    """Nothing, if it is known."""
    return Decision([] if known else [command.fetched], f"VNFD {command.fetched.vnfd.vnfd_id} fetched from the NFVO")


def evolve(known: FetchedVnfd | None, event: VnfdFetched, commit: Commit) -> FetchedVnfd:
    """:raises IllegalTransition: it was fetched before."""
    if known is not None:
        raise IllegalTransition(f"VnfdFetched happened to {commit.aggregate_id}, which was fetched before")
    return FetchedVnfd(id=commit.aggregate_id, project=commit.project, vnfd_id=event.vnfd.vnfd_id)


FETCHED_VNFD: Definition[FetchedVnfd, KeepVnfd, VnfdFetched] = Definition(
    stream="LCM", kind="vnfd", codec=CODEC, decide=decide, evolve=evolve
)
