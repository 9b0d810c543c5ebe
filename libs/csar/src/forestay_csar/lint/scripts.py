"""Scripts of the package: they are Python 3, their modules can be found, a user-data class is there. Nothing is executed."""

from __future__ import annotations

import ast
import posixpath
import sys
import warnings
from collections.abc import Iterator

from forestay_csar.findings import Finding, finding
from forestay_csar.lint.subject import Subject

_PYTHON = "tosca.artifacts.Implementation.Python"
#: What the script runner has beside Python's own library.
_AT_HAND = sys.stdlib_module_names | {"oslo_log", "yaml"}

_V2, _OPENSTACK = "sol_refactored.common", "sol_refactored.infra_drivers.openstack"
_V1, _V1_HOOKS = "vnfm.lcm_user_data", "vnfm.mgmt_drivers"

#: Of Tacker's modules those that scripts find, with the packages that they are in.
TACKER = frozenset(
    {"tacker", "tacker.common", "tacker.sol_refactored", "tacker.sol_refactored.infra_drivers", "tacker.vnfm"}
    | {f"tacker.{package}" for package in (_V2, _OPENSTACK, _V1, _V1_HOOKS)}
    | {f"tacker.common.{name}" for name in ("cmd_executer", "config", "exceptions", "log")}
    | {
        f"tacker.{_V2}.{name}"
        for name in ("common_script_utils", "coord_client", "exceptions", "vnf_instance_utils", "vnfd_utils")
    }
    | {f"tacker.{_OPENSTACK}.{name}" for name in ("userdata_default", "userdata_standard", "userdata_utils")}
    | {f"tacker.{_V1}.{name}" for name in ("abstract_user_data", "constants", "utils")}
    | {f"tacker.{_V1_HOOKS}.vnflcm_abstract_driver"}
)


def check_scripts(subject: Subject) -> Iterator[Finding]:
    """LCM scripts that the VNFD names, and every Python file of a folder for scripts or user data."""
    names = set(subject.archive.names)
    named = {
        script.path
        for flavour in subject.vnfd.flavours.values()
        for script in flavour.lcm_scripts.values()
        if script.type == _PYTHON or script.path.endswith(".py")
    }
    lying = {name for name in names if name.endswith(".py") and name.split("/")[0].lower() in ("scripts", "userdata")}
    for name in sorted(named | lying):
        yield from _script(subject, name)


def _script(subject: Subject, name: str) -> Iterator[Finding]:
    text = subject.archive.text(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what an author's regular expression looks like is not ours to say
            tree = ast.parse(text)
    except SyntaxError as error:
        yield finding("script-syntax", f"{name} is not Python 3: {error.msg}.", file=name, line=error.lineno)
        return
    except (ValueError, RecursionError, MemoryError) as error:
        yield finding("script-syntax", f"{name} cannot be parsed: {error}.", file=name)
        return
    beside = {posixpath.basename(each).removesuffix(".py") for each in _siblings(subject, name)}
    if _is_user_data(name):
        beside |= {each.split("/")[0].removesuffix(".py") for each in subject.archive.names if each.endswith(".py")}
    for node in tree.body:
        for module in _imported(node):
            if module not in _AT_HAND and module not in TACKER and module not in beside:
                message = f"{name} imports {module}, which is neither in the package nor in the script runner."
                yield finding("script-import", message, file=name, line=node.lineno)
    if _is_user_data(name) and not posixpath.basename(name).startswith("__") and not _has_class(tree):
        yield finding("user-data-class", f"{name} has no class with a method 'instantiate'.", file=name)


def _is_user_data(name: str) -> bool:
    """Whether a script says what stacks are made of: then it is a module of its package, and may import all of it."""
    return "userdata" in posixpath.dirname(name).lower()


def _siblings(subject: Subject, name: str) -> Iterator[str]:
    """Modules and packages in the folder of a script, from where it can import."""
    folder = posixpath.dirname(name)
    for each in subject.archive.names:
        if posixpath.dirname(each) == folder:
            yield each
        elif posixpath.dirname(posixpath.dirname(each)) == folder and each.endswith(".py"):
            yield posixpath.dirname(each)


def _imported(node: ast.stmt) -> list[str]:
    """What a statement imports: the first parts of names, but of Tacker's modules the whole ones."""
    if isinstance(node, ast.Import):
        return [_first(alias.name) for alias in node.names]
    if not isinstance(node, ast.ImportFrom) or not node.module or node.level:
        return []
    inside = [f"{node.module}.{alias.name}" for alias in node.names]
    return (
        inside
        if node.module in TACKER and any(name.startswith(f"{node.module}.") for name in TACKER)
        else [_first(node.module)]
    )


def _first(module: str) -> str:
    first = module.partition(".")[0]
    return module if first == "tacker" else first


def _has_class(tree: ast.Module) -> bool:
    """Also one that derives from a class which has the method: only running would tell more."""
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return any(
        each.bases or any(isinstance(inner, ast.FunctionDef) and inner.name == "instantiate" for inner in each.body)
        for each in classes
    )
