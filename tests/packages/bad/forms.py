"""CSARs that are no CSARs, or not what their hashes and signatures say (SOL004)."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from pathlib import Path
from typing import Any

from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric import ed25519
from forestay_csar.signature import sign

from tests.packages import keys
from tests.packages.bad.making import (
    Bad,
    after,
    also,
    entry,
    files,
    meta,
    named,
    replaced,
    without,
)
from tests.packages.third_party import csar, with_manifest, zipped
from tests.packages.vnfd import (
    META,
    TOP,
    Files,
    vnfd,
)

_RIGHT, _WRONG = hashlib.sha256(b"x").hexdigest(), hashlib.sha256(b"y").hexdigest()


def _resigned(manifest: bytes, holder: keys.Holder) -> bytes:
    """A manifest signed by somebody else, with whatever is in it."""
    signed = manifest.partition(b"-----BEGIN")[0]
    return signed + sign(hashlib.sha256(signed).digest(), holder.key_pem, holder.pem)


def _enveloped() -> bytes:
    content = {"content_type": "enveloped_data", "content": cms.EnvelopedData({
        "version": "v0", "recipient_infos": [], "encrypted_content_info": {
            "content_type": "data", "content_encryption_algorithm": {"algorithm": "aes256_cbc", "parameters": b"0" * 16},
            "encrypted_content": b"secret" * 30,
        },
    })}  # fmt: skip
    return cms.ContentInfo(content).dump()


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CMS-----\n" + base64.encodebytes(der) + b"-----END CMS-----\n"


def _sha1(path: Path) -> None:
    """A package whose signature says that it was made with SHA-1."""
    after("signature-algorithm", lambda found: found, option="whole").write(path)
    with zipfile.ZipFile(path) as read:
        found = {name: read.read(name) for name in read.namelist()}
    name = named(found, ".cms")
    signature: Any = cms.ContentInfo.load(base64.b64decode(b"".join(found[name].splitlines()[1:-1])))
    signature["content"]["signer_infos"][0]["digest_algorithm"]["algorithm"] = "sha1"
    zipped(found | {name: signature.dump(force=True)}, path)


def _ed25519(found: Files) -> Files:
    """The signer's certificate is of a kind of key that the signature is not of."""
    holder = keys.vendor()
    key = ed25519.Ed25519PrivateKey.generate()
    other = holder.certificate
    mine = keys.issued_for(key.public_key(), other.serial_number, keys.root())
    return found | {named(found, ".cert"): mine}


FORMS: dict[str, Bad] = {
    "no entry": files("no-entry", lambda: {"a.txt": b"a"}),
    "two files in the root": files("no-entry", lambda: {"one.yaml": b"a: 1", "two.yaml": b"a: 1"}),
    "folder packed": files("no-entry", lambda: {f"sample/{name}": content for name, content in csar().items()}),
    "no Entry-Definitions": meta("entry-definitions-missing", b"Entry-Definitions", b"Entry"),
    "Entry-Definitions of nothing": meta("entry-definitions-file", b"vnfd.yaml", b"nowhere.yaml"),
    "TOSCA.meta without colons": also("manifest-syntax", META, b"a line without a colon"),
    "manifest of nothing": meta("manifest-missing", b"Created-By: Company", b"ETSI-Entry-Manifest: nowhere.mf"),
    "manifest of another name": files("manifest-missing", lambda: {"vnf.yaml": vnfd(), "other.mf": b"metadata:\n"}),
    "certificate of nothing": meta("certificate-missing", b"Created-By: Company", b"ETSI-Entry-Certificate: x.cert"),
    "wrong hash": entry("manifest-hash", f"Source: Files/x\nAlgorithm: SHA-256\nHash: {_WRONG}"),
    "wrong hash of the VNFD": files("manifest-hash", lambda: with_manifest(csar()) | {TOP: vnfd(description="Other")}),
    "hash by MD5": entry("manifest-algorithm", f"Source: Files/x\nAlgorithm: MD5\nHash: {_RIGHT}"),
    "hash without algorithm": entry("manifest-entry", f"Source: Files/x\nHash: {_RIGHT}"),
    "algorithm without hash": entry("manifest-entry", "Source: Files/x\nAlgorithm: SHA-256"),
    "hash of nothing": entry("manifest-file-missing", f"Source: Files/y\nAlgorithm: SHA-256\nHash: {_RIGHT}"),
    "hash of the host's file": entry("manifest-file-missing", f"Source: ../x\nAlgorithm: SHA-256\nHash: {_RIGHT}"),
    "non-MANO artifact missing": entry("non-mano-missing", "non_mano_artifact_sets:\n  mine:\n    Source: Files/none"),
    "encrypted artifact": also("artifact-encrypted", "Files/secret.bin", _enveloped()),
    "encrypted artifact, PEM": also("artifact-encrypted", "Files/secret.cms", _pem(_enveloped())),
    "artifact said to be encrypted": entry("artifact-encrypted", "Source: Files/x\nEncryption: AES-256"),
}
SIGNATURES: dict[str, Bad] = {
    "unsigned": files("signature-missing", csar),
    "signature is no CMS": after(
        "signature-form", replaced(".mf", lambda mf: mf.partition(b"-----")[0] + _pem(b"junk"))
    ),
    "signature is encryption": after(
        "signature-form", replaced(".mf", lambda mf: mf.partition(b"-----")[0] + _pem(_enveloped()))
    ),
    "signature without an end": after("signature-form", replaced(".mf", lambda mf: mf.partition(b"-----END")[0])),
    "manifest tampered": after("signature-digest", replaced(".mf", lambda mf: mf.replace(b"Company", b"Evil Co"))),
    "file and hash tampered": after(
        "signature-digest",
        lambda found: (
            found
            | {
                TOP: found[TOP] + b"\n#\n",
                (name := named(found, ".mf")): found[name].replace(
                    hashlib.sha256(found[TOP]).hexdigest().encode(),
                    hashlib.sha256(found[TOP] + b"\n#\n").hexdigest().encode(),
                ),
            }
        ),
    ),
    "file tampered": after("manifest-hash", lambda found: found | {TOP: found[TOP] + b"\n#\n"}),
    "file slipped in": after("manifest-unhashed-signed", lambda found: found | {"Scripts/evil.py": b"pass\n"}),
    "CSAR tampered": after("signature-digest", replaced(".csar", lambda content: content + b"\0"), option="whole"),
    "signed by another key": after(
        "signature-wrong", replaced(".mf", lambda mf: _resigned(mf, keys.impostor())), signer=keys.vendor()
    ),
    "certificate left out": after("certificate-missing", without(".cert"), option="whole"),
    "certificate of somebody else": after(
        "certificate-missing", replaced(".cert", lambda _: keys.issued("Other", keys.root()).pem), option="whole"
    ),
    "certificate is junk": after("certificate-form", replaced(".cert", lambda _: b"junk"), option="whole"),
    "certificate of another kind of key": after("signature-algorithm", _ed25519, option="whole"),
    "certificate expired": after(
        "certificate-expired", lambda found: found, signer=keys.issued("Old", keys.root(), days=(-9, -1))
    ),
    "certificate of the future": after(
        "certificate-expired", lambda found: found, signer=keys.issued("New", keys.root(), days=(1, 9))
    ),
    "unknown authority": after(
        "certificate-untrusted", lambda found: found, signer=keys.issued("Vendor", keys.issued("Root", authority=True))
    ),
    "vouched for by itself": after("certificate-untrusted", lambda found: found, signer=keys.issued("Vendor")),
    "vouched for by a vendor": after(
        "certificate-untrusted",
        replaced(".cert", lambda pem: pem + keys.vendor().pem),
        option="whole",
        signer=keys.issued("Guest", keys.vendor()),
    ),
    "SHA-1": Bad("signature-algorithm", _sha1),
    "two signatures": after("envelope-content", lambda found: found | {"more.cms": b"x"}, option="whole"),
    "no signature in the envelope": after("envelope-content", without(".cms"), option="whole"),
    "two CSARs": after("envelope-content", lambda found: found | {"more.csar": b"x"}, option="whole"),
    "CSAR in the envelope is no zip": after("zip-corrupt", replaced(".csar", lambda _: b"junk"), option="whole"),
    "CSAR in the envelope is bad": after(
        "zip-corrupt", replaced(".csar", lambda content: content[: len(content) // 2]), option="whole"
    ),
}
