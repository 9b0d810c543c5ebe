"""Prints what happens to VNF instances: ``python docs/follow_stream.py nats://127.0.0.1:4222 [SEQUENCE]``.

SEQUENCE is the last one that has been seen; whoever keeps it beside what it made of the event misses nothing and repeats nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy


async def follow(url: str, last_seen: int) -> None:
    client = await nats.connect(url)
    begin = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=last_seen + 1)
    feed = await client.jetstream().subscribe("lcm.vnf.>", stream="LCM", ordered_consumer=True, config=begin)
    async for message in feed.messages:
        commit = json.loads(message.data)
        for event in commit["events"]:
            happened = (message.metadata.sequence.stream, commit["aggregate_id"], event["type"], commit["reason"])
            sys.stdout.write("\t".join(map(str, happened)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0))
