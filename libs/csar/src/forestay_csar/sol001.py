"""The types that TOSCA and SOL001 define, as far as their names and what they derive from go.

Rules of this module: names only; what a type means is in the modules that read it. A package may ship the type files
themselves, of any edition: then those count. Editions: TOSCA Simple Profile 1.0 to 1.3, ETSI GS NFV-SOL 001 V2.5.1 to V5.4.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

# Indented below the type that a type derives from; a leading dot stands for the family's name.
_NODES = """
tosca.nodes.Root
  .Abstract.Compute
    .Compute
  .SoftwareComponent .WebServer .DBMS .Container.Runtime
  .WebApplication .Database .LoadBalancer .Container.Application
  .Abstract.Storage .Storage.ObjectStorage .Storage.BlockStorage .ObjectStorage .BlockStorage
  .network.Network .network.Port
  .nfv.VNF .nfv.VnfVirtualLink .nfv.Mciop
  .nfv.Cp
    .nfv.VduCp .nfv.VnfExtCp .nfv.VipCp .nfv.VirtualCp .nfv.PnfExtCp .nfv.VduSubCp
  .nfv.Vdu.Compute .nfv.Vdu.OsContainer .nfv.Vdu.OsContainerDeployableUnit
  .nfv.Vdu.VirtualStorage
    .nfv.Vdu.VirtualBlockStorage .nfv.Vdu.VirtualObjectStorage .nfv.Vdu.VirtualFileStorage
  .nfv.NS .nfv.PNF .nfv.Sap .nfv.NsVirtualLink .nfv.NFP .nfv.NfpPosition .nfv.NfpPositionElement .nfv.Forwarding
"""
_ARTIFACTS = """
tosca.artifacts.Root
  .File
  .Deployment
    .Deployment.Image
      .Deployment.Image.VM
        .Deployment.Image.VM.ISO .Deployment.Image.VM.QCOW2
      .Deployment.Image.Container.Docker
    .nfv.SwImage .nfv.HelmChart
  .Implementation
    .Implementation.Bash .Implementation.Python .Implementation.nfv.Mistral
    .nfv.HelmParamMappingScript .nfv.HelmParamMappingRule
  .template
"""
_POLICIES = """
tosca.policies.Root
  .Placement
    .nfv.AffinityRule .nfv.AntiAffinityRule .nfv.NsAffinityRule .nfv.NsAntiAffinityRule
  .Scaling
    .nfv.NsAutoScale
  .Update
  .Performance
  .nfv.ScalingAspects .nfv.InstantiationLevels
  .nfv.VduScalingAspectDeltas .nfv.VduInitialDelta .nfv.VduInstantiationLevels
  .nfv.VirtualLinkBitrateScalingAspectDeltas .nfv.VirtualLinkBitrateInitialDelta .nfv.VirtualLinkInstantiationLevels
  .nfv.VipCpScalingAspectDeltas .nfv.VipCpInitialDelta .nfv.VipCpInstantiationLevels
  .nfv.VirtualCpScalingAspectDeltas .nfv.VirtualCpInitialDelta .nfv.VirtualCpInstantiationLevels
  .nfv.Abstract.SecurityGroupRule
    .nfv.SecurityGroupRule .nfv.PnfSecurityGroupRule .nfv.NsSecurityGroupRule
  .nfv.SupportedVnfInterface .nfv.VnfPackageChange .nfv.VnfIndicator .nfv.VnfMonitoring .nfv.DataFlowInfo
  .nfv.LcmCoordinationAction .nfv.LcmCoordinationsForLcmOperation .nfv.HelmParamsMapping
  .nfv.NsScalingAspects .nfv.NsInstantiationLevels .nfv.NsMonitoring .nfv.NfpRule
  .nfv.VnfToLevelMapping .nfv.NsToLevelMapping .nfv.VirtualLinkToLevelMapping
  .nfv.VnfToInstantiationLevelMapping .nfv.NsToInstantiationLevelMapping .nfv.VirtualLinkToInstantiationLevelMapping
"""
_GROUPS = """
tosca.groups.Root
  .nfv.PlacementGroup .nfv.NsPlacementGroup .nfv.VNFFG
"""


def _pairs(outline: str) -> Iterator[tuple[str, str | None]]:
    family = outline.split(".Root")[0].strip()
    above: list[str] = []
    for line in outline.strip().splitlines():
        names = [f"{family}{name}" if name.startswith(".") else name for name in line.split()]
        depth = (len(line) - len(line.lstrip())) // 2
        del above[depth:]
        for name in names:
            yield name, above[-1] if above else None
        above.append(names[-1])


PARENTS: Mapping[str, str | None] = {
    name: parent for outline in (_NODES, _ARTIFACTS, _POLICIES, _GROUPS) for name, parent in _pairs(outline)
}
"""Each type's name, and what it derives from; ``None`` at the four roots."""
