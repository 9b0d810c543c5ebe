"""How often those who wait look at a cloud: the more there are, the less often each.

Rules of this module: no I/O. A look has a slot of time for itself; whoever wants to look again, or was turned away, gets the
first free one from when he wants it. So an operation alone looks when it likes; and however many wait, their cloud is not looked
at more often than ``EACH_SECOND``, by one process.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import ceil

from forestay_events.errors import Retryable, Unavailable

from forestay_lcm.executor import Again, Outcome

EACH_SECOND = 20


class Pace:
    """The slots of one cloud; ``clock`` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: set[int] = set()

    def next(self, delay: float) -> float:
        """Take a slot; gives the seconds until then, which are ``delay`` or more."""
        now = self._clock()
        self._taken = {slot for slot in self._taken if slot >= now * EACH_SECOND}
        slot = ceil((now + delay) * EACH_SECOND)
        while slot in self._taken:
            slot += 1
        self._taken.add(slot)
        return slot / EACH_SECOND - now

    async def look(self, look: Awaitable[Outcome], pause: float) -> Outcome:
        """The outcome of a look: if another one is to follow, it has its slot, as has one that the cloud has turned away.

        :param pause: seconds until the next try of what the cloud has turned away and not said for how long.
        """
        try:
            outcome = await look
        except Unavailable:  # no server of the cloud
            raise
        except Retryable as error:
            outcome = Again(error.delay or pause, str(error))
        return replace(outcome, delay=self.next(outcome.delay)) if isinstance(outcome, Again) else outcome
