"""Vault, tokens, master keys and masking, without servers."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forestay_events.errors import Permanent
from forestay_events.keystore import MemoryKeyStore
from forestay_events.sealing import MasterKeys, Shredded, Vault, is_sealed, mask

ACCESS_INFO: dict[str, Any] = {
    "username": "nfv_user",
    "password": "devstack",
    "client_secret": None,
    "bearer-token": "eyJhbGciOi",
    "nested": [{"secretKey": {"id": 7, "value": [True, 1.5]}}, "password"],
}


@pytest.fixture
def masters() -> MasterKeys:
    return MasterKeys([os.urandom(32)])


@pytest.fixture
def vault(masters: MasterKeys) -> Vault:
    return Vault(MemoryKeyStore(), masters)


async def test_what_is_sealed_opens_again_and_shows_nothing(vault: Vault) -> None:
    token = await vault.seal("vim-1", "/password", "hünter2")
    assert is_sealed(token)
    assert token.isascii()
    assert "nter2" not in token
    assert await vault.open("vim-1", "/password", token) == "hünter2"
    assert await vault.seal("vim-1", "/password", "hünter2") != token


@pytest.mark.parametrize(
    ("aggregate_id", "path"), [("vim-2", "/password"), ("vim-1", "/client_secret"), ("vim-1/password", "")]
)
async def test_a_token_opens_at_its_own_place_only(vault: Vault, aggregate_id: str, path: str) -> None:
    token = await vault.seal("vim-1", "/password", "s3cret")
    await vault.seal(aggregate_id, path, "other")
    with pytest.raises(Permanent):
        await vault.open(aggregate_id, path, token)


async def test_every_changed_character_of_a_token_is_noticed(vault: Vault) -> None:
    token = await vault.seal("vim-1", "/password", "s3cret")
    for index in range(len(token)):
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        with pytest.raises(Permanent):
            await vault.open("vim-1", "/password", changed)


async def test_members_are_sealed_by_name_at_any_depth_and_keep_their_types(vault: Vault) -> None:
    sealed = await vault.seal_members("vim-1", ACCESS_INFO, path="/accessInfo")
    assert sealed["username"] == "nfv_user"
    assert sealed["client_secret"] is None
    assert sealed["nested"][1] == "password"
    for token in (sealed["password"], sealed["bearer-token"], sealed["nested"][0]["secretKey"]):
        assert is_sealed(token)
    assert await vault.open_members("vim-1", sealed, path="/accessInfo") == ACCESS_INFO
    assert await vault.open("vim-1", "/accessInfo/password", sealed["password"]) == "devstack"
    with pytest.raises(Permanent):
        await vault.open_members("vim-1", sealed, path="/elsewhere")


async def test_sealing_again_keeps_tokens_but_seals_a_password_that_only_looks_like_one(vault: Vault) -> None:
    sealed = await vault.seal_members("vim-1", {"password": "a"})
    assert await vault.seal_members("vim-1", sealed) == sealed
    forged = await vault.seal_members("vim-1", {"password": "sealed:1.feedbeef.AAAA"})
    assert await vault.open_members("vim-1", forged) == {"password": "sealed:1.feedbeef.AAAA"}
    assert forged["password"] != "sealed:1.feedbeef.AAAA"


async def test_members_without_secrets_need_no_data_key(masters: MasterKeys) -> None:
    keys = MemoryKeyStore()
    assert await Vault(keys, masters).seal_members("vim-1", {"region": "RegionOne"}) == {"region": "RegionOne"}
    assert await keys.get("vim-1") is None


async def test_shredding_ends_the_secrets_of_one_aggregate_only(vault: Vault) -> None:
    gone = await vault.seal("vim-1", "/password", "a")
    kept = await vault.seal("vim-2", "/password", "b")
    await vault.shred("vim-1")
    await vault.shred("vim-1")
    with pytest.raises(Shredded):
        await vault.open("vim-1", "/password", gone)
    with pytest.raises(Shredded):
        await vault.seal("vim-1", "/password", "again")
    assert await vault.open("vim-2", "/password", kept) == "b"


async def test_after_rotation_the_newest_master_key_seals_and_old_ones_still_open() -> None:
    old, new, keys = os.urandom(32), os.urandom(32), MemoryKeyStore()
    token = await Vault(keys, MasterKeys([old])).seal("vim-1", "/p", "a")
    rotated = Vault(keys, MasterKeys([old, new]))
    assert await rotated.open("vim-1", "/p", token) == "a"
    fresh = await rotated.seal("vim-2", "/p", "b")
    assert await Vault(keys, MasterKeys([new])).open("vim-2", "/p", fresh) == "b"
    with pytest.raises(Permanent, match="which is not configured"):
        await Vault(keys, MasterKeys([new])).open("vim-1", "/p", token)


async def test_a_data_key_does_not_open_for_another_aggregate(masters: MasterKeys) -> None:
    keys = MemoryKeyStore()
    vault = Vault(keys, masters)
    token = await vault.seal("vim-1", "/p", "a")
    await keys.create("vim-2", await keys.create("vim-1", "unused"))
    with pytest.raises(Permanent, match="data key of vim-2"):
        await vault.open("vim-2", "/p", token)


def test_the_key_file_is_made_once_and_only_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "master.key"
    assert MasterKeys.load(path, {}).newest == MasterKeys.load(path, {}).newest
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o640)
    with pytest.raises(Permanent, match="chmod 600"):
        MasterKeys.load(path, {})


def test_processes_that_start_at_once_end_with_one_master_key(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from forestay_events.sealing import MasterKeys;"
        "sys.stdin.read(); print(MasterKeys.load(Path(sys.argv[1]), {}).newest)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "master.key")]
    starts = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(4)]
    for start in starts:
        assert start.stdin
        start.stdin.close()
    results = {start.stdout.read().strip() for start in starts if start.stdout}
    assert results == {MasterKeys.load(tmp_path / "master.key", {}).newest.encode()}
    assert [start.wait() for start in starts] == [0] * 4


def test_keys_come_from_the_environment_first_and_bad_ones_are_named(tmp_path: Path) -> None:
    key = base64.b64encode(os.urandom(32)).decode()
    missing = tmp_path / "none"
    assert MasterKeys.load(missing, {"FORESTAY_MASTER_KEY": key}).newest == MasterKeys.parse(f" {key}\n", "file").newest
    assert not missing.exists()
    for bad in ("c2hvcnQ=", "not base64!", " , "):
        with pytest.raises(Permanent, match="FORESTAY_MASTER_KEY"):
            MasterKeys.load(missing, {"FORESTAY_MASTER_KEY": bad})


def test_mask_hides_secrets_tokens_and_passwords_in_urls() -> None:
    shown = mask(
        {
            "auth_cred": ACCESS_INFO,
            "any": "sealed:1.00112233.AAAA",
            "list": ["postgresql://forestay:pw@db:5432/forestay"],
            "Authorization": "Bearer abc",
            "count": 3,
        }
    )
    assert shown["auth_cred"]["password"] == shown["auth_cred"]["bearer-token"] == "***"
    assert shown["auth_cred"]["client_secret"] is None
    assert shown["any"] == shown["Authorization"] == "***"
    assert shown["list"] == ["postgresql://forestay:***@db:5432/forestay"]
    assert shown["count"] == 3
    assert ACCESS_INFO["password"] == "devstack"
