"""The sizes of groups that a template says itself, not by ``nfv``: how many VNFCs there are is what was granted.

Rules of this module: pure; a group whose size is a parameter, or whose member is no nested template, stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from forestay_events.errors import Permanent
from forestay_sol.resource_types import GROUP

from forestay_lcm.adapters.openstack.template.hot import Json
from forestay_lcm.adapters.openstack.template.parsing import parsed_text

_SIZE = "desired_capacity"


def sized(template: Json, files: Mapping[str, str], counts: Mapping[str, int]) -> Json:
    """The template with these sizes.

    :param files: the nested templates by name.
    :param counts: how many instances there are to be of each VDU.
    """
    resources: Json = dict(template["resources"])
    for name, group in resources.items():
        properties: Json = group.get("properties") or {}
        if group.get("type") == GROUP and not isinstance(properties.get(_SIZE), dict | list):
            sizes = [counts[node] for node in _held(properties.get("resource") or {}, files) if node in counts]
            if sizes and str(properties.get(_SIZE)) != str(sizes[0]):
                resources[name] = group | {"properties": properties | {_SIZE: sizes[0]}}
    return template | {"resources": resources}


def _held(member: Json, files: Mapping[str, str]) -> Iterator[str]:
    """The names of the resources of a group's member."""
    with suppress(Permanent, KeyError, TypeError):
        yield from parsed_text(files[str(member["type"])])["resources"]
