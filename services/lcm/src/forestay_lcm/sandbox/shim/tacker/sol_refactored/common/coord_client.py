"""The client of the LCM coordination API (ETSI GS NFV-SOL 002 clause 10) for coordination scripts."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import Any

from . import exceptions as sol_ex

DEFAULT_INTERVAL = 5
DEFAULT_TIMEOUT = 600
_VERSION = "1.0.0"


def create_coordination(
    endpoint: str, authentication: dict[str, Any], coord_request: dict[str, Any], timeout: float | None = None
) -> dict[str, Any]:
    """Start a coordination action and wait for its LcmCoord.

    :param authentication: SubscriptionAuthentication with BASIC or OAUTH2_CLIENT_CREDENTIALS.
    :param timeout: seconds for all of it, 600 by default.
    :raises SolException: refused, no end within the time, or no such authentication.
    """
    deadline = time.monotonic() + float(timeout or DEFAULT_TIMEOUT)
    headers = {"Version": _VERSION, "Content-Type": "application/json", "Accept": "application/json"}
    headers["Authorization"] = _authorization(authentication)
    url = f"{endpoint.rstrip('/')}/lcmcoord/v1/coordinations"
    request = urllib.request.Request(url, json.dumps(coord_request).encode(), headers, method="POST")  # noqa: S310
    while True:
        status, answer_headers, body = _send(request)
        if status in (200, 201):
            return json.loads(body)
        if status not in (202, 503):
            raise sol_ex.SolException(sol_detail=f"The coordination was refused with {status}: {body[:500]}")
        if status == 202 and (location := answer_headers.get("Location")):
            request = urllib.request.Request(urllib.parse.urljoin(url, location), headers=headers)  # noqa: S310
        delay = _seconds(answer_headers.get("Retry-After"))
        if time.monotonic() + delay > deadline:
            raise sol_ex.SolException(sol_detail="The coordination did not end in time.")
        time.sleep(delay)


def _send(request: urllib.request.Request) -> tuple[int, Message, str]:
    try:
        with urllib.request.urlopen(request, timeout=30, context=ssl.create_default_context()) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode(errors="replace")


def _authorization(authentication: dict[str, Any]) -> str:
    kinds = authentication.get("authType") or ()
    if "BASIC" in kinds:
        basic = authentication["paramsBasic"]
        return f"Basic {_basic(basic['userName'], basic['password'])}"
    if "OAUTH2_CLIENT_CREDENTIALS" not in kinds:
        raise sol_ex.SolException(sol_detail=f"No client for the authentication types {list(kinds)}.")
    oauth2 = authentication["paramsOauth2ClientCredentials"]
    headers = {"Authorization": f"Basic {_basic(oauth2['clientId'], oauth2['clientPassword'])}"}
    request = urllib.request.Request(oauth2["tokenEndpoint"], b"grant_type=client_credentials", headers)  # noqa: S310
    status, _, body = _send(request)
    if status != 200:
        raise sol_ex.SolException(sol_detail=f"The token was refused with {status}.")
    return f"Bearer {json.loads(body)['access_token']}"


def _basic(user: str, password: str) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isdigit() else DEFAULT_INTERVAL
