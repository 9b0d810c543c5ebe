"""Which resource needs which: by get_resource, get_attr and depends_on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from forestay_simvim.hot.template import ResourceDefinition, invalid


def references(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """The (resource name, where) of every reference in unevaluated data."""
    if isinstance(value, dict):
        if len(value) == 1:
            name, args = next(iter(value.items()))
            if name == "get_resource" and isinstance(args, str):
                yield args, f"{place}.get_resource"
                return
            if name == "get_attr" and isinstance(args, list) and args and isinstance(args[0], str):
                yield args[0], f"{place}.get_attr"
        for key, each in value.items():
            yield from references(each, f"{place}.{key}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from references(each, f"{place}[{number}]")


def graph(definitions: Mapping[str, ResourceDefinition], known: Mapping[str, Any]) -> dict[str, set[str]]:
    """The names each resource needs before it can be handled.

    :param definitions: the resources whose condition holds.
    :param known: all resources of the template; a reference to none of them is Heat's ``InvalidTemplateReference``, one
        to a resource whose condition does not hold counts for nothing.
    """
    needs: dict[str, set[str]] = {}
    for name, definition in definitions.items():
        found = set(definition.depends_on)
        for wanted, place in references(definition.properties, f"resources.{name}.Properties"):
            if wanted not in known:
                message = f'The specified reference "{wanted}" (in {place.rpartition(".")[0]}) is incorrect.'
                raise invalid("InvalidTemplateReference", message)
            found.add(wanted)
        needs[name] = found & definitions.keys()
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        cycle = ", ".join(str(each) for each in error.args[1])
        raise invalid("CircularDependencyException", f"Circular Dependency Found: {cycle}") from None
    return needs
