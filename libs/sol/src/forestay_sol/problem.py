"""What a failed request is answered: ProblemDetails (SOL013 6.3, RFC 9457), or ``TackerError`` on the legacy paths.

Rules: every error of Forestay's tree has one row in ``_ROWS``; anything else is a bug and is answered 500 with the
request id only, never with the exception's text. The place of a fault in the request body is an RFC 6901 pointer in
``invalidParams``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import hdrs, web
from forestay_events.errors import Conflict, Permanent, Rejected, Retryable, UnknownOutcome

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = 2.0

_encoder = msgspec.json.Encoder()


class InvalidParam(msgspec.Struct, frozen=True, kw_only=True):
    """One member of the request at fault: where (JSON pointer into the body) and why."""

    pointer: str
    reason: str


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """SOL013 6.3; there may be further members."""

    # ``extra`` holds further members, which are written beside the standard ones.
    status: int
    detail: str
    title: str | None = None
    type: str | None = None
    instance: str | None = None
    invalid_params: tuple[InvalidParam, ...] = ()
    extra: dict[str, Any] = {}

    def members(self) -> dict[str, Any]:
        """Give the JSON object, with the members of ``extra`` lifted to the top."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain.pop("extra", {}) | plain


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A problem with the headers that go with it."""

    problem: ProblemDetails
    headers: Mapping[str, str] = {}


def title_of(status: int) -> str:
    """Give the standard phrase of a status, ``"Error"`` for one that HTTP does not know."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def _problem(status: int, detail: str, title: str | None = None, **members: Any) -> ProblemDetails:
    return ProblemDetails(status=status, detail=detail, title=title or title_of(status), **members)


def rejected(error: Rejected) -> Answer:
    """Give the answer to a refusal."""
    params = () if error.pointer is None else (InvalidParam(pointer=error.pointer, reason=error.detail),)
    problem = _problem(
        error.status, error.detail, error.title, type=error.type, invalid_params=params, extra=dict(error.extra)
    )
    return Answer(problem=problem, headers=error.headers)


def _retryable(error: Retryable) -> Answer:
    delay = RETRY_AFTER if error.delay is None else error.delay
    return Answer(problem=_problem(503, str(error)), headers={hdrs.RETRY_AFTER: str(max(1, math.ceil(delay)))})


def _permanent(error: Permanent) -> Answer:
    return Answer(problem=_problem(error.status, str(error), error.title))


def _conflict(error: Conflict) -> Answer:
    return Answer(problem=_problem(409, str(error) or "Somebody else changed the resource at the same time."))


def _unknown_outcome(error: UnknownOutcome) -> Answer:
    return Answer(problem=_problem(504, f"{error} Look at the resource before you repeat the request."))


_HTTP_DETAIL: dict[int, Callable[[web.HTTPException], str]] = {
    404: lambda _: "The resource could not be found.",
    413: lambda _: "The request body is larger than this server accepts.",
}


def _http(error: web.HTTPException) -> Answer:
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Answer(problem=_problem(405, f"Method {error.method} is not supported."), headers={hdrs.ALLOW: allowed})
    detail = _HTTP_DETAIL.get(error.status, lambda it: it.reason)(error)
    return Answer(problem=_problem(error.status, detail))


def _unreadable(error: web.RequestPayloadError) -> Answer:
    return Answer(problem=_problem(400, "The request body cannot be read: its transfer or content encoding is broken."))


_ROWS: tuple[tuple[type[Exception], Callable[[Any], Answer]], ...] = (
    (Rejected, rejected),
    (Conflict, _conflict),
    (Retryable, _retryable),
    (Permanent, _permanent),
    (UnknownOutcome, _unknown_outcome),
    (web.HTTPException, _http),
    (web.RequestPayloadError, _unreadable),
)


CLIENT_LEFT = Answer(problem=_problem(499, "The client closed the connection.", "Client Closed Request"))
"""Nobody reads this one, but logs and metrics count it."""


def answer_to(error: Exception) -> Answer | None:
    """Give the answer to an expected error; ``None`` for a bug, see :func:`bug`."""
    return next((row(error) for kind, row in _ROWS if isinstance(error, kind)), None)


def bug(request_id: str) -> Answer:
    """Give the answer to an unexpected error: nothing but the id under which the log tells about it."""
    detail = f"An unexpected error occurred. The log has the reason under request id {request_id}."
    return Answer(problem=_problem(500, detail, extra={"requestId": request_id}))


def problem_response(answer: Answer) -> web.Response:
    """Write an answer as ``application/problem+json``."""
    body = _encoder.encode(answer.problem.members())
    return web.Response(status=answer.problem.status, body=body, headers=answer.headers, content_type=PROBLEM_JSON)


def tacker_error_response(answer: Answer) -> web.Response:
    """Write an answer as the legacy API does; ``type`` is the problem's title written as one word."""
    problem = answer.problem
    kind = (problem.title or "Error").replace(" ", "")
    body = _encoder.encode({"TackerError": {"type": kind, "message": problem.detail, "detail": ""}})
    return web.Response(status=problem.status, body=body, headers=answer.headers, content_type="application/json")
