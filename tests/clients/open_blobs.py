"""Opens the files of a stopped server from its data directory and its root key alone, by `docs/formats`: no line of the server's own
code is used. Reads from standard input a JSON list of SHA-256 sums, and prints 'N passed, N failed': each sum must be that of a file
that was opened, and another root key, another place and a flipped bit must open nothing."""

import argparse
import base64
import hashlib
import json
import os
import pathlib
import sqlite3
import struct
import subprocess
import sys
import uuid

PINS = ["cryptography==50.0.2"]


def reenter(cache):
    """Makes a virtual environment with the pinned packages once, and runs this file in it."""
    digest = hashlib.sha256("\n".join([sys.version, *PINS]).encode()).hexdigest()[:16]
    place = pathlib.Path(cache) / f"open-blobs-{digest}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        (place / "complete").touch()
    os.execve(python, [str(python), "-B", *sys.argv], {**os.environ, "BARTIZAN_SUITE_READY": "1"})


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--cache", required=True, help="directory for what is installed")
parser.add_argument("--data", required=True, type=pathlib.Path, help="the data directory")
parser.add_argument("--root-key", required=True, type=pathlib.Path, help="the root key's file")
given = parser.parse_args()
if "BARTIZAN_SUITE_READY" not in os.environ:
    reenter(given.cache)

from cryptography.exceptions import InvalidTag  # noqa: E402
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402

SYSTEM = bytes(16)


def xaes_open(key, nonce, aad, sealed):
    """XAES-256-GCM (C2SP)."""
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    subkey = int.from_bytes(block.update(bytes(16)), "big") << 1
    if subkey >> 128:
        subkey = (subkey & (2**128 - 1)) ^ 0x87
    subkey = subkey.to_bytes(16, "big")
    derived = b""
    for counter in (1, 2):
        message = bytes([0, counter]) + b"X\0" + nonce[:12]
        derived += block.update(bytes(a ^ b for a, b in zip(message, subkey)))
    return AESGCM(derived).decrypt(nonce[12:], sealed, aad)


def root_key(path):
    first, second = path.read_text().splitlines()
    assert first == "bartizan-root-key-v1"
    return base64.b64decode(second)


def unwrap(root, purpose, wrapped):
    """docs/formats/root-key.md"""
    assert wrapped[:1] == b"\1"
    return xaes_open(root, wrapped[1:25], b"bartizan root v1\0" + purpose, wrapped[25:])


def keyring(material):
    """docs/formats/keyring.md: the keys of a shelf by version."""
    assert material[:1] == b"\1"
    (count,) = struct.unpack(">I", material[33:37])
    keys = {}
    for at in range(37, 37 + 36 * count, 36):
        (version,) = struct.unpack(">I", material[at : at + 4])
        keys[version] = material[at + 4 : at + 36]
    return keys


def place(shelf, table, identity, row_version, key_version):
    parts = [b"bartizan record v1\0"]
    for part in (shelf, table, identity):
        parts.append(struct.pack(">I", len(part)) + part)
    return b"".join(parts) + struct.pack(">QI", row_version, key_version)


def record(keys, shelf, table, identity, row_version, value):
    """docs/formats/record.md: the JSON of a record."""
    assert value[:1] == b"\1"
    (version,) = struct.unpack(">I", value[1:5])
    aad = place(shelf, table, identity, row_version, version)
    return json.loads(xaes_open(keys[version], value[5:29], aad, value[29:])[1:])


def rows(database, table, shelf=None):
    prefix = table + b"\0"
    for key, version, value in database.execute("SELECT key, version, value FROM kv"):
        if key.startswith(prefix) and shelf in (None, key[len(prefix) : len(prefix) + 16]):
            yield key[len(prefix) : len(prefix) + 16], key[len(prefix) + 16 :], version, value


def blob(data, shelf, reference, name=None):
    """docs/formats/blob.md: the content of a blob."""
    name = name or reference["id"]
    sealed = (data / "blobs" / "objects" / name[:2] / name).read_bytes()
    return opened(sealed, shelf, reference)


def opened(sealed, shelf, reference):
    assert sealed[:4] == b"BZB1" and sealed[4] == 16
    prefix, segments = sealed[5:12], sealed[12:]
    cipher = AESGCM(bytes(reference["key"]))
    aad = b"bartizan blob v1\0" + shelf + uuid.UUID(reference["id"]).bytes
    size, plain = 65536 + 16, b""
    count = max(1, -(-len(segments) // size))
    for index in range(count):
        nonce = prefix + struct.pack(">I", index) + bytes([index == count - 1])
        plain += cipher.decrypt(nonce, segments[index * size : (index + 1) * size], aad)
    assert len(plain) == reference["length"]
    return plain


def references(value):
    """Every reference to a blob, wherever it is in a record."""
    if isinstance(value, dict):
        if {"id", "key", "length", "sha256"} <= set(value) and isinstance(value["key"], list):
            yield value
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def fails(attempt):
    try:
        attempt()
    except InvalidTag:
        return True
    return False


tally = {"passed": 0, "failed": 0}


def check(what, holds):
    tally["passed" if holds else "failed"] += 1
    print("ok  " if holds else "FAIL", what, flush=True)


wanted = json.load(sys.stdin)
database = sqlite3.connect(f"file:{given.data}/meta/meta.sqlite?mode=ro", uri=True)
root = root_key(given.root_key)
wrapped = database.execute("SELECT value FROM kv WHERE key = ?", (b"root\0keyring",)).fetchone()[0]
system = keyring(unwrap(root, b"system keyring", wrapped))
shelves = {}
for shelf, identity, version, value in rows(database, b"keyring", SYSTEM):
    shelves[identity] = keyring(bytes(record(system, shelf, b"keyring", identity, version, value)["material"]))
check("every shelf's keyring opens with the root key", len(shelves) > 0)

files, first = {}, None
for shelf, identity, version, value in rows(database, b"artifact"):
    found = record(shelves[shelf], shelf, b"artifact", identity, version, value)
    for reference in references(found):
        content = blob(given.data, shelf, reference)
        check(f"{reference['length']} bytes have the sum their record says", hashlib.sha256(content).hexdigest() == reference["sha256"])
        files[reference["sha256"]] = content
        if first is None or reference["length"] > first[1]["length"]:
            first = (shelf, reference, identity, version, value)
for sum_ in wanted:
    check(f"the file with the sum {sum_[:12]}… was opened", sum_ in files)

other = bytes(byte ^ 1 for byte in root)
check("another root key opens nothing", fails(lambda: unwrap(other, b"system keyring", wrapped)))
check("nor does the right one for another purpose", fails(lambda: unwrap(root, b"another", wrapped)))
if first:
    shelf, reference, identity, version, value = first
    moved = bytes([identity[0] ^ 1]) + identity[1:]
    check("a record at another id does not open", fails(lambda: record(shelves[shelf], shelf, b"artifact", moved, version, value)))
    check("nor at another version", fails(lambda: record(shelves[shelf], shelf, b"artifact", identity, version + 1, value)))
    name = reference["id"]
    sealed = bytearray((given.data / "blobs" / "objects" / name[:2] / name).read_bytes())
    check("a file of another shelf does not open", fails(lambda: opened(bytes(sealed), SYSTEM, reference)))
    sealed[-20] ^= 1
    check("nor one with a flipped bit", fails(lambda: opened(bytes(sealed), shelf, reference)))

print(", ".join(f"{count} {what}" for what, count in tally.items()))
sys.exit(tally["failed"] != 0)
