"""What ``forestay package`` does and prints: make a CSAR, find its mistakes, draw what it holds. It needs no server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec
from forestay_csar import Finding, Policy, ReadPackage, Signing, build_csar, inspect
from forestay_events.errors import Rejected
from forestay_sol.vnfd import Flavour, SoftwareImage, Vdu
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

console = Console(highlight=False, soft_wrap=True)
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def build(source: Path, out: Path | None, key: Path | None, certificate: Path | None, *, whole: bool) -> int:
    """Make a CSAR, and say what is wrong with it. Exit status: 1 when it would be refused."""
    if not source.is_dir():
        return _failed(f"{source} is not a folder.")
    if (key is None) != (certificate is None):
        return _failed("A signature needs both --sign-key and --sign-cert.")
    target = out or Path(f"{source.resolve().name}.csar")
    try:
        signing = None
        if key and certificate:
            option = "whole" if whole else "manifest"
            signing = Signing(key=key.read_bytes(), certificate=certificate.read_bytes(), option=option)
        build_csar(source, target, signing)
    except (Rejected, OSError) as error:
        return _failed(str(error))
    findings = inspect(target).findings
    _print(finding for finding in findings if finding.rule != "signature-unverified")
    console.print(Text.assemble((str(target), "bold"), f" ({target.stat().st_size} bytes)"))
    return _status(findings)


def lint(file: Path, anchors: Path | None, *, signature_required: bool, as_json: bool) -> int:
    """Print the findings. Exit status: 1 when one of them is an error."""
    try:
        trusted = anchors.read_text() if anchors else ""
        policy = Policy(signature_required=signature_required, trust_anchors=trusted)
        policy.anchors()
        findings = inspect(file, policy=policy).findings
    except ValueError as error:
        return _failed(f"The trust anchors are no certificates in PEM: {error}.")
    except OSError as error:
        return _failed(f"{error.filename} cannot be read: {error.strerror}.")
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode() + "\n")
    else:
        _print(findings)
        count = Counter(finding.severity for finding in findings)
        console.print(", ".join(f"{count[severity]} {severity}{'s' * (count[severity] != 1)}" for severity in _STYLES))
    return _status(findings)


def show(file: Path) -> int:
    """Draw the topology of a package. Exit status: 1 when it cannot be onboarded."""
    try:
        report = inspect(file)
    except OSError as error:
        return _failed(f"{file} cannot be read: {error.strerror}.")
    if report.package is None:
        _print(report.findings)
        return 1
    console.print(_package(report.package), soft_wrap=False)
    return 0


def _failed(sentence: str) -> int:
    sys.stderr.write(f"forestay: {sentence}\n")
    return 2


def _status(findings: Iterable[Finding]) -> int:
    return int(any(finding.severity == "error" for finding in findings))


def _print(findings: Iterable[Finding]) -> None:
    for each in findings:
        place = f"{each.file or 'package'}{f':{each.line}' if each.line else ''}"
        severity = (each.severity, _STYLES[each.severity])
        console.print(Text.assemble((place, "bold"), ": ", severity, f" [{each.rule}] {each.message}"))
        console.print(Text(f"    {each.remedy}", style="dim"))


def _package(package: ReadPackage) -> Tree:
    vnfd = package.vnfd
    title = Text.assemble(
        (f"{vnfd.provider} {vnfd.product_name} {vnfd.software_version}", "bold"), f"  VNFD {vnfd.vnfd_id}"
    )
    tree = Tree(title)
    _leaf(tree, "VNFD version", vnfd.vnfd_version)
    _leaf(tree, "VNFM", ", ".join(vnfd.vnfm_info))
    _leaf(tree, "signed by", package.signer or "nobody")
    _leaf(tree, "definitions", ", ".join(package.definitions))
    _leaf(tree, "hashed files", str(len(vnfd.artifacts)))
    for flavour in vnfd.flavours.values():
        default = " (default)" if flavour.id == vnfd.default_flavour_id else ""
        _flavour(
            tree.add(Text.assemble("flavour ", (flavour.id, "bold green"), f"{default}  {flavour.description}")),
            flavour,
        )
    return tree


def _flavour(tree: Tree, flavour: Flavour) -> None:
    for vdu in flavour.vdus.values():
        _vdu(tree, flavour, vdu)
    for link in flavour.virtual_links.values():
        ends = [cp.id for cp in flavour.cps.values() if cp.virtual_link_id == link.id]
        _leaf(tree, "virtual link", link.id, *link.cidrs, f"joins {', '.join(ends) or 'nothing'}")
    for cp in flavour.ext_cps.values():
        _leaf(
            tree, "external CP", cp.id, f"is {cp.vdu_cp_id or cp.floating_cp_id or cp.virtual_link_id or 'unconnected'}"
        )
    for cp in (*flavour.vip_cps.values(), *flavour.virtual_cps.values()):
        _leaf(tree, "floating CP", cp.id, f"before {', '.join(cp.target_ids) or 'nothing'}")
    for mciop in flavour.mciops.values():
        _leaf(tree, "MCIOP", mciop.id, *mciop.charts, *mciop.manifests, f"makes {', '.join(mciop.vdu_ids) or 'no VDU'}")
    for aspect in flavour.scaling_aspects.values():
        steps = (f"{vdu} +{'/'.join(map(str, deltas))}" for vdu, deltas in aspect.deltas.items())
        _leaf(tree, "aspect", aspect.id, f"0 to {aspect.max_scale_level}", *steps)
    for level in flavour.instantiation_levels.values():
        counts = (f"{count} {vdu}" for vdu, count in level.vdu_counts.items())
        _leaf(tree, "level", level.id, *counts, *(("default",) if level.id == flavour.default_level_id else ()))
    for rule in flavour.affinity_rules:
        _leaf(tree, rule.kind.lower().replace("_", "-"), rule.id, rule.scope, f"of {', '.join(rule.targets)}")
    for hook, script in flavour.lcm_scripts.items():
        _leaf(tree, "script", hook, script.path)
    if flavour.base_hot:
        _leaf(tree, "BaseHOT", flavour.base_hot.path, *flavour.base_hot.files)


def _vdu(tree: Tree, flavour: Flavour, vdu: Vdu) -> None:
    most = "any number" if vdu.max_instances is None else vdu.max_instances
    sizes = [f"{vdu.virtual_cpus} CPUs" if vdu.virtual_cpus else "", _size(vdu.virtual_memory)]
    size = vdu.requested_capability or " ".join(filter(None, sizes))
    branch = tree.add(_text("VDU", vdu.id, size, f"{vdu.min_instances} to {most}", vdu.description))
    _image(branch, vdu.software_image)
    for container in (flavour.containers[name] for name in vdu.container_ids):
        _image(_leaf(branch, "container", container.id), container.software_image)
    for storage in (flavour.storages[name] for name in vdu.storage_ids):
        _image(_leaf(branch, "storage", storage.id, storage.kind, _size(storage.size)), storage.software_image)
    for cp in flavour.cps_of(vdu.id):
        _leaf(branch, "CP", cp.id, f"on {cp.virtual_link_id or 'an external network'}", *cp.layer_protocols)


def _image(tree: Tree, image: SoftwareImage | None) -> None:
    if image:
        _leaf(tree, "image", image.name, image.version, image.path or image.url or "expected in the VIM")


def _size(count: int | None) -> str:
    """Bytes in the unit that leaves the fewest digits."""
    unit = next((at for at in (4, 3, 2, 1) if count and count % 1024**at == 0), 0)
    return f"{(count or 0) // 1024**unit} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[unit]}" if count else ""


def _leaf(tree: Tree, kind: str, name: str, *rest: str) -> Tree:
    return tree.add(_text(kind, name, *rest))


def _text(kind: str, name: str, *rest: str) -> Text:
    return Text.assemble((f"{kind} ", "dim"), (name, "bold"), "  ", "  ".join(filter(None, rest)))
