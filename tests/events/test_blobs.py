"""The file blob store: content addressing, limits, and what a crash, a full disk and a cancelled upload leave behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from forestay_events.blobs import CHUNK, Blob, BlobCorrupt, BlobMissing, FileBlobStore, StoredBlob
from forestay_events.errors import Rejected, Unavailable

CONTENT = os.urandom(3 * CHUNK + 17)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 1 << 30


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[FileBlobStore]:
    store = await FileBlobStore.open(tmp_path / "blobs")
    yield store
    store.close()


async def put(store: FileBlobStore, content: bytes, size: int = 65_536) -> Blob:
    async with store.writer(limit=LIMIT) as writer:
        for start in range(0, len(content), size):
            await writer.write(content[start : start + size])
        return await writer.commit()


async def listed(store: FileBlobStore) -> list[StoredBlob]:
    return [entry async for entry in store.list()]


async def read(store: FileBlobStore, offset: int = 0, length: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.stream(DIGEST, offset, length)])


@pytest.mark.parametrize("chunk", [4096, CHUNK, 2 * CHUNK + 5])
async def test_content_comes_back_under_its_digest(store: FileBlobStore, chunk: int) -> None:
    blob = await put(store, CONTENT, chunk)
    assert blob == Blob(digest=DIGEST, sha512=hashlib.sha512(CONTENT).hexdigest(), size=len(CONTENT))
    assert await read(store) == CONTENT
    assert await store.verify(DIGEST) == blob
    assert (await store.stat(DIGEST)).size == len(CONTENT)


async def test_the_empty_content_is_a_blob_too(store: FileBlobStore) -> None:
    blob = await put(store, b"")
    assert (blob.size, blob.digest) == (0, hashlib.sha256().hexdigest())
    assert [chunk async for chunk in store.stream(blob.digest)] == []


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 0), (5, 7), (CHUNK - 1, CHUNK + 2), (len(CONTENT) - 3, 100), (len(CONTENT), None), (9, None)],
)
async def test_a_range_is_what_a_slice_is(store: FileBlobStore, offset: int, length: int | None) -> None:
    await put(store, CONTENT)
    expected = CONTENT[offset:] if length is None else CONTENT[offset : offset + length]
    assert await read(store, offset, length) == expected


async def test_the_same_content_is_stored_once_even_at_once(store: FileBlobStore) -> None:
    blobs = await asyncio.gather(*(put(store, CONTENT) for _ in range(5)))
    assert len({blob.digest for blob in blobs}) == 1
    assert [entry.digest for entry in await listed(store)] == [DIGEST]
    assert os.listdir(store.uploads) == []


async def test_nothing_is_kept_of_an_upload_over_the_limit_or_without_commit(store: FileBlobStore) -> None:
    async with store.writer(limit=len(CONTENT)) as writer:
        await writer.write(CONTENT)
        with pytest.raises(Rejected, match=str(len(CONTENT))) as refused:
            await writer.write(b"x")
    assert refused.value.status == 413
    assert await listed(store) == []
    assert os.listdir(store.uploads) == []


async def test_a_cancelled_upload_leaves_nothing(store: FileBlobStore) -> None:
    async def endless() -> None:
        async with store.writer(limit=LIMIT) as writer:
            while True:
                await writer.write(CONTENT)

    task = asyncio.create_task(endless())
    while not os.listdir(store.uploads):
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert os.listdir(store.uploads) == []
    assert await listed(store) == []


_UPLOADER = """
import asyncio, os, sys
from pathlib import Path
from forestay_events.blobs import CHUNK, FileBlobStore

async def main(directory):
    store = await FileBlobStore.open(Path(directory))
    async with store.writer(limit=1 << 40) as writer:
        for _ in range(2):  # the second waits for the first
            await writer.write(os.urandom(2 * CHUNK))
        print("writing", flush=True)
        while True:
            await writer.write(os.urandom(CHUNK))
            await asyncio.sleep(0.01)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_killed_upload_is_never_visible_and_swept_at_the_next_start_only(store: FileBlobStore) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _UPLOADER, str(store.directory)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert await process.stdout.readline() == b"writing\n"
    (await FileBlobStore.open(store.directory)).close()
    assert len(os.listdir(store.uploads)) == 1, "a start must not sweep what a live process is writing"
    process.kill()
    await process.wait()
    assert await listed(store) == []
    assert len(os.listdir(store.uploads)) == 1
    (await FileBlobStore.open(store.directory)).close()
    assert os.listdir(store.uploads) == []


_FILL_DISK = """
import asyncio, os, sys
from pathlib import Path
from forestay_events.blobs import CHUNK, FileBlobStore, StorageFull

async def main():
    store = await FileBlobStore.open(Path(sys.argv[1], "blobs"))
    async def put(chunks):
        async with store.writer(limit=1 << 40) as writer:
            for _ in range(chunks):
                await writer.write(os.urandom(CHUNK))
            return await writer.commit()
    small = await put(1)
    try:
        await put(16)
    except StorageFull as error:
        assert error.status == 507 and "No space" in str(error), error
    else:
        raise AssertionError("16 MiB went into 8 MiB")
    assert os.listdir(store.uploads) == []
    assert [entry.digest async for entry in store.list()] == [small.digest]
    await put(4)

asyncio.run(main())
"""


async def test_a_full_disk_is_said_and_the_space_given_back(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=8m none "{tmp_path}" || exit 77; exec "$0" -c "$1" "{tmp_path}"'
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, sys.executable, _FILL_DISK]
    if not shutil.which("unshare"):
        pytest.skip("needs unshare (util-linux) to mount a small file system")
    process = await asyncio.create_subprocess_exec(*unshare, stderr=asyncio.subprocess.PIPE)
    _, errors = await process.communicate()
    if process.returncode == 77 or b"unshare failed" in errors:
        pytest.skip(f"cannot mount a small file system here: {errors.decode()}")
    assert process.returncode == 0, errors.decode()


async def test_what_is_not_there_is_missing_and_a_digest_is_never_a_path(store: FileBlobStore) -> None:
    for digest in ("0" * 64, "../../etc/passwd", "", DIGEST.upper()):
        with pytest.raises(BlobMissing):
            await store.stat(digest)
        with pytest.raises(BlobMissing):
            await store.path(digest)
        with pytest.raises(BlobMissing):
            await anext(store.stream(digest))
    assert not await store.delete("0" * 64)


async def test_damage_is_found_and_healed_by_storing_again(store: FileBlobStore) -> None:
    await put(store, CONTENT)
    path = await store.path(DIGEST)
    path.write_bytes(CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(BlobCorrupt, match=DIGEST):
        await store.verify(DIGEST)
    await put(store, CONTENT)
    assert (await store.verify(DIGEST)).digest == DIGEST


async def test_only_old_blobs_are_swept_and_storing_again_makes_young(store: FileBlobStore) -> None:
    await put(store, CONTENT)
    await put(store, b"other")
    path = await store.path(DIGEST)
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 7200))
    old = [entry.digest for entry in await listed(store) if entry.age > 3600]
    assert old == [DIGEST]
    await put(store, CONTENT)
    assert not await store.delete(DIGEST, older_than=3600)
    assert await store.delete(DIGEST)
    assert [entry.size for entry in await listed(store)] == [5]


async def test_a_reader_finishes_what_is_deleted_under_it(store: FileBlobStore) -> None:
    await put(store, CONTENT)
    stream = store.stream(DIGEST)
    chunks = [await anext(stream)]
    await store.delete(DIGEST)
    chunks += [chunk async for chunk in stream]
    assert b"".join(chunks) == CONTENT


async def test_a_zip_is_read_in_place(store: FileBlobStore, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        archive.writestr("TOSCA-Metadata/TOSCA.meta", "TOSCA-Meta-File-Version: 1.0")
    blob = await put(store, (tmp_path / "package.zip").read_bytes())
    with zipfile.ZipFile(await store.path(blob.digest)) as archive:
        assert archive.namelist() == ["TOSCA-Metadata/TOSCA.meta"]


async def test_memory_stays_small_and_threads_are_bounded(store: FileBlobStore) -> None:
    chunk = os.urandom(CHUNK)
    tracemalloc.start()

    async def upload() -> str:
        async with store.writer(limit=LIMIT) as writer:
            for _ in range(32):
                await writer.write(chunk)
            return (await writer.commit()).digest

    digests = await asyncio.gather(*(upload() for _ in range(8)))
    async for _ in store.stream(digests[0]):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 24 * CHUNK, "8 uploads of 32 MiB may buffer a few chunks each, not their contents"
    assert sum(thread.name.startswith("blobs") for thread in threading.enumerate()) <= 4


async def test_a_broken_directory_is_said(store: FileBlobStore) -> None:
    shutil.rmtree(store.directory)
    store.directory.write_text("a file in the way")
    with pytest.raises(Unavailable, match="blob store cannot"):
        await put(store, CONTENT)
