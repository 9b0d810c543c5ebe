"""Which images of the VIM a VNF is made of, where its package ships them.

Rules of this module: pure. What the operation has uploaded itself comes first, then what the grant says, then what was uploaded
for the VNF before: its package is the same until an operation of ``RENEWING`` is completed, or a modification names another. What
an external NFVO has chosen is not uploaded. SOL003 clause 9.5.3.5 (VimAssets).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from forestay_lcm.domain.state import RENEWING, Operation, Vnf, uploaded_by
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import Grant, VimAssets, VimSoftwareImage


def grant_of(vnf: Vnf, operation: Operation) -> Grant | None:
    """What was granted for an operation, with the ids of the images that were uploaded; ``None``: nothing was."""
    granted = operation.results.get("grant")
    if not granted:
        return None
    grant = msgspec.convert(granted["grant"], Grant)
    return with_images(grant, uploaded_by(operation), kept=kept_images(vnf, operation))


def kept_images(vnf: Vnf, operation: Operation) -> Mapping[str, str]:
    """The ids of the images that were uploaded for the VNF before and are still those of its package, by node."""
    return {} if operation.operation in RENEWING or vnf.images_outdated else vnf.images


def with_images(grant: Grant, uploaded: Mapping[str, str], *, kept: Mapping[str, str] | None = None) -> Grant:
    """The grant with the ids of images, by software image id (node).

    :param uploaded: they take the place of what the grant says; ``kept``: they stand where it says nothing.
    """
    assets = grant.vim_assets or VimAssets()
    granted = {item.vnfd_software_image_id: item for item in assets.software_images}
    images = _assets(kept or {}) | granted | _assets(uploaded)
    if images == granted:
        return grant
    return msgspec.structs.replace(
        grant, vim_assets=msgspec.structs.replace(assets, software_images=tuple(images.values()))
    )


def chosen(grant: Grant | None, flavour: Flavour) -> frozenset[str]:
    """The nodes whose image the NFVO has chosen itself: it says another than the name that the VNFD has for it."""
    assets = grant.vim_assets if grant else None
    known = {node: image.name for node, image in flavour.software_images().items()}
    return frozenset(
        item.vnfd_software_image_id
        for item in (assets.software_images if assets else ())
        if item.vim_software_image_id != known.get(item.vnfd_software_image_id)
    )


def staying(vnf: Vnf, operation: Operation) -> frozenset[str]:
    """The ids of the images that a VNF is made of behind an operation, or behind its rollback."""
    if operation.rollback:
        return frozenset(vnf.images.values())
    grant = grant_of(vnf, operation)
    assets = grant.vim_assets if grant else None
    return frozenset(item.vim_software_image_id for item in (assets.software_images if assets else ()))


def _assets(images: Mapping[str, str]) -> dict[str, VimSoftwareImage]:
    return {
        node: VimSoftwareImage(vnfd_software_image_id=node, vim_software_image_id=image)
        for node, image in images.items()
    }
