"""The VNFD as the services use it: typed, immutable, complete, small enough to travel in an event.

Rules of this module:

* A package is read once, at onboarding; everything that VNF lifecycle management needs of it later is in here.
* Every reference is resolved: a ``Vdu`` names CPs and storages that exist, every level counts every VDU.
* Ids are the names of TOSCA node templates, policies and levels. Sizes are bytes. Paths start at the CSAR's root.
* Pure data and pure questions. An id that the VNFD does not hold is ``Rejected`` with 400 and the ids that it holds.

Terms and structure follow ETSI GS NFV-SOL 001 clause 6; the BaseHOT layout is that of OpenStack Tacker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import msgspec
from forestay_events.errors import Rejected

_T = TypeVar("_T")


class Checksum(msgspec.Struct, frozen=True, kw_only=True):
    """A digest: ``algorithm`` as written by IANA's registry (``SHA-256``), ``hash`` in lower-case hexadecimal."""

    algorithm: str
    hash: str


class SoftwareImage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``sw_image_data`` of a VDU or a storage (SOL001 6.2.18), with the file when the package ships it.

    ``id`` is the node that it belongs to; ``path`` is ``None`` when the VIM is expected to know the image by ``name``;
    ``url`` is where the provider has it then, if the VNFD says so: nothing of Forestay fetches it unasked.
    """

    id: str
    name: str
    version: str
    checksum: Checksum | None = None
    container_format: str = "bare"
    disk_format: str = "raw"
    min_disk: int = 0
    min_ram: int = 0
    size: int = 0
    provider: str = ""
    path: str | None = None
    url: str | None = None


class Artifact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of the package that its manifest or TOSCA.meta lists (SOL004 4.3.2).

    ``non_mano_set`` is the non-MANO artifact set that it belongs to (SOL004 4.3.7).
    """

    path: str
    checksum: Checksum
    content_type: str | None = None
    non_mano_set: str | None = None


class BootData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a server is given to boot with (SOL001 6.2.34): a text for its own start-up, and pairs that it can look up."""

    content: str | None = None
    pairs: dict[str, str] = {}


class Vdu(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VDU (``tosca.nodes.nfv.Vdu.Compute`` or ``Vdu.OsContainerDeployableUnit``).

    ``id`` is the node's name, which HOT resources use; ``name`` the property, which Kubernetes objects use.
    ``requested_capability`` is the name of the VIM's compute flavour that the VNFD asks for; ``virtual_cpus``,
    ``virtual_memory`` and ``local_storage`` (bytes) are the size that it asks for, ``extra_specs`` what else of such a
    flavour, in Nova's words. ``boot_order`` names storages, the first to boot from first.
    """

    id: str
    name: str
    description: str = ""
    requested_capability: str | None = None
    software_image: SoftwareImage | None = None
    storage_ids: tuple[str, ...] = ()
    cp_ids: tuple[str, ...] = ()
    initial_instances: int = 1
    min_instances: int = 0
    max_instances: int | None = None
    container_ids: tuple[str, ...] = ()
    virtual_cpus: int | None = None
    virtual_memory: int | None = None
    local_storage: int = 0
    extra_specs: dict[str, str] = {}
    boot_data: BootData | None = None
    boot_order: tuple[str, ...] = ()


class OsContainer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A container of a VDU (``tosca.nodes.nfv.Vdu.OsContainer``)."""

    id: str
    name: str
    description: str = ""
    software_image: SoftwareImage | None = None


class Mciop(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is given to Kubernetes to make VDUs (``tosca.nodes.nfv.Mciop``, SOL001 6.8.14).

    ``charts`` are Helm charts: paths of ``.tgz`` files or of folders, or URLs; ``manifests`` are paths of YAML files.
    """

    id: str
    vdu_ids: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()


class FloatingCp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An address before others: a ``VipCp`` (``target_ids`` are VduCps) or a ``VirtualCp`` (they are VDUs too)."""

    id: str
    virtual_link_id: str | None = None
    target_ids: tuple[str, ...] = ()
    layer_protocols: tuple[str, ...] = ()


class VduCp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A connection point of a VDU. Without ``virtual_link_id`` it is external: requests name its ``id`` (cpdId).

    ``vnic_type`` is in Neutron's words.
    """

    id: str
    vdu_id: str
    virtual_link_id: str | None = None
    order: int | None = None
    layer_protocols: tuple[str, ...] = ()
    vnic_type: str | None = None

    @property
    def is_external(self) -> bool:
        """Whether a request connects it: it is on no virtual link of the VNF."""
        return self.virtual_link_id is None


class VnfExtCp(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An external connection point of the VNF: a node of its own, or substitution_mappings' name for a ``VduCp`` or a
    ``FloatingCp``."""

    id: str
    vdu_cp_id: str | None = None
    floating_cp_id: str | None = None
    virtual_link_id: str | None = None
    layer_protocols: tuple[str, ...] = ()


class VirtualStorage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A storage descriptor; ``kind`` is the last part of its node type, such as ``VirtualBlockStorage``."""

    id: str
    kind: str
    size: int | None = None
    software_image: SoftwareImage | None = None


class Subnet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A range of addresses of a virtual link (SOL001 6.2.15). ``pools`` are first and last addresses; ``cidr`` may be missing."""

    cidr: str | None = None
    ip_version: int = 4
    name: str | None = None
    gateway: str | None = None
    dhcp: bool | None = None
    pools: tuple[tuple[str, str], ...] = ()
    ipv6_address_mode: str | None = None


class SecurityRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Traffic that connection points take or send (SOL001 6.10.13): ``cp_ids`` are VduCps; ``ports`` first and last, or all."""

    id: str
    cp_ids: tuple[str, ...]
    direction: Literal["ingress", "egress"] = "ingress"
    ip_version: int = 4
    protocol: str | None = None
    ports: tuple[int, int] | None = None
    description: str = ""


class VnfVirtualLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An internal virtual link of the VNF. ``cidrs`` are those of ``subnets``; ``segment`` is its network in Neutron's words;
    ``max_bitrate`` is that of each port, in bits per second."""

    id: str
    description: str = ""
    layer_protocols: tuple[str, ...] = ()
    cidrs: tuple[str, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    segment: dict[str, Any] = {}
    max_bitrate: int | None = None


class ScalingAspect(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An aspect to scale by (SOL001 6.10.3).

    ``deltas`` holds, for each VDU of the aspect, the instances that each step adds: one entry when all steps are
    alike, else one entry for each of the ``max_scale_level`` steps.
    """

    id: str
    name: str
    max_scale_level: int
    description: str = ""
    deltas: dict[str, tuple[int, ...]] = {}

    def added(self, vdu_id: str, level: int) -> int:
        """The instances of a VDU that scale level ``level`` has more than level 0."""
        steps = self.deltas.get(vdu_id, ())
        return level * steps[0] if len(steps) == 1 else sum(steps[:level])


class InstantiationLevel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An instantiation level: each aspect's scale level, the instances of **every** VDU, bit rates (bit/s) of VLs."""

    id: str
    description: str = ""
    scale_info: dict[str, int] = {}
    vdu_counts: dict[str, int] = {}
    virtual_link_bitrates: dict[str, dict[str, int]] = {}


class AffinityRule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An affinity or anti-affinity policy; ``targets`` are node ids, placement groups are replaced by their members."""

    id: str
    kind: Literal["AFFINITY", "ANTI_AFFINITY"]
    scope: str
    targets: tuple[str, ...]


class LcmScript(msgspec.Struct, frozen=True, kw_only=True):
    """A script that runs around an LCM operation: its file and its TOSCA artifact type."""

    path: str
    type: str


class BaseHot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The HOT templates of a flavour as text: the top one, and the nested ones by the name that ``type:`` refers to."""

    path: str
    template: str
    files: dict[str, str] = {}


class Flavour(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment flavour with everything in it. ``lcm_scripts`` is keyed by hook, such as ``instantiate_start``."""

    id: str
    description: str = ""
    vdus: dict[str, Vdu]
    cps: dict[str, VduCp] = {}
    ext_cps: dict[str, VnfExtCp] = {}
    storages: dict[str, VirtualStorage] = {}
    virtual_links: dict[str, VnfVirtualLink] = {}
    scaling_aspects: dict[str, ScalingAspect] = {}
    instantiation_levels: dict[str, InstantiationLevel]
    default_level_id: str | None = None
    affinity_rules: tuple[AffinityRule, ...] = ()
    placement_groups: dict[str, tuple[str, ...]] = {}
    containers: dict[str, OsContainer] = {}
    mciops: dict[str, Mciop] = {}
    vip_cps: dict[str, FloatingCp] = {}
    virtual_cps: dict[str, FloatingCp] = {}
    security_rules: tuple[SecurityRule, ...] = ()
    lcm_scripts: dict[str, LcmScript] = {}
    base_hot: BaseHot | None = None

    def level(self, level_id: str | None = None) -> InstantiationLevel:
        """An instantiation level, the default one for ``None``.

        :raises Rejected: 400, the flavour has no such level, or several and no default.
        """
        level_id = level_id or self.default_level_id or ""
        return _known(self.instantiation_levels, level_id, "instantiationLevelId", f"flavour {self.id!r}")

    def count(self, vdu_id: str, level_id: str | None = None) -> int:
        """The instances of a VDU at an instantiation level. :raises Rejected: 400, unknown VDU or level."""
        self.vdu(vdu_id)
        return self.level(level_id).vdu_counts[vdu_id]

    def vdu(self, vdu_id: str) -> Vdu:
        """:raises Rejected: 400, the flavour has no such VDU."""
        return _known(self.vdus, vdu_id, "vduId", f"flavour {self.id!r}")

    def aspect(self, aspect_id: str) -> ScalingAspect:
        """:raises Rejected: 400, the flavour has no such scaling aspect."""
        return _known(self.scaling_aspects, aspect_id, "aspectId", f"flavour {self.id!r}")

    def scale_counts(self, aspect_id: str, *, level: int, steps: int) -> dict[str, int]:
        """The instances of each VDU of an aspect that ``steps`` steps from scale level ``level`` add.

        :param steps: positive for SCALE_OUT, negative for SCALE_IN; the counts have the same sign.
        :raises Rejected: 400, unknown aspect, no deltas, or the steps leave 0..maxScaleLevel (SOL003 5.4.5).
        """
        aspect = self.aspect(aspect_id)
        if not aspect.deltas:
            detail = f"Aspect {aspect_id!r} scales no VDU: the VNFD defines no delta for its steps."
            raise Rejected(400, detail, pointer="/aspectId")
        target = level + steps
        if not 0 <= target <= aspect.max_scale_level:
            raise Rejected(
                400,
                f"Invalid numberOfSteps '{abs(steps)}': aspect {aspect_id!r} is at scale level {level} and can be "
                f"scaled between 0 and {aspect.max_scale_level}.",
                pointer="/numberOfSteps",
            )
        return {vdu: aspect.added(vdu, target) - aspect.added(vdu, level) for vdu in aspect.deltas}

    def cps_of(self, vdu_id: str) -> tuple[VduCp, ...]:
        """The connection points of a VDU, in the VNFD's order. :raises Rejected: 400, unknown VDU."""
        return tuple(self.cps[cp] for cp in self.vdu(vdu_id).cp_ids)

    def external_cpds(self) -> set[str]:
        """The cpdIds that a request may connect: external CPs, and VduCps and VipCps that are on no link of the VNF; with a
        BaseHOT, which says itself what is where, those that are on one, too."""
        cps = (*self.cps.values(), *self.vip_cps.values())
        return {*self.ext_cps, *(cp.id for cp in cps if self.base_hot or cp.virtual_link_id is None)}

    def software_images(self) -> dict[str, SoftwareImage]:
        """The software images of VDUs, storages and containers, by node id (the ``vnfdSoftwareImageId`` of a grant)."""
        nodes = (*self.vdus.values(), *self.storages.values(), *self.containers.values())
        images = (node.software_image for node in nodes)
        return {image.id: image for image in images if image}


class Vnfd(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VNF descriptor. ``artifacts`` are the package's hashed files by path; the last three, a new VNF's defaults."""

    vnfd_id: str
    provider: str
    product_name: str
    software_version: str
    vnfd_version: str
    product_info_name: str | None = None
    product_info_description: str | None = None
    vnfm_info: tuple[str, ...] = ()
    flavours: dict[str, Flavour]
    default_flavour_id: str | None = None
    artifacts: dict[str, Artifact] = {}
    configurable_properties: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    metadata: dict[str, Any] = {}

    def flavour(self, flavour_id: str | None = None) -> Flavour:
        """A deployment flavour; for ``None`` the default one, or the only one.

        :raises Rejected: 400, the VNFD has no such flavour, or several and no default.
        """
        chosen = flavour_id or self.chosen_flavour_id or ""
        return _known(self.flavours, chosen, "flavourId", f"VNFD {self.vnfd_id!r}")

    @property
    def chosen_flavour_id(self) -> str | None:
        """The default deployment flavour, or the only one; ``None``: a request has to choose."""
        return self.default_flavour_id or (next(iter(self.flavours)) if len(self.flavours) == 1 else None)

    def software_images(self) -> tuple[SoftwareImage, ...]:
        """The software images of all flavours; one entry for an image that several flavours name alike."""
        images = [image for flavour in self.flavours.values() for image in flavour.software_images().values()]
        return tuple(image for at, image in enumerate(images) if image not in images[:at])


def _known(items: Mapping[str, _T], item_id: str, member: str, where: str) -> _T:
    try:
        return items[item_id]
    except KeyError:
        known = ", ".join(sorted(items)) or "none"
        fault = f"Invalid {member} '{item_id}'" if item_id else f"{member} is required"
        raise Rejected(400, f"{fault}: {where} has {known}.", pointer=f"/{member}") from None
