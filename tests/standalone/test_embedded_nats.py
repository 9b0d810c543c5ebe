"""EmbeddedNats: data that survives, credentials, and one clear sentence for each failure."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import nats
import pytest
from forestay_standalone.embedded import EmbeddedNats, EmbeddedServerFailed
from nats.errors import Error


async def publish(server: EmbeddedNats) -> int:
    """Append one message to the stream ``S``; gives its sequence."""
    client = await nats.connect(server.url)
    try:
        stream = client.jetstream()
        await stream.add_stream(name="S", subjects=["s"])
        return (await stream.publish("s", b"payload")).seq
    finally:
        await client.close()


async def test_a_second_start_continues_the_stream(tmp_data_dir: Path) -> None:
    async with EmbeddedNats(tmp_data_dir) as server:
        assert await publish(server) == 1
    async with EmbeddedNats(tmp_data_dir) as server:
        assert await publish(server) == 2


async def test_a_killed_server_comes_back_at_the_same_address_with_its_data(nats_server: EmbeddedNats) -> None:
    url = nats_server.url
    assert await publish(nats_server) == 1
    await nats_server.kill()
    assert nats_server.pid is None
    await nats_server.restart()
    assert nats_server.url == url
    assert await publish(nats_server) == 2


async def test_only_the_credentials_in_the_directory_are_let_in(nats_server: EmbeddedNats) -> None:
    user, _, address = nats_server.url.rpartition("@")
    with pytest.raises(Error, match="Authorization Violation"):
        await nats.connect(f"nats://{address}", allow_reconnect=False)
    password = nats_server.directory / "password"
    assert user == f"nats://forestay:{password.read_text()}"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


async def test_messages_are_synced_and_may_be_large(tmp_data_dir: Path) -> None:
    async with EmbeddedNats(tmp_data_dir) as server:
        settings = json.loads((server.directory / "server.conf").read_bytes())
        client = await nats.connect(server.url)
        assert client.max_payload == 8 * 1024 * 1024
        await client.close()
    assert settings["jetstream"]["sync_interval"] == "always"
    assert settings["host"] == "127.0.0.1"


async def test_a_pid_file_that_names_a_stranger_is_ignored(tmp_data_dir: Path) -> None:
    (tmp_data_dir / "nats").mkdir()
    (tmp_data_dir / "nats" / "server.pid").write_text("1\n")
    async with EmbeddedNats(tmp_data_dir) as server:
        assert await publish(server) == 1


async def test_a_taken_port(tmp_data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedServerFailed, match=f"^The port {port} for NATS is taken: stop the program"):
            await EmbeddedNats(tmp_data_dir, port=port).start()


async def test_a_damaged_store(tmp_data_dir: Path) -> None:
    (tmp_data_dir / "nats").mkdir()
    (tmp_data_dir / "nats" / "jetstream").write_text("not a directory")
    with pytest.raises(EmbeddedServerFailed, match=r"^NATS did not start on .*/nats .*storage directory"):
        await EmbeddedNats(tmp_data_dir).start()
    assert not list((tmp_data_dir / "nats").glob("*.ports"))
