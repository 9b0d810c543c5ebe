"""BaseHOT: every flavour has a template, and every parameter of a template has a value (Tacker's layout, Heat's grammar).

Who fills parameters: ``nfv`` of the top template comes from grant, request and VNFD, unless a user-data script of the package
makes them all; those of a nested template come from the resource that uses it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from forestay_sol.vnfd import BaseHot, Flavour

from forestay_csar.definitions import YAML
from forestay_csar.documents import Tree
from forestay_csar.findings import Finding, finding
from forestay_csar.lint.subject import Subject

_FOLDER = "BaseHOT"
_PSEUDO = {"OS::stack_name", "OS::stack_id", "OS::project_id"}
_GROUPS = {
    "OS::Heat::AutoScalingGroup": "resource",
    "OS::Heat::InstanceGroup": "resource",
    "OS::Heat::ResourceGroup": "resource_def",
}


def check_templates(subject: Subject) -> Iterator[Finding]:
    """Missing and superfluous templates, and the parameters of those that are there."""
    for flavour in subject.vnfd.flavours.values():
        if flavour.base_hot is None:
            yield from _without(flavour, subject.topology(flavour.id))
        else:
            yield from _Templates(subject, flavour, flavour.base_hot).check()
    folders = {
        name.split("/")[1] for name in subject.archive.names if name.startswith(f"{_FOLDER}/") and name.count("/") > 1
    }
    for folder in sorted(folders - subject.vnfd.flavours.keys()):
        yield finding(
            "base-hot-flavour", f"{_FOLDER}/{folder} belongs to no flavour of the VNFD.", file=f"{_FOLDER}/{folder}"
        )


def _without(flavour: Flavour, topology: Tree) -> Iterator[Finding]:
    """A flavour for Kubernetes needs no template; one whose VDUs are described well enough gets one made of the VNFD."""
    if flavour.mciops or flavour.containers:
        return
    boots = {
        vdu.id
        for vdu in flavour.vdus.values()
        if vdu.software_image or any(_image(flavour, s) for s in vdu.storage_ids)
    }
    sized = {
        vdu.id for vdu in flavour.vdus.values() if vdu.requested_capability or (vdu.virtual_cpus and vdu.virtual_memory)
    }
    if vague := sorted(flavour.vdus.keys() - (boots & sized)):
        message = (
            f"Flavour {flavour.id} has no BaseHOT, and no image or compute size of {', '.join(vague)} to make one from."
        )
        yield topology.finding("base-hot-missing", message)
    else:
        yield topology.finding("base-hot-made", f"Flavour {flavour.id} has no BaseHOT: it is made from the VNFD.")


def _image(flavour: Flavour, storage_id: str) -> bool:
    return flavour.storages[storage_id].software_image is not None


class _Templates:
    """The templates of one flavour."""

    def __init__(self, subject: Subject, flavour: Flavour, hot: BaseHot) -> None:
        self._flavour = flavour
        self._has_user_data = any("userdata" in name.lower() and name.endswith(".py") for name in subject.archive.names)
        self._top = subject.documents.load(hot.path)
        folder = f"{posixpath.dirname(hot.path)}/nested"
        self._nested = {name: subject.documents.load(f"{folder}/{name}") for name in hot.files}

    def check(self) -> Iterator[Finding]:
        for template in (self._top, *self._nested.values()):
            yield from self._references(template)
            for resource in template.at("resources").mapping().values():
                yield from self._resource(resource)
        for name, schema in self._top.at("parameters").mapping().items():
            if name != "nfv" and not self._has_user_data and not _has_default(schema):
                message = f"Nothing gives the parameter {name} a value; only nfv is filled."
                yield schema.finding("template-parameter", message)

    def _resource(self, resource: Tree) -> Iterator[Finding]:
        """A nested template exists, and gets a value for each parameter that has no default."""
        inner = _GROUPS.get(resource.at("type").text(""))
        used = resource.at("properties", inner) if inner else resource
        kind = used.at("type").text("")
        if not kind.endswith(YAML):
            return
        nested = self._nested.get(posixpath.basename(kind))
        if nested is None:
            yield used.at("type").finding("template-nested-missing", f"{kind} is not in the package.")
            return
        given = used.at("properties").mapping()
        for name, schema in nested.at("parameters").mapping().items():
            if name not in given and not _has_default(schema):
                yield used.at("type").finding("template-parameter", f"{kind} gets no value for its parameter {name}.")

    def _references(self, template: Tree) -> Iterator[Finding]:
        declared = template.at("parameters").mapping()
        known = {
            "VDU": {*self._flavour.vdus, *self._flavour.storages},
            "CP": {*self._flavour.cps, *self._flavour.ext_cps},
        }
        for section in ("conditions", "resources", "outputs"):
            for place, path in _asked(template.at(section)):
                if path[0] not in declared and path[0] not in _PSEUDO:
                    yield place.finding("template-parameter-undeclared", f"The parameter {path[0]} is not declared.")
                elif (
                    template is self._top
                    and path[0] == "nfv"
                    and len(path) > 3
                    and path[2] not in known.get(path[1], path)
                ):
                    message = f"Flavour {self._flavour.id} has no {path[2]} that nfv could hold under {path[1]}."
                    yield place.finding("template-nfv-unknown", message)


def _asked(tree: Tree) -> Iterator[tuple[Tree, list[str]]]:
    """Each ``get_param`` below a place, with the path that it asks for."""
    if isinstance(tree.value, list):
        for each in tree.elements():
            yield from _asked(each)
    elif isinstance(tree.value, dict):
        for key, each in tree.mapping().items():
            yield from _asked(each)
            parts = each.elements() if isinstance(each.value, list) else [each]
            if key == "get_param" and parts and isinstance(parts[0].value, str):
                yield each, [str(part.value) for part in parts]


def _has_default(schema: Tree) -> bool:
    return isinstance(schema.value, dict) and "default" in schema.value
