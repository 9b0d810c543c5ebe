"""What all SOL002/SOL003 structures of VNF lifecycle management share: names, identifiers, key-value pairs, links.

Rules: members are camelCase on the wire and snake_case here; members at their default are left out; unknown members
are accepted and dropped (SOL013 clause 8.3); what a type cannot hold is refused while decoding, which becomes the 400.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Sol(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of the SOL structures."""


Identifier = Annotated[str, Meta(min_length=1, max_length=255)]
"""Any of SOL013's Identifier, IdentifierInVnf, IdentifierInVnfd, IdentifierInVim, IdentifierLocal."""

Name = Annotated[str, Meta(max_length=255)]
Description = Annotated[str, Meta(max_length=1024)]
Count = Annotated[int, Meta(ge=0)]
AtLeastOne = Annotated[int, Meta(ge=1)]

Key = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9\-_:. /]{1,1024}$")]
Value = Annotated[str, Meta(max_length=1024)] | int | float | bool | list[Any] | dict[str, Any] | None
KeyValuePairs = dict[Key, Value]
"""SOL013 KeyValuePairs with the limits that Tacker's clients know: key alphabet, strings of at most 1024 characters."""

FreeKeyValuePairs = dict[Key, Any]
"""KeyValuePairs without a limit on strings: VIM interface and access data hold certificates and tokens."""

LcmOperation = Literal[
    "INSTANTIATE",
    "SCALE",
    "SCALE_TO_LEVEL",
    "CHANGE_FLAVOUR",
    "TERMINATE",
    "HEAL",
    "OPERATE",
    "CHANGE_EXT_CONN",
    "MODIFY_INFO",
    "CREATE_SNAPSHOT",
    "REVERT_TO_SNAPSHOT",
    "CHANGE_VNFPKG",
]
LcmOperationState = Literal[
    "STARTING", "PROCESSING", "COMPLETED", "FAILED_TEMP", "FAILED", "ROLLING_BACK", "ROLLED_BACK"
]


class Link(Sol, frozen=True, kw_only=True):
    """SOL013 Link: an absolute or relative URI of a resource."""

    href: str
