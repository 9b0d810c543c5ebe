"""Puts together what one interface needs for its subscriptions: API, deliverer and housekeeping."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from forestay_events.aggregate import Aggregates
from forestay_events.errors import Unavailable
from forestay_events.platform import Platform
from forestay_sol.api import Route

from forestay_notify.api import Resource, SubscriptionApi
from forestay_notify.callbacks import Callbacks, open_callbacks
from forestay_notify.deliverer import Deliverer
from forestay_notify.delivery_log import DeliveryLog
from forestay_notify.directory import directory
from forestay_notify.filter_index import Wanted
from forestay_notify.housekeeping import Housekeeping, recording, shredding
from forestay_notify.outgoing import Outgoing
from forestay_notify.projection import SubscriptionProjection
from forestay_notify.settings import NotifySettings
from forestay_notify.subscription import Json


def projection(
    resource: Resource, endpoint: str, wanted: Callable[[Json | None], Wanted], *, dispatch: bool = True
) -> SubscriptionProjection:
    """The read model of an interface's subscriptions; to stand before the projections that announce."""
    return SubscriptionProjection(
        resource.definition,
        Outgoing(resource.schema),
        wanted=wanted,
        document=resource.document,
        uri=lambda id_: f"{endpoint}{resource.path}/{id_}",
        dialects=resource.dialects,
        dispatch=dispatch,
    )


class Notifier:
    """The subscriptions of one interface.

    :param broken: why an aggregate is read-only, of the projector that keeps the stream.
    :param loopback: callbacks may be on this machine. That is so while authentication is off: everybody who reaches this server
        is on this machine already, or was let in on purpose.
    """

    def __init__(
        self,
        platform: Platform,
        resource: Resource,
        settings: NotifySettings,
        *,
        broken: Callable[[str], str | None],
        loopback: bool = True,
    ) -> None:
        self._platform = platform
        self._resource = resource
        self._settings = settings
        self._loopback = loopback
        self._callbacks: Callbacks | None = None
        outgoing = Outgoing(resource.schema)
        self._deliveries = DeliveryLog(platform.pool, outgoing)
        self._subscriptions = Aggregates(platform.store, resource.definition, platform.clock, broken=broken)
        self._deliverer = Deliverer(
            platform.pool, platform.config.database_url, outgoing, directory(platform.pool, platform.vault, resource.schema),
            version=resource.version, longest_pause=settings.notify_retry_pause,
        )  # fmt: skip
        self._housekeeping = Housekeeping(
            platform.pool, outgoing, settings, recording(self._subscriptions),
            also=shredding(platform.pool, platform.vault, resource.schema),
        )  # fmt: skip

    def routes(self, resource: Resource | None = None, kind: type[SubscriptionApi] = SubscriptionApi) -> list[Route]:
        """The routes of the interface's resource, or of the one that an older version of the interface has beside it."""
        test = self._settings.notify_test_callback
        api = kind(
            self._platform, resource or self._resource, self._subscriptions, self._deliveries, self._opened, test=test
        )
        return api.routes()

    def background(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The jobs that run in every replica."""
        return {"notifier": self._deliver, "notifications-housekeeping": self._housekeeping.run}

    async def _deliver(self) -> None:
        async with open_callbacks(self._settings, loopback=self._loopback) as callbacks:
            self._callbacks = callbacks
            try:
                await self._deliverer.run(callbacks)
            finally:
                self._callbacks = None

    def _opened(self) -> Callbacks:
        """:raises Unavailable: the process is just starting or ending."""
        if self._callbacks is None:
            raise Unavailable("the client for callbacks is not open", delay=1)
        return self._callbacks
