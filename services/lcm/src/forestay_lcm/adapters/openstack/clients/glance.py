"""Glance v2: images, found by their tags.

All methods raise as :meth:`Transport.request` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from forestay_events.errors import Permanent, Retryable

from forestay_lcm.adapters.openstack.clients.heat import Caller
from forestay_lcm.adapters.openstack.clients.paging import PAGE, T, items
from forestay_lcm.adapters.openstack.clients.transport import Content, NotFound

SERVICE = "image"


class Full(Retryable):
    """The image has as many tags as Glance lets it have (``image_tag_quota``)."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """An image; ``size`` is bytes, ``None`` until there is content."""

    id: str
    name: str | None
    status: str
    created_at: datetime
    updated_at: datetime
    size: int | None = None
    tags: frozenset[str] = frozenset()


class Glance:
    """The images that a project sees."""

    def __init__(self, cloud: Caller) -> None:
        self._cloud = cloud

    async def tagged(self, *tags: str) -> list[Image]:
        """The images that have all these tags, whatever their status."""
        return await self.found({"tag": list(tags)}, Image)

    async def found(self, query: dict[str, Any], kind: type[T]) -> list[T]:
        """All images that a query is about, as this."""
        ask = partial(self._cloud.request, SERVICE, "GET", "/v2/images")
        return await items(ask, "images", kind, {**query, "limit": PAGE})

    async def show(self, image_id: str) -> Image | None:
        """An image, ``None`` if there is none."""
        try:
            reply = await self._cloud.request(SERVICE, "GET", f"/v2/images/{image_id}")
        except NotFound:
            return None
        return reply.read(Image)

    async def create(self, *, name: str, tags: Iterable[str], **properties: Any) -> Image:
        """Make a private image without content."""
        body = {"name": name, "visibility": "private", "tags": sorted(tags), **properties}
        reply = await self._cloud.request(SERVICE, "POST", "/v2/images", body=body, acts=True)
        return reply.read(Image)

    async def upload(self, image_id: str, content: Content) -> None:
        """Fill an image that is queued. :raises AlreadyExists: it has content, or somebody else fills it."""
        await self._cloud.request(SERVICE, "PUT", f"/v2/images/{image_id}/file", body=content, acts=True)

    async def tag(self, image_id: str, tag: str) -> None:
        """Add a tag; it may be there already. :raises NotFound: no such image. :raises Full: it has too many."""
        try:
            await self._cloud.request(SERVICE, "PUT", f"/v2/images/{image_id}/tags/{tag}")
        except Permanent as error:
            if error.status == 413:
                raise Full(str(error)) from error
            raise

    async def untag(self, image_id: str, tag: str) -> bool:
        """Take a tag away; gives whether it was there."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/v2/images/{image_id}/tags/{tag}")
        except NotFound:
            return False
        return True

    async def delete(self, image_id: str) -> None:
        """Delete an image; it need not be there."""
        try:
            await self._cloud.request(SERVICE, "DELETE", f"/v2/images/{image_id}")
        except NotFound:
            return
