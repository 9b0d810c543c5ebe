"""Blobs: package contents and other files that are too big for the log, addressed by their SHA-256.

Rules:

* A blob is visible whole and on disk, or not at all: temporary file, fsync, atomic rename, fsync of the directory.
* The digest is the name. The same content stored twice is one file, whose age starts anew; events refer to it by digest.
* Nothing holds a whole blob in memory, and no file operation runs on the event loop: they run in a small thread pool.
* A temporary file is locked by its writer. The lock ends with the process, however that ends: a file that nobody locks
  is left over from a crash and is swept at the next start of any process on the directory.
* Deleting is the orphan sweep's business: list what is older than any upload can last, ask the log, ``delete`` the rest.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import BinaryIO, ParamSpec, Protocol, TypeVar, cast

import msgspec

from forestay_events.errors import Permanent, Rejected, Unavailable

P = ParamSpec("P")
T = TypeVar("T")
CHUNK = 1 << 20  # bytes per read, and per write to disk
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class StorageFull(Unavailable):
    """No space is left for a blob; nothing of it was kept. The edge answers ``status``."""

    status = 507


class BlobMissing(Permanent):
    """The log names a blob that the store does not have."""


class BlobCorrupt(Permanent):
    """The content of a stored blob is not what its digest says."""


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """A stored content: SHA-256 (its address), SHA-512 (the ``checksum`` of a SOL005 VNF package), both hex; bytes."""

    digest: str
    sha512: str
    size: int


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the store: size in bytes, age in seconds since the content was last stored."""

    digest: str
    size: int
    age: float


class BlobWriter(Protocol):
    """An upload in progress. Use it as ``async with``; leaving the block without ``commit`` keeps nothing."""

    async def __aenter__(self) -> BlobWriter: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def write(self, chunk: bytes) -> None:
        """Add bytes; ``Rejected(413)`` over the limit, ``StorageFull`` when the disk is full."""
        ...

    async def commit(self) -> Blob:
        """Make the content durable and visible."""
        ...


class BlobStore(Protocol):
    """Where blobs live. Methods that take a digest raise ``BlobMissing`` for one that is not there."""

    def writer(self, *, limit: int) -> BlobWriter:
        """Begin an upload of at most ``limit`` bytes."""
        ...

    async def stat(self, digest: str) -> StoredBlob: ...

    def stream(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        """Read ``length`` bytes from ``offset`` (to the end by default) in chunks; a range past the end is cut short."""
        ...

    async def path(self, digest: str) -> Path:
        """Give a local file with the content, for readers that must seek (zip). Never write to it."""
        ...

    async def verify(self, digest: str) -> Blob:
        """Read the content again and compare it with its digest; ``BlobCorrupt`` if it differs."""
        ...

    def list(self) -> AsyncIterator[StoredBlob]: ...

    async def delete(self, digest: str, *, older_than: float = 0.0) -> bool:
        """Delete unless it is younger than ``older_than`` seconds by now; say whether it was deleted."""
        ...


@contextmanager
def _disk_errors(what: str) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                f"No space is left on the blob store's disk to {what}: free some and try again."
            ) from error
        raise Unavailable(f"The blob store cannot {what}: {error}") from error


class _Digests:
    """Address, checksum and size of a content, computed in one pass."""

    def __init__(self) -> None:
        self._sha256, self._sha512 = hashlib.sha256(), hashlib.sha512()
        self._size = 0

    def update(self, chunk: bytes | bytearray) -> None:
        self._sha256.update(chunk)
        self._sha512.update(chunk)
        self._size += len(chunk)

    def blob(self) -> Blob:
        return Blob(digest=self._sha256.hexdigest(), sha512=self._sha512.hexdigest(), size=self._size)


class _TemporaryFile:
    """The blocking half of an upload; a mutex keeps a cancelled write and the discarding that follows it apart."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / secrets.token_hex(16)
        self._digests = _Digests()
        self._mutex = Lock()
        self._file: BinaryIO | None = None

    def append(self, chunk: bytes | bytearray) -> None:
        with self._mutex:
            self._file = self._file or self._create()
            self._digests.update(chunk)
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]

    def keep(self, root: Path) -> Blob:
        with self._mutex:
            self._file = self._file or self._create()
            os.fsync(self._file.fileno())
            blob = self._digests.blob()
            target = _place(root, blob.digest)
            target.parent.mkdir(exist_ok=True)
            # Also over an existing file: that heals a damaged one and keeps a sweep from taking it for an old orphan.
            self._path.replace(target)
            _fsync(target.parent)
            _fsync(root)
            return blob

    def discard(self) -> None:
        with self._mutex:
            if self._file:
                self._path.unlink(missing_ok=True)
                self._file.close()

    def _create(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = self._path.open("xb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:  # else a sweep came between open and lock
                return cast(BinaryIO, file)
            file.close()


class FileBlobWriter:
    """``BlobWriter`` of ``FileBlobStore``; small chunks are gathered, and go to the disk while the next ones are."""

    def __init__(self, store: FileBlobStore, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._size = 0
        self._pending = bytearray()
        self._file = _TemporaryFile(store.uploads)
        self._writing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> FileBlobWriter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing is not None:
            await asyncio.gather(self._writing, return_exceptions=True)
        await self._store.run("discard an upload", self._file.discard)

    async def write(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if self._size > self._limit:
            raise Rejected(413, f"The content is larger than the {self._limit} bytes that are accepted.")
        self._pending += chunk
        if len(self._pending) >= CHUNK:
            await self._flush()

    async def commit(self) -> Blob:
        await self._flush()
        await self._written()
        return await self._store.run("store an upload", self._file.keep, self._store.directory)

    async def _flush(self) -> None:
        await self._written()
        chunk, self._pending = self._pending, bytearray()
        self._writing = asyncio.create_task(self._store.run("store an upload", self._file.append, chunk))

    async def _written(self) -> None:
        """Wait for the chunk that is on its way to the disk; a caller that is cancelled leaves it on its way."""
        if self._writing is not None:
            await asyncio.shield(self._writing)


class FileBlobStore:
    """``BlobStore`` in a directory, which several processes may share: ``<first two digits>/<digest>`` and ``uploads/``.

    :param directory: made if it is missing.
    :param threads: how many file operations may run at once.
    """

    def __init__(self, directory: Path, *, threads: int = 4) -> None:
        self.directory = directory
        self.uploads = directory / "uploads"
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blobs")

    @classmethod
    async def open(cls, directory: Path, *, threads: int = 4) -> FileBlobStore:
        """Make the directory ready and remove what crashed uploads left behind."""
        store = cls(directory, threads=threads)
        await store.run(f"use {directory}", _prepare, store.uploads)
        return store

    def close(self) -> None:
        """End the threads; operations in progress still finish."""
        self._pool.shutdown(wait=False)

    async def run(self, what: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking file operation in the pool; ``what`` completes the sentence "the blob store cannot ...\""""
        loop = asyncio.get_running_loop()
        with _disk_errors(what):
            return await loop.run_in_executor(self._pool, lambda: call(*args, **kwargs))

    def writer(self, *, limit: int) -> FileBlobWriter:
        return FileBlobWriter(self, limit)

    async def stat(self, digest: str) -> StoredBlob:
        return await self.run(f"look at blob {digest}", _stat, _place(self.directory, digest))

    async def stream(self, digest: str, offset: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        what = f"read blob {digest}"
        file = await self.run(what, _open, _place(self.directory, digest))
        try:
            left = length
            while left is None or left > 0:
                size = CHUNK if left is None else min(CHUNK, left)
                chunk = await self.run(what, os.pread, file, size, offset)
                if not chunk:
                    return
                offset += len(chunk)
                left = None if left is None else left - len(chunk)
                yield chunk
        finally:
            os.close(file)

    async def path(self, digest: str) -> Path:
        await self.stat(digest)
        return _place(self.directory, digest)

    async def verify(self, digest: str) -> Blob:
        digests = _Digests()
        async for chunk in self.stream(digest):
            await self.run("compute a digest", digests.update, chunk)
        found = digests.blob()
        if found.digest != digest:
            raise BlobCorrupt(f"The content of blob {digest} is damaged: it has the digest {found.digest} now.")
        return found

    async def list(self) -> AsyncIterator[StoredBlob]:
        for shard in await self.run("be listed", _children, self.directory):
            if len(shard.name) == 2:
                for blob in await self.run("be listed", _entries, shard):
                    yield blob

    async def delete(self, digest: str, *, older_than: float = 0.0) -> bool:
        return await self.run(f"delete blob {digest}", _delete, _place(self.directory, digest), older_than)


def _place(root: Path, digest: str) -> Path:
    if not _DIGEST.fullmatch(digest):
        raise BlobMissing(f"{digest!r} is no SHA-256 digest in lower-case hexadecimal.")
    return root / digest[:2] / digest


@contextmanager
def _missing(path: Path) -> Generator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(f"The blob store has no blob {path.name}.") from None


def _stat(path: Path) -> StoredBlob:
    with _missing(path):
        found = path.stat()
    return StoredBlob(digest=path.name, size=found.st_size, age=max(0.0, time.time() - found.st_mtime))


def _open(path: Path) -> int:
    with _missing(path):
        return os.open(path, os.O_RDONLY)


def _children(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def _entries(shard: Path) -> list[StoredBlob]:
    entries: list[StoredBlob] = []
    for path in _children(shard):
        with suppress(BlobMissing):  # deleted meanwhile
            entries.append(_stat(path))
    return entries


def _delete(path: Path, older_than: float) -> bool:
    with suppress(BlobMissing), _missing(path):
        if _stat(path).age >= older_than:
            path.unlink()
            return True
    return False


def _fsync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _prepare(uploads: Path) -> None:
    uploads.mkdir(parents=True, exist_ok=True)
    _fsync(uploads.parent)
    _fsync(uploads.parent.parent)
    for path in _children(uploads):
        with suppress(FileNotFoundError), open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # another process is writing it now
            path.unlink(missing_ok=True)
