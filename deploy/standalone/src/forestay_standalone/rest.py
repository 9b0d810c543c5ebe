"""A small client of Forestay's own REST API, for the demo and for tests that act as a client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
from forestay_events.errors import Permanent

Json = dict[str, Any]


class Refused(Permanent):
    """The API answered 4xx or 5xx; ``status`` is it and the text has the body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message, status=status)


class RestApi:
    """Forestay's REST API with refusals as errors.

    :param session: with the API's URL as its base and the ``Version`` header set.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """The JSON of the answer, with its ``Location`` as member ``location``. :raises Refused: 4xx or 5xx."""
        async with self._session.request(method, path, json=body) as response:
            return await self._answer(response)

    async def upload(self, path: str, csar: Path) -> Json:
        with csar.open("rb") as file:
            headers = {"Content-Type": "application/zip"}
            async with self._session.put(path, data=file, headers=headers) as response:
                return await self._answer(response)

    async def list(self, path: str) -> list[Json]:
        """A list, its first page."""
        async with self._session.get(path) as response:
            if response.status >= 400:
                await self._answer(response)
            return await response.json()

    async def until(self, path: str, member: str, good: set[str], bad: set[str], *, patience: float = 60.0) -> Json:
        """Ask until ``member`` has a good value; 503 means to ask again.

        :raises Permanent: it got a bad one, or none within ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                document = await self.send("GET", path)
            except Refused as refusal:
                if refusal.status != 503:
                    raise
                document = {member: None}
            if document[member] in good:
                return document
            if document[member] in bad:
                why = document.get("error") or document.get("onboardingFailureDetails") or {}
                raise Permanent(f"{path} is {document[member]}: {why.get('detail', 'no reason given')}")
            await asyncio.sleep(0.05)
        raise Permanent(f"{path} did not become {' or '.join(good)} within {patience:.0f} s.")

    async def until_deleted(self, path: str, *, patience: float = 20.0) -> Json:
        """Delete, and again while the answer is 409: who uses a resource learns of its end from the log a moment later.

        :raises Refused: another answer, or still 409 after ``patience`` seconds.
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                return await self.send("DELETE", path)
            except Refused as refusal:
                if refusal.status != 409 or time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.05)

    @staticmethod
    async def _answer(response: aiohttp.ClientResponse) -> Json:
        text = await response.text()
        if response.status >= 400:
            raise Refused(
                response.status, f"{response.method} {response.url.path} was answered {response.status}: {text}"
            )
        location = {"location": response.headers["Location"]} if "Location" in response.headers else {}
        return (await response.json() if text and response.content_type == "application/json" else {}) | location
