"""Which VNFC is which of a VNF snapshot, after whatever has happened to their servers."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import pytest
from forestay_lcm.domain.reverting import reverting
from forestay_sol.vnflcm import InstantiatedVnfInfo

Json = dict[str, Any]


class Vnfc(NamedTuple):
    """A VNFC as it was read back."""

    server: str
    name: str = ""
    number: int | None = None
    member: str | None = None
    vdu: str = "web"
    volumes: tuple[str, ...] = ()


def info(*vnfcs: Vnfc, level: int = 0) -> Json:
    return {
        "flavourId": "simple",
        "vnfState": "STARTED",
        "scaleStatus": [{"aspectId": "web", "scaleLevel": level}],
        "vnfcResourceInfo": [
            {
                "id": vnfc.server, "vduId": vnfc.vdu, "computeResource": {"resourceId": vnfc.server},
                "storageResourceIds": vnfc.volumes,
                "metadata": {"vdu_idx": vnfc.number, "parent_resource_name": vnfc.member},
            }
            for vnfc in vnfcs
        ],
        "vnfcInfo": [
            {"id": vnfc.name or f"{vnfc.vdu}-{vnfc.server}", "vduId": vnfc.vdu, "vnfcResourceInfoId": vnfc.server,
             "vnfcState": "STARTED"}
            for vnfc in vnfcs
        ],
    }  # fmt: skip


def snapshot(*vnfcs: Vnfc, level: int = 0) -> Json:
    def part(vnfc: Vnfc) -> Json:
        storages = [
            {"storageResourceId": volume, "storageSnapshotResource": {"resourceId": "s"}} for volume in vnfc.volumes
        ]
        image = {"computeSnapshotResource": {"resourceId": f"image of {vnfc.server}"}}
        return {"id": vnfc.server, "vnfcInstanceId": "x", "storageSnapshotResources": storages} | image

    parts = [part(vnfc) for vnfc in vnfcs]
    instance = {"instantiatedVnfInfo": info(*vnfcs, level=level)}
    return {"id": "s", "vnfInstanceId": "vnf", "vnfdId": "vnfd", "vnfInstance": instance, "vnfcSnapshots": parts}


def reverted(now: tuple[Vnfc, ...], then: tuple[Vnfc, ...]) -> dict[str, str] | str:
    """The VNFC snapshot of each VNFC, or why there is none."""
    found = reverting("vnf", "vnfd", msgspec.convert(info(*now), InstantiatedVnfInfo), snapshot(*then, level=1))
    return found.fault or {vnfc: part.id for vnfc, part in found.parts.items()}


THEN = (Vnfc("a", number=2), Vnfc("b", number=1), Vnfc("c", number=0))
GROUP = (Vnfc("a", member="x"), Vnfc("b", member="y"), Vnfc("c", member="z"))


@pytest.mark.parametrize(
    ("now", "then", "same"),
    [
        (THEN, THEN, {"a": "a", "b": "b", "c": "c"}),
        ((Vnfc("q", number=1), Vnfc("r", number=2), Vnfc("c", number=0)), THEN, {"q": "b", "r": "a", "c": "c"}),
        ((Vnfc("q", member="y"), Vnfc("r", member="x"), Vnfc("c", member="z")), GROUP, {"q": "b", "r": "a", "c": "c"}),
        ((Vnfc("q", member="1"), Vnfc("c", member="z"), Vnfc("r", member="2")), GROUP, {"q": "a", "r": "b", "c": "c"}),
        ((Vnfc("q", "one"), Vnfc("r", "two")), (Vnfc("a", "two"), Vnfc("b", "one")), {"q": "b", "r": "a"}),
        ((Vnfc("q", number=0),), (Vnfc("a"),), {"q": "a"}),
        ((Vnfc("q", vdu="db"), Vnfc("r")), (Vnfc("a"), Vnfc("b", vdu="db")), {"q": "b", "r": "a"}),
        ((Vnfc("q", number=0, volumes=("v",)),), (Vnfc("a", number=0, volumes=("v",)),), {"q": "a"}),
    ],
    ids=[
        "the same servers",
        "numbers",
        "members",
        "a group made anew",
        "names",
        "numbered since",
        "VDUs",
        "volume kept",
    ],
)
def test_a_vnfc_is_known_whatever_server_it_has(
    now: tuple[Vnfc, ...], then: tuple[Vnfc, ...], same: dict[str, str]
) -> None:
    assert reverted(now, then) == same


@pytest.mark.parametrize(
    ("now", "then", "why"),
    [
        (THEN[1:], THEN, "that has 3 VNFCs of web, the VNF now has 2: scale web to level 1 first"),
        (THEN, THEN[1:], "that has 2 VNFCs of web, the VNF now has 3: scale web to level 1 first"),
        (
            (Vnfc("a"),),
            (Vnfc("a"), Vnfc("b", vdu="db")),
            "that has 1 VNFCs of db, the VNF now has 0: scale web to level 1",
        ),
        (
            (Vnfc("q", number=0, volumes=("w",)),),
            (Vnfc("a", number=0, volumes=("v",)),),
            "q has other volumes than then",
        ),
    ],
)
def test_why_not(now: tuple[Vnfc, ...], then: tuple[Vnfc, ...], why: str) -> None:
    assert str(reverted(now, then)).startswith(why)
