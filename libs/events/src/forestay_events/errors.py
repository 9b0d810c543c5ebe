"""The one error tree of Forestay.

Pure code proposes what an error means (a status, a retry, a stop); the edge decides what to do about it. Adapters turn
every foreign exception into one of these, so nothing else needs to know a client library's errors.
"""

from __future__ import annotations

from typing import Any


class ForestayError(Exception):
    """Root of all errors that Forestay raises on purpose. ``str(error)`` is a sentence an operator can act on."""


class Rejected(ForestayError):
    """A request that cannot be accepted: a 4xx answer, nothing changed.

    :param status: HTTP status code (400..499).
    :param detail: what was wrong and what to do, in one or two sentences.
    :param pointer: RFC 6901 JSON pointer to the member at fault, ``""`` for the whole body, ``None`` if it is no body matter.
    :param title: overrides the status' standard phrase.
    :param type_: problem type URI reference (RFC 9457), ``about:blank`` when ``None``.
    :param extra: further members of the ProblemDetails.
    :param headers: response headers that belong to the answer (``Retry-After``, ``Allow``).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        pointer: str | None = None,
        title: str | None = None,
        type_: str | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.pointer = pointer
        self.title = title
        self.type = type_
        self.extra = extra or {}
        self.headers = headers or {}


class Conflict(ForestayError):
    """Somebody else wrote the aggregate first: load it again and decide again."""


class Retryable(ForestayError):
    """A passing fault: the same work may be tried again.

    :param delay: seconds to wait before the next try; ``None`` leaves it to the caller's back-off.
    """

    def __init__(self, message: str, *, delay: float | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class Unavailable(Retryable):
    """A server that Forestay needs (NATS, PostgreSQL) does not answer: 503 with ``Retry-After`` at the edge."""


class Permanent(ForestayError):
    """Trying again cannot help.

    :param status: the status that a ProblemDetails about it carries.
    :param title: the ProblemDetails' title.
    """

    def __init__(self, message: str, *, status: int = 500, title: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.title = title


class UnknownOutcome(ForestayError):
    """The call may or may not have acted (a time-out, a reset after sending): look before repeating it."""


class LogIntegrityBroken(Permanent):
    """A gap, a fork or a wrong hash in the log: the aggregate is read-only until somebody has looked at it."""
