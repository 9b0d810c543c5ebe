"""Sealing of secrets (AES-256-GCM, envelope encryption), so that no credential enters the log in the clear.

Rules:

* Each aggregate has one random data key. A data key is stored only sealed by a master key; a secret is sealed by the
  data key. Destroying the data key (``Vault.shred``) makes every secret of the aggregate unreadable, in the log, its
  copy and every backup of them.
* A sealed secret is a string token ``sealed:1.<data key id>.<nonce and ciphertext>`` that stands in the event's JSON
  where the secret stood. Aggregate id and member path are authenticated with it: a token opens nowhere else.
* A sealed data key is ``1.<master key id>.<data key id>.<nonce and ciphertext>``. The newest master key seals, all
  configured ones open; a master key's id is its fingerprint, so nobody has to number them.
* What is named like a secret (``SECRET_KEYS``) is sealed in events and masked in answers and logs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from forestay_events.errors import Permanent

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MASK = "***"
MASTER_KEY_VARIABLE = "FORESTAY_MASTER_KEY"
_TOKEN_PREFIX = "sealed:1."  # noqa: S105 - the mark of a token, not a secret
_KEY_BYTES = 32
_NONCE_BYTES = 12


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


SECRET_KEYS: frozenset[str] = frozenset(
    {"password", "passphrase", "secret", "token", "authorization", "credential"}
    | {"accessKey", "apiKey", "dataKey", "masterKey", "privateKey", "secretKey", "sslKey"}
)
"""What the names of secret members end with; case, ``_`` and ``-`` do not count: ``bearer_token``, ``clientSecret``."""
_URL_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")


class Shredded(Permanent):
    """The data key was destroyed with its aggregate: its secrets cannot be opened or added to any more."""

    def __init__(self, aggregate_id: str) -> None:
        super().__init__(f"The secrets of {aggregate_id} were destroyed with it and cannot be read.", status=410)
        self.aggregate_id = aggregate_id


class KeyStore(Protocol):
    """Where sealed data keys live, one per aggregate (text as made by ``MasterKeys.seal``).

    Every method raises ``Unavailable`` when the store's server does not answer; repeating the call is always safe.
    """

    async def get(self, aggregate_id: str) -> str | None:
        """Give the sealed data key, ``None`` when there never was one; ``Shredded`` when it was destroyed."""
        ...

    async def create(self, aggregate_id: str, sealed_key: str) -> str:
        """Store ``sealed_key`` unless the aggregate has a key; give the one that is stored. ``Shredded`` as above."""
        ...

    async def shred(self, aggregate_id: str) -> None:
        """Destroy the key and remember that for good, also when there never was one. Idempotent."""
        ...


class DataKey(msgspec.Struct, frozen=True, kw_only=True):
    """An opened data key: its id (8 hexadecimal digits) and its 32 secret bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    @classmethod
    def random(cls) -> DataKey:
        return cls(id=os.urandom(4).hex(), secret=os.urandom(_KEY_BYTES))


class MasterKeys:
    """The master keys, oldest first: the last one seals, all of them open.

    :param keys: 32 bytes each; ``Permanent`` when there is none or one has another length.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != _KEY_BYTES for key in keys):
            raise Permanent(f"A master key is {_KEY_BYTES} random bytes in base64; at least one is needed.")
        self._keys = {hashlib.sha256(b"forestay master key id" + key).hexdigest()[:8]: key for key in keys}
        self.newest = next(reversed(self._keys))

    @classmethod
    def parse(cls, text: str, source: str) -> MasterKeys:
        """Read base64 keys separated by white space or commas, oldest first; ``source`` is named when that fails."""
        try:
            return cls([base64.b64decode(word, validate=True) for word in re.split(r"[\s,]+", text.strip()) if word])
        except (binascii.Error, Permanent) as error:
            raise Permanent(f"{source} holds no usable master key: {error}") from error

    @classmethod
    def load(cls, key_file: Path, environ: Mapping[str, str] = os.environ) -> MasterKeys:
        """Take the keys from ``FORESTAY_MASTER_KEY``, else from ``key_file``, which is made (0600) if it is missing.

        To rotate, append a line with a new key to the file and restart. ``Permanent`` when others can read the file.
        """
        if text := environ.get(MASTER_KEY_VARIABLE):
            return cls.parse(text, MASTER_KEY_VARIABLE)
        if not key_file.exists():
            _create_key_file(key_file)
        if key_file.stat().st_mode & 0o077:
            raise Permanent(f"The master key file {key_file} can be read by others: run chmod 600 on it.")
        return cls.parse(key_file.read_text("ascii"), str(key_file))

    def seal(self, aggregate_id: str, key: DataKey) -> str:
        aad = _aad("data key", self.newest, key.id, aggregate_id)
        return f"1.{self.newest}.{key.id}.{_encrypt(self._keys[self.newest], key.secret, aad)}"

    def open(self, aggregate_id: str, sealed_key: str) -> DataKey:
        """Open a sealed data key; ``Permanent`` when its master key is not configured or it was tampered with."""
        version, _, rest = sealed_key.partition(".")
        master, _, rest = rest.partition(".")
        key_id, _, box = rest.partition(".")
        if version != "1" or master not in self._keys:
            raise Permanent(
                f"The secrets of {aggregate_id} are sealed by master key {master!r}, which is not configured "
                f"(configured: {', '.join(self._keys)})."
            )
        aad = _aad("data key", master, key_id, aggregate_id)
        secret = _decrypt(self._keys[master], box, aad, f"data key of {aggregate_id}")
        return DataKey(id=key_id, secret=secret)


class Vault:
    """Seals and opens the secrets of aggregates.

    Data keys are not kept in memory between calls: a shredded key is gone for every process at once.
    """

    def __init__(self, keys: KeyStore, masters: MasterKeys) -> None:
        self._keys = keys
        self._masters = masters

    async def seal(self, aggregate_id: str, path: str, plaintext: str) -> str:
        """Give the token for ``plaintext``; the aggregate's data key is made with its first secret.

        :param path: JSON pointer of the member that will hold the token; ``open`` needs the same one.
        """
        return _seal(await self._new_or_stored_key(aggregate_id), aggregate_id, path, plaintext)

    async def open(self, aggregate_id: str, path: str, token: str) -> str:
        """Give the secret (JSON text if it was no string); ``Shredded``; ``Permanent`` if sealed for another place."""
        value = _open(await self._stored_key(aggregate_id), aggregate_id, path, token)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    async def seal_members(
        self,
        aggregate_id: str,
        mapping: Mapping[str, Any],
        secret_keys: Collection[str] = SECRET_KEYS,
        *,
        path: str = "",
    ) -> dict[str, Any]:
        """Give a copy of ``mapping`` with every secret member, at any depth, sealed; what is sealed already stays.

        :param path: JSON pointer of ``mapping`` itself, the prefix of its members' pointers.
        """
        if not _secret_paths(mapping, path, secret_keys):
            return dict(mapping)
        key = await self._new_or_stored_key(aggregate_id)

        def seal(at: str, value: Any) -> Any:
            return value if _opens(key, aggregate_id, at, value) else _seal(key, aggregate_id, at, value)

        return _rewrite(mapping, path, _endings(secret_keys), seal)

    async def open_members(
        self,
        aggregate_id: str,
        mapping: Mapping[str, Any],
        secret_keys: Collection[str] = SECRET_KEYS,
        *,
        path: str = "",
    ) -> dict[str, Any]:
        """Undo ``seal_members``: each secret gets back the value and JSON type that it had."""
        if not _secret_paths(mapping, path, secret_keys):
            return dict(mapping)
        key = await self._stored_key(aggregate_id)

        def open_(at: str, value: Any) -> Any:
            return _open(key, aggregate_id, at, value) if is_sealed(value) else value

        return _rewrite(mapping, path, _endings(secret_keys), open_)

    async def shred(self, aggregate_id: str) -> None:
        """Destroy the aggregate's data key for good. Idempotent; ``Unavailable`` means: repeat it."""
        await self._keys.shred(aggregate_id)

    async def _new_or_stored_key(self, aggregate_id: str) -> DataKey:
        # Never ``get`` here: ``create`` vouches that the key is kept as safely as the store promises.
        candidate = self._masters.seal(aggregate_id, DataKey.random())
        return self._masters.open(aggregate_id, await self._keys.create(aggregate_id, candidate))

    async def _stored_key(self, aggregate_id: str) -> DataKey:
        sealed = await self._keys.get(aggregate_id)
        if sealed is None:
            raise Permanent(f"There is no data key for {aggregate_id}: its secrets cannot be opened.")
        return self._masters.open(aggregate_id, sealed)


def is_sealed(value: object) -> bool:
    """Say whether ``value`` looks like a token of ``Vault.seal``."""
    return isinstance(value, str) and value.startswith(_TOKEN_PREFIX)


def is_secret_name(name: str, secret_keys: Collection[str] = SECRET_KEYS) -> bool:
    """Say whether a member of that name holds a secret."""
    return _plain(name).endswith(_endings(secret_keys))


def mask(mapping: Mapping[str, Any], secret_keys: Collection[str] = SECRET_KEYS) -> dict[str, Any]:
    """Give a copy for answers and logs: secrets and tokens read ``***``, so do passwords inside URLs."""
    return _mask_text(_rewrite(mapping, "", _endings(secret_keys), lambda _path, _value: MASK))


def _mask_text(node: Any) -> Any:
    match node:
        case str() if is_sealed(node):
            return MASK
        case str() if "://" in node:
            return _URL_PASSWORD.sub(rf"\1:{MASK}@", node)
        case Mapping():
            return {key: _mask_text(value) for key, value in node.items()}
        case list() | tuple():
            return [_mask_text(value) for value in node]
        case _:
            return node


def _endings(secret_keys: Collection[str]) -> tuple[str, ...]:
    return tuple(map(_plain, secret_keys))


def _rewrite(node: Any, path: str, endings: tuple[str, ...], turn: Callable[[str, Any], Any]) -> Any:
    """Copy a JSON tree with each non-null member of a secret name replaced by ``turn(its pointer, its value)``."""
    if isinstance(node, Mapping):
        result: dict[str, Any] = {}
        for name, value in node.items():
            at = f"{path}/{str(name).replace('~', '~0').replace('/', '~1')}"
            secret = value is not None and _plain(str(name)).endswith(endings)
            result[name] = turn(at, value) if secret else _rewrite(value, at, endings, turn)
        return result
    if isinstance(node, list | tuple):
        return [_rewrite(value, f"{path}/{index}", endings, turn) for index, value in enumerate(node)]
    return node


def _secret_paths(mapping: Mapping[str, Any], path: str, secret_keys: Collection[str]) -> list[str]:
    found: list[str] = []
    _rewrite(mapping, path, _endings(secret_keys), lambda at, _value: found.append(at))
    return found


def _seal(key: DataKey, aggregate_id: str, path: str, value: Any) -> str:
    aad = _aad("secret", key.id, aggregate_id, path)
    return f"{_TOKEN_PREFIX}{key.id}.{_encrypt(key.secret, msgspec.json.encode(value), aad)}"


def _open(key: DataKey, aggregate_id: str, path: str, token: str) -> Any:
    key_id, _, box = token.removeprefix(_TOKEN_PREFIX).partition(".")
    what = f"secret {path} of {aggregate_id}"
    if not is_sealed(token) or key_id != key.id:
        raise Permanent(f"The {what} is not sealed with its data key {key.id}.")
    return msgspec.json.decode(_decrypt(key.secret, box, _aad("secret", key.id, aggregate_id, path), what))


def _opens(key: DataKey, aggregate_id: str, path: str, value: Any) -> bool:
    try:
        _open(key, aggregate_id, path, value if is_sealed(value) else "")
    except Permanent:
        return False
    return True


def _aad(*parts: str) -> bytes:
    return msgspec.json.encode(parts)


def _cipher(key: bytes) -> AESGCM:
    # Imported here: processes that only mask (the CLI) need no OpenSSL.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key)


def _encrypt(key: bytes, plaintext: bytes, aad: bytes) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return base64.urlsafe_b64encode(nonce + _cipher(key).encrypt(nonce, plaintext, aad)).decode().rstrip("=")


def _decrypt(key: bytes, box: str, aad: bytes, what: str) -> bytes:
    from cryptography.exceptions import InvalidTag

    try:
        raw = base64.urlsafe_b64decode(box + "=" * (-len(box) % 4))
        return _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], aad)
    except (InvalidTag, ValueError) as error:
        raise Permanent(f"The {what} does not open: it was changed, or sealed for another place.") from error


def _create_key_file(path: Path) -> None:
    """Make the file with one fresh key; of processes that do so at once, one wins and the file is always whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".master-key-") as file:  # 0600 from the start
        file.write(base64.b64encode(os.urandom(_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
