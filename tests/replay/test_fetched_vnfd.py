"""The event of a fetched VNFD as the log keeps it: what it looked like once can be read for ever."""

from __future__ import annotations

from pathlib import Path

import msgspec
from forestay_events.commit import Commit
from forestay_lcm.domain.fetched import CODEC, VnfdFetched
from forestay_sol.streams import lcm
from forestay_sol.vnfd import Flavour, InstantiationLevel, Vdu, Vnfd

from tests.lcm.domain.story import told
from tests.lcm.samples import create

GOLDEN = Path(__file__).parent / "vnfd" / "VnfdFetched.json"
FETCHED = VnfdFetched(
    package_id="package-1",
    digest="ab" * 32,
    vnfd=Vnfd(
        vnfd_id="vnfd-1", provider="Forestay", product_name="Sample", software_version="1.0", vnfd_version="1.1",
        flavours={
            "simple": Flavour(
                id="simple", vdus={"VDU1": Vdu(id="VDU1", name="VDU1", requested_capability="m1.tiny")},
                instantiation_levels={"one": InstantiationLevel(id="one", vdu_counts={"VDU1": 1})},
            )
        },
    ),
)  # fmt: skip


def _commit(raw: bytes) -> Commit:
    return msgspec.structs.replace(told(create()).commits[0], kind="vnfd", events=(msgspec.Raw(raw),))


def test_golden_file() -> None:
    golden = GOLDEN.read_bytes()
    assert CODEC.decode(_commit(golden)) == [FETCHED]
    assert msgspec.json.format(bytes(CODEC.encode([FETCHED])[0]), indent=2) + b"\n" == golden


def test_other_services_read_the_same() -> None:
    assert lcm.fetched(_commit(GOLDEN.read_bytes())) == [lcm.VnfdFetched(digest=FETCHED.digest)]
