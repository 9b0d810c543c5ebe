"""Finds the subscriber behind a subscription: its callback, and its secrets opened."""

from __future__ import annotations

import asyncpg
import msgspec
from forestay_events.database import answering
from forestay_events.sealing import Vault

from forestay_notify.authentication import SubscriptionAuthentication
from forestay_notify.deliverer import Directory, Subscriber
from forestay_notify.projection import decode_state
from forestay_notify.subscription import AUTHENTICATION

_READ = "SELECT state FROM {schema}.subscription WHERE id = $1 AND NOT deleted"


def directory(pool: asyncpg.Pool, vault: Vault, schema: str) -> Directory:
    """The subscriptions that :class:`~forestay_notify.projection.SubscriptionProjection` keeps in ``schema``."""
    read = _READ.replace("{schema}", schema)

    async def find(subscription_id: str) -> Subscriber | None:
        with answering():
            state = await pool.fetchval(read, subscription_id)
        if state is None:
            return None
        subscription = decode_state(state)
        if subscription.authentication is None:
            return Subscriber(subscription.callback_uri, dialect=subscription.dialect)
        opened = await vault.open_members(subscription_id, subscription.authentication, path=AUTHENTICATION)
        authentication = msgspec.convert(opened, SubscriptionAuthentication)
        return Subscriber(subscription.callback_uri, authentication, subscription.dialect)

    return find
