"""The rules that a VNF package is judged by: how grave a breach is, and what its author can do about it.

Rules of this module: the name of a rule is stable, since tools and tests know it; a remedy is a sentence that is true of
every breach. An error refuses the package at onboarding; a warning is what is likely to fail later, and is kept to be shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Rule(msgspec.Struct, frozen=True):
    """How grave a breach is, and the remedy."""

    severity: Severity
    remedy: str


_ERRORS = {
    # The zip file
    "zip-corrupt": "Pack it anew as a zip file, and upload it whole.",
    "zip-directory-size": "Pack fewer members, with shorter names.",
    "zip-member-count": "Pack fewer files.",
    "zip-total-size": "Pack less, or ask the operator to raise the limit.",
    "zip-ratio": "Pack disk images in a compact format such as qcow2: zip bombs have such ratios.",
    "zip-overlap": "Pack it anew: zip bombs look like this.",
    "zip-duplicate": "Pack each path once: readers would disagree on which one counts.",
    "zip-name-length": "Shorten the path.",
    "zip-name-characters": "Separate folders by '/', and use printable characters only.",
    "zip-name-absolute": "Pack paths relative to the CSAR's root.",
    "zip-name-traversal": "Pack paths without empty, '.' and '..' parts: they could leave the package.",
    "zip-link": "Pack the file itself.",
    "zip-encrypted": "Pack it without a password.",
    "zip-compression": "Use 'stored' or 'deflate'.",
    # Texts and YAML
    "text-size": "Split the file, or take out what is no description.",
    "text-total-size": "Take out YAML files that are no definitions.",
    "text-encoding": "Save it as UTF-8.",
    "text-nul": "Remove the character U+0000.",
    "yaml-syntax": "Correct the YAML; a YAML checker shows the place.",
    "yaml-alias": "Let an alias stand after the anchor that it names, and outside of it.",
    "yaml-number": "Quote it if it is a text.",
    "yaml-bomb": "Write the values out, flatter and fewer.",
    "yaml-type": "Write the value in the form that SOL001 gives it.",
    # Form of the CSAR (SOL004)
    "no-entry": "Add TOSCA-Metadata/TOSCA.meta, or put exactly one YAML file in the root.",
    "entry-definitions-missing": "Let Entry-Definitions of TOSCA.meta say which YAML file the VNFD starts with.",
    "entry-definitions-file": "Pack the file, or correct its path, which starts at the CSAR's root.",
    "manifest-missing": "Pack the manifest under that name, in the root, ending in .mf.",
    "manifest-syntax": "Write 'Key: value' lines.",
    "manifest-entry": "Give each entry Source, Algorithm and Hash.",
    "manifest-algorithm": "Use one of SHA-224, SHA-256, SHA-384, SHA-512.",
    "manifest-file-missing": "Pack the file, or take the entry out; paths start at the CSAR's root.",
    "manifest-hash": "Make the manifest again after the last change of the file: `forestay package build` does.",
    "manifest-unhashed-signed": "List every file with its hash: what the manifest does not hash, its signature does not cover.",
    "non-mano-missing": "Pack the file, or take it out of non_mano_artifact_sets.",
    "artifact-encrypted": "Ship it in clear: Forestay holds no key to decrypt artifacts with.",
    # Signatures
    "signature-missing": "Sign the package: `forestay package build --sign-key --sign-cert` does.",
    "signature-form": "Sign with CMS (RFC 5652) as signed-data: PEM at the manifest's end, or a .cms file beside the CSAR.",
    "signature-algorithm": "Sign with RSA or ECDSA and SHA-256 or longer.",
    "signature-digest": "Sign again after the last change; if nobody changed it on purpose, it was tampered with.",
    "signature-wrong": "Sign again with the key that belongs to the certificate.",
    "certificate-missing": "Ship the signer's certificate: in the signature, or as ETSI-Entry-Certificate or .cert file.",
    "certificate-form": "Ship X.509 certificates in PEM or DER.",
    "certificate-expired": "Sign with a certificate that is valid today.",
    "certificate-untrusted": "Have the certificate issued by a trusted authority, or let the operator add its authority "
    "to FORESTAY_PACKAGE_TRUST_ANCHORS.",
    "envelope-content": "Zip exactly one CSAR with its signature and, if need be, its certificate.",
    # The VNFD (SOL001)
    "import-missing": "Pack the imported file; imports are never fetched.",
    "type-unknown": "Use a type of TOSCA or SOL001, or let the package define it.",
    "vnf-node-missing": "Add a node template of a type derived from tosca.nodes.nfv.VNF.",
    "vnf-property-missing": "Give it to the VNF node, or as a default to its type.",
    "vnfd-id-length": "Shorten descriptor_id.",
    "vnfd-id-unique": "Delete that package, or give this VNFD another descriptor_id.",
    "vnfd-size": "Shorten the VNFD and its HOT templates.",
    "flavour-missing": "Give a topology_template substitution_mappings.properties.flavour_id, or the VNF node a flavour_id.",
    "flavour-duplicate": "Define each flavour in one file.",
    "reference-unknown": "Correct the name, or add what it names.",
    "cp-unbound": "Say with virtual_binding which VDU the connection point is of.",
    "software-image-count": "Keep one software image artifact per node.",
    "software-image-data": "Describe the image in sw_image_data.",
    "artifact-missing": "Pack the file, or correct its path: beside the definitions, or from the CSAR's root.",
    "chart-missing": "Pack the chart as a .tgz or as a folder with Chart.yaml, or correct its path.",
    "step-deltas-length": "Name one delta for all steps, or one for each step of the aspect.",
    "vnfc-count": "Lower number_of_instances or max_scale_level.",
    "aspect-undefined": "Define the aspect in ScalingAspects, or correct its name.",
    "scale-level-range": "Stay within the aspect's max_scale_level.",
    "level-undefined": "Define the level in InstantiationLevels, or correct its name.",
    "levels-ambiguous": "Keep one InstantiationLevels policy per flavour.",
    "default-level-undefined": "Let default_level name one of the levels.",
    "delta-target": "Let targets name VDUs of this flavour.",
    "affinity-target": "Let targets name VDUs, virtual links, storages or placement groups of this flavour.",
    # BaseHOT and scripts
    "base-hot-ambiguous": "Keep one template in the flavour's folder, and move the others to nested/.",
    "template-nested-missing": "Pack the nested template into BaseHOT/<flavour>/nested.",
    "template-parameter": "Give the parameter a default, or a value where the template is used.",
    "template-parameter-undeclared": "Declare it under parameters, or correct the name.",
    "script-syntax": "Correct the script; it has to be Python 3.",
}
_WARNINGS = {
    "manifest-none": "Add a manifest that hashes every file: `forestay package build` does.",
    "manifest-unhashed": "List every file in the manifest with its hash.",
    "manifest-metadata": "Let the manifest say of the VNF what the VNFD says.",
    "signature-unverified": "Let the operator configure FORESTAY_PACKAGE_TRUST_ANCHORS, so that signers are verified.",
    "type-unknown-policy": "Use a type of TOSCA or SOL001, or let the package define it; what is unknown has no effect.",
    "base-hot-missing": "Add BaseHOT/<flavour>/<name>.yaml, or complete the VNFD: image and compute size of each VDU.",
    "base-hot-flavour": "Name the folder like a flavour of the VNFD.",
    "flavour-undefined": "Define the flavour, or take it out of the values that the type allows.",
    "aspect-deltas": "Add VduScalingAspectDeltas for the aspect, whose deltas its step_deltas name.",
    "default-level-missing": "Add default_level: without it every request has to name a level.",
    "level-instances": "Let the level's instances lie within min_ and max_number_of_instances of the VDU's profile.",
    "affinity-host-rules": "Put the targets that share a VDU into one rule, or say in a BaseHOT how servers are grouped.",
    "vnfd-not-built": "Say it in a BaseHOT, which is taken as it stands, or take it out.",
    "template-nfv-unknown": "Name a VDU, storage or connection point of the flavour, or give it in additionalParams.nfv.",
    "software-image-hash": "Correct checksum of sw_image_data, or ship the image that it describes.",
    "script-import": "Pack the module beside the script, or use what the script runner has.",
    "user-data-class": "Define a class with a static method 'instantiate'.",
    "chart-form": "Pack charts as .tgz, or as a folder with Chart.yaml.",
}
_INFOS = {
    "base-hot-made": "Nothing to do, unless the template should say more than the VNFD: then add a BaseHOT.",
    "vnfd-quality": "Nothing to do, unless the VIM should keep to it: then say it in a BaseHOT, as a QoS policy.",
    "software-image-external": "Have the image in the VIM under its name, or ship its file.",
}

RULES: Mapping[str, Rule] = {
    **{name: Rule("error", remedy) for name, remedy in _ERRORS.items()},
    **{name: Rule("warning", remedy) for name, remedy in _WARNINGS.items()},
    **{name: Rule("info", remedy) for name, remedy in _INFOS.items()},
}
