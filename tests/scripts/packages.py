"""Variants of a sample package: other scripts, another id, another template."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from forestay_standalone.rest import RestApi

from tests.flow.scenario import PACKAGES
from tests.packages.build import build_csar

Json = dict[str, Any]
PYTHON = "tosca.artifacts.Implementation.Python"


def variant(
    directory: Path,
    sample: str,
    *,
    name: str,
    vnfd_id: str | None = None,
    hooks: Mapping[str, str] | None = None,
    files: Mapping[str, str | bytes] | None = None,
    edit: Callable[[Json, Path], None] = lambda flavour, tree: None,
) -> Path:
    """A CSAR.

    :param vnfd_id: in place of the sample's own.
    :param hooks: text of the script by hook.
    :param files: other files of the package.
    :param edit: changes the flavour's definition, or files in the tree.
    """
    tree = directory / name
    shutil.copytree(PACKAGES / sample, tree)
    definition = tree / "Definitions" / "df_simple.yaml"
    flavour: Json = yaml.safe_load(definition.read_text())
    for path, content in {**(files or {}), **_scripts(hooks or {})}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    if hooks:
        node: Json = flavour["topology_template"]["node_templates"]["VNF"]
        node["artifacts"] = {
            hook: {"description": hook, "type": PYTHON, "file": f"../{path}"}
            for hook, path in zip(hooks, _scripts(hooks), strict=True)
        }
        node["interfaces"] = {"Vnflcm": {"operations": {hook: {"implementation": hook} for hook in hooks}}}
    edit(flavour, tree)
    definition.write_text(yaml.safe_dump(flavour, sort_keys=False))
    if vnfd_id:
        _rename(tree, vnfd_id)
    return build_csar(tree, directory / f"{name}.zip")


async def onboarded(api: RestApi, csar: Path) -> Json:
    """The package that was made of a CSAR."""
    package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
    uri = f"/vnfpkgm/v1/vnf_packages/{package['id']}"
    await api.upload(f"{uri}/package_content", csar)
    return await api.until(uri, "onboardingState", {"ONBOARDED"}, {"CREATED"})


def _scripts(hooks: Mapping[str, str]) -> dict[str, str]:
    return {f"Scripts/{hook}.py": text for hook, text in hooks.items()}


def _rename(tree: Path, vnfd_id: str) -> None:
    top = tree / "Definitions" / "top.vnfd.yaml"
    node = yaml.safe_load(top.read_text())["topology_template"]["node_templates"]["VNF"]
    old = node["properties"]["descriptor_id"]
    for path in (top, tree / "Definitions" / "types.yaml"):
        path.write_text(path.read_text().replace(old, vnfd_id))
