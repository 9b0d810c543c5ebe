"""What an outbox needs from time to time: giving up what could not be delivered for too long, and forgetting old accounts.

Each thing is harmless to do twice, so every replica may do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import asyncpg
import structlog
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.database import answering
from forestay_events.errors import Conflict, Permanent, Rejected, Unavailable
from forestay_events.sealing import Vault

from forestay_notify.metrics import EXPIRED
from forestay_notify.outgoing import Outgoing
from forestay_notify.settings import NotifySettings
from forestay_notify.subscription import Expire, Subscription, SubscriptionCommand, SubscriptionEvent

log = structlog.get_logger(__name__)

Subscriptions = Aggregates[Subscription, SubscriptionCommand, SubscriptionEvent]
#: Told to record that these notifications of a subscription are given up; leads to :meth:`Outgoing.expire`.
GiveUp = Callable[[str, Sequence[str]], Awaitable[None]]

ACTOR = "forestay:notifier"
_PERIOD = 30.0
_AT_ONCE = 500

_OVERDUE = """
SELECT subscription_id, array_agg(id ORDER BY seq) AS ids FROM (
    SELECT subscription_id, id, seq FROM {notify}.notification
    WHERE state = 'PENDING' AND since < now() - $1 * interval '1 hour' ORDER BY since LIMIT $2) AS overdue
GROUP BY subscription_id
"""
_FORGET = """
DELETE FROM {notify}.notification WHERE seq IN (
    SELECT seq FROM {notify}.notification
    WHERE state <> 'PENDING' AND ended_at < now() - $1 * interval '1 day' ORDER BY ended_at LIMIT $2)
"""


class Housekeeping:
    """Keeps one outbox.

    :param period: seconds between two rounds.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        outgoing: Outgoing,
        settings: NotifySettings,
        give_up: GiveUp,
        *,
        also: Callable[[], Awaitable[None]] | None = None,
        period: float = _PERIOD,
    ) -> None:
        self._pool = pool
        self._outgoing = outgoing
        self._settings = settings
        self._give_up = give_up
        self._also = also
        self._period = period

    async def run(self) -> None:
        """Keep it until cancelled."""
        while True:
            try:
                with answering():
                    await self.round()
            except Unavailable as error:
                log.warning("housekeeping.waiting", outbox=self._outgoing.schema, reason=str(error))
            await asyncio.sleep(self._period)

    async def round(self) -> None:
        """Do everything once. :raises Unavailable: PostgreSQL or the log does not answer."""
        sql, settings = self._outgoing.sql, self._settings
        for row in await self._pool.fetch(sql(_OVERDUE), settings.notify_keep_trying, _AT_ONCE):
            await self._give_up(row["subscription_id"], row["ids"])
            EXPIRED.labels(self._outgoing.schema).inc(len(row["ids"]))
            log.error("notifications.expired", subscription=row["subscription_id"], count=len(row["ids"]))
        await self._pool.execute(sql(_FORGET), settings.notify_log_days, 10 * _AT_ONCE)
        if self._also is not None:
            await self._also()


def recording(subscriptions: Subscriptions) -> GiveUp:
    """Giving up as an event of the subscription."""

    async def give_up(subscription_id: str, ids: Sequence[str]) -> None:
        state = (await subscriptions.load(subscription_id)).state
        if state is None:
            return
        origin = Origin(command_id=f"expire/{ids[0]}/{len(ids)}", project=state.project, actor=ACTOR)
        try:
            await subscriptions.execute(subscription_id, Expire(tuple(ids)), origin)
        except (Rejected, Conflict, Permanent) as error:
            log.warning("notifications.not_expired", subscription=subscription_id, reason=str(error))

    return give_up


def shredding(pool: asyncpg.Pool, vault: Vault, schema: str) -> Callable[[], Awaitable[None]]:
    """Destroying the data keys of deleted subscriptions."""
    table = "{schema}.subscription".replace("{schema}", schema)

    async def shred() -> None:
        for row in await pool.fetch(f"SELECT id FROM {table} WHERE deleted AND NOT shredded LIMIT $1", _AT_ONCE):  # noqa: S608
            await vault.shred(row["id"])
            await pool.execute(f"UPDATE {table} SET shredded = true WHERE id = $1", row["id"])  # noqa: S608

    return shred
