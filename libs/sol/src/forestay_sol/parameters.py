"""Query parameters, as routes declare them for the OpenAPI document. Who reads one of them also declares it."""

from __future__ import annotations

from typing import Any

import msgspec


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """A query parameter.

    :param schema: of its value, as JSON Schema.
    """

    name: str
    description: str
    schema: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})


FILTER = Query(
    name="filter", description="Attribute filter (SOL013 5.2), as in `(eq,vnfInstanceName,edge);(neq,id,4711)`."
)
PAGE = (
    Query(name="nextpage_opaque_marker", description="Marker of a page, from the `Link` header of the one before."),
    Query(name="limit", description="Entries that the page has at most.", schema={"type": "integer", "minimum": 1}),
)
_FLAG = {"type": "string", "maxLength": 0}
SELECTORS = (
    Query(name="all_fields", description="Show all attributes (SOL013 5.3).", schema=_FLAG),
    Query(name="fields", description="Attributes to show beside the mandatory ones, separated by commas."),
    Query(name="exclude_fields", description="Attributes to leave out, separated by commas."),
    Query(name="exclude_default", description="Leave out the attributes that are left out by default.", schema=_FLAG),
)
LIST = (FILTER, *SELECTORS, *PAGE)
DRY_RUN = Query(
    name="dry_run",
    description="Say what would be done, and do nothing (an addition to SOL003).",
    schema={"type": "string", "enum": ["true", "false"]},
)
