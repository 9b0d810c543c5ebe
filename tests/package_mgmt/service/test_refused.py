"""What is refused, with which status and words, and that nothing half-made remains."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from forestay_package_mgmt.settings import Settings

from tests.package_mgmt.service.conftest import ROOT, Serve, Server

Pack = Callable[[dict[str, str | bytes]], Path]
NOBODY = str(uuid4())
ZIP = {"Content-Type": "application/zip"}


async def test_requests_that_say_nothing_sensible(serve: Serve) -> None:
    async with serve() as server:
        created = await server.create()
        before = await server.show(created)
        wrong: list[tuple[str, str, dict[str, Any], int, str]] = [
            ("POST", "", {}, 400, "body is missing"),
            ("POST", "", {"data": b"{"}, 400, "Malformed"),
            ("POST", "", {"json": []}, 400, "object"),
            ("POST", "", {"json": {"userDefinedData": 1}}, 400, "/userDefinedData"),
            ("GET", "?filter=eq,id,x", {}, 400, "filter"),
            ("GET", "?filter=(eq,colour,red)", {}, 400, "colour"),
            ("GET", "?fields=vnfdId", {}, 400, "vnfdId"),
            ("GET", "?fields=colour", {}, 400, "colour"),
            ("GET", "?all_fields=1", {}, 400, "all_fields"),
            ("GET", "?all_fields&fields=checksum", {}, 400, "combined"),
            ("GET", "?nextpage_opaque_marker=x", {}, 400, "marker"),
            ("PATCH", f"/{created}", {"json": {}}, 400, "operationalState"),
            ("PATCH", f"/{created}", {"json": {"operationalState": "ON"}}, 400, "/operationalState"),
            ("PATCH", f"/{created}", {"json": {"operationalState": None}}, 400, "/operationalState"),
            ("PATCH", f"/{created}", {"json": {"operationalState": "ENABLED"}}, 400, "ONBOARDED"),
            ("PUT", f"/{created}/package_content", {"data": b"", "headers": ZIP}, 400, "body is missing"),
            ("PUT", f"/{created}/package_content", {"json": {}}, 415, "application/zip"),
            ("GET", f"/{created}/package_content", {}, 409, "ONBOARDED"),
            ("GET", f"/{created}/vnfd", {}, 409, "ONBOARDED"),
            ("GET", f"/{created}/artifacts/a", {}, 409, "ONBOARDED"),
            ("GET", f"/{NOBODY}", {}, 404, "not found"),
            ("GET", "/*", {}, 404, "identifier"),
            ("GET", "/a.b", {}, 404, "identifier"),
            ("PATCH", f"/{NOBODY}", {"json": {"userDefinedData": {"a": 1}}}, 404, "not found"),
            ("DELETE", f"/{NOBODY}", {}, 404, "not found"),
            ("GET", f"/{NOBODY}/vnfd", {}, 404, "not found"),
            ("GET", f"/{NOBODY}/package_content", {}, 404, "not found"),
            ("GET", f"/{NOBODY}/artifacts/a", {}, 404, "not found"),
            ("PUT", "", {"json": {}}, 405, "PUT"),
            ("POST", f"/{created}/package_content", {"data": b"x"}, 405, "POST"),
        ]
        for method, path, options, expected, words in wrong:
            status, problem = await server.ask(method, path, **options)
            assert status == expected, (method, path, problem)
            assert words in problem["detail"], (method, path, problem)
        assert await server.upload(NOBODY, b"x") == 404
        assert await server.show(created) == before
        assert len((await server.ask("GET", ""))[1]) == 1
        assert await server.blobs() == set()


async def test_requests_that_the_state_does_not_allow(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        info = await server.onboard(asg)
        path = f"/{info['id']}"
        for method, below, options, expected in (
            ("DELETE", "", {}, 409),
            ("PUT", "/package_content", {"data": b"x", "headers": ZIP}, 409),
            ("GET", "/vnfd", {"headers": {"Accept": "application/json"}}, 406),
            ("GET", "/vnfd", {"headers": {"Accept": "text/plain"}}, 400),
            ("GET", "/artifacts/none.txt", {}, 404),
            ("GET", "/artifacts/https://host/file", {}, 400),
            ("GET", "/package_content", {"headers": {"Range": "bytes=0-1,3-4"}}, 400),
            ("GET", "/package_content", {"headers": {"Range": "bytes=4-1"}}, 416),
            ("GET", "/package_content", {"headers": {"Range": "bytes=-"}}, 400),
            ("GET", "/package_content", {"headers": {"Range": "lines=1-2"}}, 400),
        ):
            assert (await server.ask(method, path + below, **options))[0] == expected, (method, below)
        assert await server.show(info["id"]) == info


async def test_a_bad_package_says_why_and_leaves_nothing(
    serve: Serve, asg: bytes, files: dict[str, str | bytes], pack: Pack
) -> None:
    meta = files["TOSCA-Metadata/TOSCA.meta"]
    assert isinstance(meta, str)
    damaged = bytearray(asg)
    damaged[len(damaged) // 3] ^= 0xFF
    bad: dict[str, tuple[bytes, str | None]] = {
        "zip-corrupt": (b"this is no zip", None),
        "entry-definitions-missing": (
            pack({**files, "TOSCA-Metadata/TOSCA.meta": meta.replace("Entry-Definitions", "Entry")}).read_bytes(),
            "TOSCA-Metadata/TOSCA.meta",
        ),
        "zip-name-traversal": (pack({**files, "../evil": "x"}).read_bytes(), None),
        "yaml": (
            pack({**files, "Definitions/top.vnfd.yaml": "a: [1,\nb: }"}).read_bytes(),
            "Definitions/top.vnfd.yaml",
        ),
    }
    async with serve() as server:
        package_id = await server.create()
        for rule, (content, file) in bad.items():
            assert await server.upload(package_id, content) == 202
            info = await server.settled(package_id)
            assert info["onboardingState"] == "CREATED"
            assert info["operationalState"] == "DISABLED"
            failure = info["onboardingFailureDetails"]
            assert failure["rule"].startswith(rule), failure
            assert (failure.get("file"), failure["status"], bool(failure["detail"])) == (file, 400, True)
            await _nothing_left(server)
        assert (await server.show(package_id))["onboardingFailureDetails"]["line"] == 2
        assert await server.upload(package_id, bytes(damaged)) == 202
        assert "onboardingFailureDetails" in await server.settled(package_id)
        listed = (await server.ask("GET", ""))[1]
        assert "onboardingFailureDetails" in listed[0]

        assert await server.upload(package_id, asg) == 202
        info = await server.settled(package_id)
        assert (info["onboardingState"], "onboardingFailureDetails" in info) == ("ONBOARDED", False)


async def test_a_zip_bomb_is_refused(serve: Serve, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as csar:
        csar.writestr("zeros", bytes(64 << 20))
    async with serve() as server:
        package_id = await server.create()
        assert await server.upload(package_id, bomb.read_bytes()) == 202
        info = await server.settled(package_id)
        assert info["onboardingFailureDetails"]["rule"] == "zip-ratio"
        await _nothing_left(server)


async def test_too_large_is_refused_early_and_while_it_comes(serve: Serve) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)

    async with serve(Settings(package_size_limit=1_000_000)) as server:
        package_id = await server.create()
        assert await server.upload(package_id, bytes(1_000_001)) == 413
        assert await server.upload(package_id, chunks()) == 413
        info = await server.settled(package_id)
        assert (info["onboardingState"], info["onboardingFailureDetails"]["status"]) == ("CREATED", 413)
        await _nothing_left(server)


async def test_an_upload_that_stands_still_ends(serve: Serve) -> None:
    tried = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        while not tried.is_set():
            yield b"PK"
            await asyncio.sleep(0.05)
        await asyncio.sleep(60)

    async with serve(Settings(package_upload_patience=2)) as server:
        package_id = await server.create()
        sending = asyncio.create_task(server.upload(package_id, stuck()))
        await _begun(server, package_id)
        assert await server.upload(package_id, b"another") == 409
        tried.set()
        assert await sending == 408
        info = await server.settled(package_id)
        assert (info["onboardingState"], info["onboardingFailureDetails"]["status"]) == ("CREATED", 408)
        await _nothing_left(server)


@pytest.mark.parametrize("framing", [b"Content-Length: 5000000", b"Transfer-Encoding: chunked"])
async def test_an_upload_cut_in_the_middle_leaves_nothing(serve: Serve, framing: bytes) -> None:
    async with serve() as server:
        package_id = await server.create()
        host, port = server.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = f"PUT {ROOT}/{package_id}/package_content HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\n"
        writer.write(head.encode() + framing + b"\r\n\r\n")
        writer.write((b"249f00\r\n" if b"chunked" in framing else b"") + bytes(2_400_000))
        await writer.drain()
        async with asyncio.timeout(60):
            while not server.unfinished_uploads():
                await asyncio.sleep(0.01)
        writer.close()
        async with asyncio.timeout(60):
            while server.unfinished_uploads():
                await asyncio.sleep(0.01)
        await _nothing_left(server)
        info = await server.settled(package_id)
        assert info["onboardingState"] == "CREATED"
        assert "The client broke off after" in info["onboardingFailureDetails"]["detail"]


async def _begun(server: Server, package_id: str) -> None:
    async with asyncio.timeout(60):
        while (await server.show(package_id))["onboardingState"] != "UPLOADING":
            await asyncio.sleep(0.02)


async def _nothing_left(server: Server) -> None:
    """No blob, no unfinished upload; a refused content goes right after its refusal became visible."""
    async with asyncio.timeout(60):
        while await server.blobs() or server.unfinished_uploads():
            await asyncio.sleep(0.02)
