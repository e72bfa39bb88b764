#!/usr/bin/env python3
"""Writes the vectors of this folder, by a second implementation of the formats in docs/formats.

Everything is fixed (keys, nonces, times), so the same files come out each time. It needs the Python package
`cryptography` (45 or later). A version's files are never made anew to fit changed code: see README.md.
"""

import base64
import hashlib
import hmac
import json
import struct
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

HERE = Path(__file__).parent


def fixed(label, size):
    """Bytes that look random and are the same each time."""
    return hashlib.shake_256(("bartizan vector " + label).encode()).digest(size)


def write(name, value):
    (HERE / name).write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def xaes(key, nonce, aad, plain):
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
    return AESGCM(derived).encrypt(nonce[12:], plain, aad)


def flip(data, at, mask=1):
    changed = bytearray(data)
    changed[at] ^= mask
    return bytes(changed)


# --- keyrings -----------------------------------------------------------------------------------------------------------

NAME_KEY = fixed("name key", 32)
KEYS = {1: fixed("record key 1", 32), 2: fixed("record key 2", 32)}


def keyring(name_key, keys):
    out = b"\1" + name_key + struct.pack(">I", len(keys))
    for version, key in keys:
        out += struct.pack(">I", version) + key
    return out


ONE = keyring(NAME_KEY, [(1, KEYS[1])])
TWO = keyring(NAME_KEY, sorted(KEYS.items()))
OTHER = keyring(fixed("other name key", 32), [(1, fixed("other record key", 32))])


def mac(kind, purpose, value):
    return hmac.new(NAME_KEY, kind.encode() + b"\0" + purpose.encode() + b"\0" + value.encode(), hashlib.sha256)


def keyrings():
    first = TWO[37:73]
    bad = [
        ("nothing", b"", "Truncated"),
        ("an unknown format", b"\2" + TWO[1:], "Format 2"),
        ("format 0", b"\0" + TWO[1:], "Format 0"),
        ("a format byte alone", b"\1", "Truncated"),
        ("cut within the name key", TWO[:20], "Truncated"),
        ("cut within the count", TWO[:35], "Truncated"),
        ("cut within a key", TWO[:-1], "Truncated"),
        ("cut after a key that the count promises to be followed", TWO[:-36], "Truncated"),
        ("no version at all", keyring(NAME_KEY, []), "Truncated"),
        ("a count that is too small", TWO[:33] + struct.pack(">I", 1) + TWO[37:], "Truncated"),
        ("one version twice", TWO[:37] + first + first, "Truncated"),
        ("a byte too many", TWO + b"\0", "Truncated"),
    ]
    write("keyring-v1.json", {
        "what": "docs/formats/keyring.md",
        "good": [
            {"name": "one version", "bytes": ONE.hex()},
            {"name": "two versions", "bytes": TWO.hex()},
        ],
        "bad": [{"name": name, "bytes": data.hex(), "fails": how} for name, data, how in bad],
        "names": [
            {"table": table, "name": name, "id": mac("name", table, name).digest()[:16].hex()}
            for table, name in [("workspace", "ws1"), ("workspace", ""), ("person", "admin"), ("person", "ärmel")]
        ],
        "fingerprints": [
            {"purpose": purpose, "credential": text, "fingerprint": mac("credential", purpose, text).hexdigest(),
             "matches": matches}
            for purpose, text, matches in [
                ("client secret", "bzs_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", True),
            ]
        ] + [
            {"purpose": "client secret", "credential": "bzs_x", "matches": False,
             "fingerprint": mac("credential", "service-key", "bzs_x").hexdigest()},
            {"purpose": "client secret", "credential": "bzs_x", "matches": False,
             "fingerprint": mac("credential", "client secret", "bzs_x").hexdigest()[:-2]},
        ],
    })


# --- records ------------------------------------------------------------------------------------------------------------

SHELF = fixed("shelf", 16)


def place_aad(shelf, table, row, version, key_version):
    aad = b"bartizan record v1\0"
    for part in (shelf, table.encode(), row):
        aad += struct.pack(">I", len(part)) + part
    return aad + struct.pack(">Q", version) + struct.pack(">I", key_version)


def record(label, shelf, table, row, version, plain, key_version=1, key=None):
    nonce = fixed("record nonce " + label, 24)
    header = b"\1" + struct.pack(">I", key_version) + nonce
    return header + xaes(key or KEYS[key_version], nonce, place_aad(shelf, table, row, version, key_version), plain)


def records():
    plain = b'\1{"status":"Running"}'
    here = {"shelf": SHELF, "table": "runs", "row": b"r1", "version": 3}
    good = record("good", **here, plain=plain)
    cases = []

    def case(name, sealed, ring="two", opens=None, fails=None, **moved):
        where = {**here, **moved}
        entry = {"name": name, "ring": ring, "shelf": where["shelf"].hex(), "table": where["table"],
                 "id": where["row"].hex(), "version": where["version"], "sealed": sealed.hex()}
        entry.update({"opens": opens.hex()} if opens is not None else {"fails": fails})
        cases.append(entry)

    case("under the first key", good, opens=plain)
    case("the ring it was made with, before a rotation", good, ring="one", opens=plain)
    case("under the second key", record("second", **here, plain=plain, key_version=2), opens=plain)
    case("nothing inside", record("empty", **here, plain=b""), opens=b"")
    log = {"shelf": bytes(16), "table": "activity", "row": b"", "version": 0}
    case("a record of the activity log: system shelf, no id, no version", record("log", **log, plain=b"{}"), opens=b"{}", **log)
    case("another ring", good, ring="other", fails="Unauthentic")
    case("another shelf", good, shelf=fixed("other shelf", 16), fails="Unauthentic")
    case("another table", good, table="run", fails="Unauthentic")
    case("table and id shifted against each other", good, table="runsr", row=b"1", fails="Unauthentic")
    case("another id", good, row=b"r2", fails="Unauthentic")
    case("an older version put back", good, version=4, fails="Unauthentic")
    case("a newer version", good, version=2, fails="Unauthentic")
    case("a key version that the ring has not", record("second", **here, plain=plain, key_version=2), ring="one", fails="UnknownKey 2")
    case("key version 0", good[:1] + bytes(4) + good[5:], fails="UnknownKey 0")
    case("another key version that the ring has", good[:1] + struct.pack(">I", 2) + good[5:], fails="Unauthentic")
    case("a key version that is not the one bound in", record("lies", **here, plain=plain, key_version=2, key=KEYS[1]), fails="Unauthentic")
    case("a bit of the nonce flipped", flip(good, 5), fails="Unauthentic")
    case("the last bit of the nonce flipped", flip(good, 28), fails="Unauthentic")
    case("a bit of the ciphertext flipped", flip(good, 29), fails="Unauthentic")
    case("a bit of the tag flipped", flip(good, len(good) - 1, 0x80), fails="Unauthentic")
    case("one byte short", good[:-1], fails="Unauthentic")
    case("one byte more", good + b"\0", fails="Unauthentic")
    case("a header without ciphertext", good[:29], fails="Unauthentic")
    case("cut within the nonce", good[:28], fails="Truncated")
    case("cut within the key version", good[:4], fails="Truncated")
    case("nothing", b"", fails="Truncated")
    case("format 2", b"\2" + good[1:], fails="Format 2")
    case("format 0", b"\0" + good[1:], fails="Format 0")
    write("record-v1.json", {
        "what": "docs/formats/record.md",
        "rings": {"one": ONE.hex(), "two": TWO.hex(), "other": OTHER.hex()},
        "cases": cases,
    })


# --- keys wrapped by the root key ---------------------------------------------------------------------------------------

def root():
    key = fixed("root key", 32)
    nonce = fixed("root nonce", 24)

    def wrap(purpose, plain):
        return b"\1" + nonce + xaes(key, nonce, b"bartizan root v1\0" + purpose, plain)

    good = wrap(b"system keyring", ONE)
    cases = []

    def case(name, wrapped, root=key, purpose=b"system keyring", opens=None, fails=None):
        entry = {"name": name, "root": root.hex(), "purpose": purpose.decode(), "wrapped": wrapped.hex()}
        entry.update({"opens": opens.hex()} if opens is not None else {"fails": fails})
        cases.append(entry)

    case("the system keyring", good, opens=ONE)
    case("another root key", good, root=fixed("other root", 32), fails="Unauthentic")
    case("another purpose", good, purpose=b"system keyrings", fails="Unauthentic")
    case("a flipped bit", flip(good, 40), fails="Unauthentic")
    case("one byte short", good[:-1], fails="Unauthentic")
    case("cut within the nonce", good[:20], fails="Truncated")
    case("nothing", b"", fails="Truncated")
    case("format 2", b"\2" + good[1:], fails="Format 2")
    case("a root key of 31 bytes", good, root=key[:31], fails="Refused")
    write("root-v1.json", {"what": "docs/formats/root-key.md", "cases": cases})


# --- blobs --------------------------------------------------------------------------------------------------------------

SEGMENT = 65536
SEALED = SEGMENT + 16


def blob_plain(size):
    return bytes(at % 251 for at in range(size))


def blob(key, shelf, blob_id, prefix, plain):
    aad = b"bartizan blob v1\0" + shelf + blob_id
    segments = [plain[at:at + SEGMENT] for at in range(0, len(plain), SEGMENT)] or [b""]
    out = b"BZB1" + bytes([16]) + prefix
    for index, segment in enumerate(segments):
        nonce = prefix + struct.pack(">I", index) + bytes([index == len(segments) - 1])
        out += AESGCM(key).encrypt(nonce, segment, aad)
    return out


def blobs():
    key, blob_id, prefix = fixed("blob key", 32), fixed("blob id", 16), fixed("blob prefix", 7)
    large = 2 * SEGMENT + 5
    stored = blob(key, SHELF, blob_id, prefix, blob_plain(large))
    (HERE / "blob-v1.bin").write_bytes(stored)
    cases = []

    def case(name, edits=(), length=large, sealed=None, key=key, shelf=SHELF, blob_id=blob_id, fails=None, **where):
        start, wanted = where.get("range", (0, length))
        entry = {"name": name, "key": key.hex(), "shelf": shelf.hex(), "id": str(uuid.UUID(bytes=blob_id)), "length": length,
                 "range": [start, wanted]}
        entry["sealed" if sealed is not None else "edits"] = sealed.hex() if sealed is not None else list(edits)
        if fails:
            entry["fails"] = fails
        cases.append(entry)

    def small(size):
        return blob(key, SHELF, blob_id, prefix, blob_plain(size))

    case("an empty blob", length=0, sealed=small(0))
    case("five bytes", length=5, sealed=small(5))
    case("three segments")
    case("a range across a seam", range=(SEGMENT - 2, 4))
    case("the last byte", range=(large - 1, 1))
    case("a range beyond the end is cut there", range=(large - 3, 100))
    case("nothing of it", range=(7, 0))
    case("a range that misses a flipped bit", [["flip", 12 + SEALED, 1]], range=(0, 10))
    case("another key", key=fixed("other blob key", 32), fails="Unauthentic")
    case("another shelf", shelf=fixed("other shelf", 16), fails="Unauthentic")
    case("another id", blob_id=fixed("other blob id", 16), fails="Unauthentic")
    case("a flipped bit in the first segment", [["flip", 12, 1]], fails="Unauthentic")
    case("a flipped bit in the second segment", [["flip", 12 + SEALED + 9, 128]], fails="Unauthentic")
    case("a flipped bit in the last tag", [["flip", len(stored) - 1, 1]], fails="Unauthentic")
    case("a flipped bit in the prefix", [["flip", 5, 1]], fails="Unauthentic")
    case("the first two segments in the other order", [["swap", 0, 1]], fails="Unauthentic")
    case("the first segment twice", [["copy", 0, 1]], fails="Unauthentic")
    case("one byte short", [["cut", 1]], fails="Truncated")
    case("the last segment missing", [["cut", 5 + 16]], fails="Truncated")
    case("the last segment missing, and the record says so", [["cut", 5 + 16]], length=2 * SEGMENT, fails="Unauthentic")
    case("the record says that there is more", length=large + 1, fails="Truncated")
    case("the record says that there is less", length=large - 1, fails="Unauthentic")
    case("the record says that there is a segment more", length=3 * SEGMENT + 1, fails="Truncated")
    case("another magic", [["flip", 3, 3]], fails="Format 50")
    case("segments of another size", [["flip", 4, 4]], fails="Format 20")
    case("no key prefix", length=5, sealed=small(5)[:11], fails="Truncated")
    case("no header", length=5, sealed=b"BZ", fails="Truncated")
    case("nothing", length=0, sealed=b"", fails="Truncated")
    write("blob-v1.json", {
        "what": "docs/formats/blob.md",
        "plaintext": "byte n is n mod 251",
        "edits of blob-v1.bin": "flip offset mask; swap or copy segment onto segment; cut bytes off the end",
        "cases": cases,
    })


# --- the activity log ---------------------------------------------------------------------------------------------------

def b64(data):
    return base64.b64encode(data).decode()


def activity_log():
    log = {"shelf": bytes(16), "table": "activity", "row": b"", "version": 0}
    sealed = [record(f"log row {seq}", **log, plain=json.dumps({"row": seq}).encode()) for seq in (1, 2, 3)]

    def link(previous, seq, data):
        return hashlib.sha256(b"bartizan log v1\0" + previous + struct.pack(">Q", seq) + hashlib.sha256(data).digest()).digest()

    rows, previous = [], bytes(32)
    for seq, data in enumerate(sealed, 1):
        before, previous = previous, link(previous, seq, data)
        rows.append({"seq": seq, "previous": before.hex(), "record": data.hex(), "link": previous.hex()})
    second = rows[1]
    unlike = [
        {**second, "name": "a flipped bit in a record", "record": flip(sealed[1], 40).hex()},
        {**second, "name": "another record in its place", "record": sealed[2].hex()},
        {**second, "name": "another number", "seq": 3},
        {**second, "name": "another predecessor", "previous": rows[1]["link"]},
        {**second, "name": "a flipped bit in the link before", "previous": flip(bytes.fromhex(second["previous"]), 31).hex()},
    ]

    def signer(label):
        private = Ed25519PrivateKey.from_private_bytes(fixed(label, 32))
        public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return private, public

    private, public = signer("checkpoint key")
    other, other_public = signer("other checkpoint key")

    def checkpoint(body, private=private, public=public):
        signature = hashlib.sha256(public).digest()[:4] + private.sign(body.encode())
        return f"{body}\n— {b64(signature)}\n"

    origin, size, time = "bartizan.activity-log/6f9619ff-8b86-d011-b42d-00c04fc964ff", 3, "2026-01-31T12:00:00.5Z"
    body = f"{origin}\n{size}\n{b64(previous)}\n{time}\n"
    good = checkpoint(body)
    signature = base64.b64decode(good.rsplit("— ", 1)[1])

    def signed_by(parts):
        return f"{body}\n— {b64(parts)}\n"

    fields = {"origin": origin, "size": size, "link": previous.hex(), "time": time}
    cases = [
        {"name": "a checkpoint", "text": good, "opens": fields},
        {"name": "one without its last line end, as an editor may leave it", "text": good.rstrip("\n"), "opens": fields},
        {"name": "one with a line that a later release may add", "text": checkpoint(body + "more\n"), "opens": fields},
        {"name": "fewer records", "text": good.replace("\n3\n", "\n2\n"), "fails": "Unauthentic"},
        {"name": "another time", "text": good.replace("12:00", "12:01"), "fails": "Unauthentic"},
        {"name": "another origin", "text": good.replace("6f96", "6f97"), "fails": "Unauthentic"},
        {"name": "another link", "text": good.replace(b64(previous), b64(bytes(32))), "fails": "Unauthentic"},
        {"name": "signed by another key", "text": checkpoint(body, other, other_public), "fails": "Unauthentic"},
        {"name": "signed by another key that claims to be ours", "text": checkpoint(body, other, public), "fails": "Unauthentic"},
        {"name": "a flipped bit in the signature", "text": signed_by(flip(signature, 40)), "fails": "Unauthentic"},
        {"name": "a flipped bit in the key's id", "text": signed_by(flip(signature, 0)), "fails": "Unauthentic"},
        {"name": "half a signature", "text": signed_by(signature[:36]), "fails": "Unauthentic"},
        {"name": "a signature of nothing", "text": signed_by(signature[:4] + bytes(64)), "fails": "Unauthentic"},
        {"name": "three bytes of signature", "text": signed_by(signature[:3]), "fails": "Truncated"},
        {"name": "a signature that is no base64", "text": f"{body}\n— !\n", "fails": "Truncated"},
        {"name": "no signature", "text": body, "fails": "Truncated"},
        {"name": "nothing", "text": "", "fails": "Truncated"},
        {"name": "signed, but without a time", "text": checkpoint(body.rsplit("\n", 2)[0] + "\n"), "fails": "Truncated"},
        {"name": "signed, but the size is no number", "text": checkpoint(body.replace("\n3\n", "\nthree\n")), "fails": "Truncated"},
        {"name": "signed, but the link is short", "text": checkpoint(body.replace(b64(previous), b64(previous[:31]))), "fails": "Truncated"},
    ]
    pkcs8 = private.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    line = "bartizan-log-key-v1 " + b64(public)
    write("activity-log-v1.json", {
        "what": "docs/formats/activity-log.md",
        "ring": ONE.hex(),
        "rows": rows,
        "unlike": unlike,
        "private key": pkcs8.hex(),
        "public key": line,
        "no public keys": [line.replace("v1", "v2"), "bartizan-log-key-v1 " + b64(public[:31]), line[:-4], b64(public), ""],
        "checkpoints": cases,
    })


# --- tokens -------------------------------------------------------------------------------------------------------------

def b64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def tokens():
    def key(label):
        return ec.derive_private_key(int.from_bytes(fixed(label, 32), "big") >> 1, ec.SECP256R1())

    def stored(key):
        return key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).hex()

    new, old, foreign = key("token key"), key("older token key"), key("foreign token key")
    kids = {"new": "0f" * 16, "old": "0e" * 16}
    claims = {"iss": "https://localhost:8443/t/v2.0", "aud": "https://localhost:8443", "sub": "a", "exp": 1800003600}
    payload = b64url(json.dumps(claims).encode())

    def fixed_form(der):
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(header, payload=payload, key=new):
        head = header if isinstance(header, str) else json.dumps(header)
        message = f"{b64url(head.encode())}.{payload}"
        return f"{message}.{b64url(fixed_form(key.sign(message.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))))}"

    plain = {"typ": "at+jwt", "alg": "ES256", "kid": kids["new"]}
    good = token(plain)
    message, signature = good.rsplit(".", 1)
    der = new.sign(message.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    public = new.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    hs = f"{b64url(json.dumps({**plain, 'alg': 'HS256'}).encode())}.{payload}"
    hs += "." + b64url(hmac.new(public, hs.encode(), hashlib.sha256).digest())
    numbers = foreign.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64url(numbers.x.to_bytes(32, "big")), "y": b64url(numbers.y.to_bytes(32, "big"))}
    raw = base64.urlsafe_b64decode(signature + "==")
    changed = b64url(json.dumps({**claims, "sub": "b"}).encode())
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    refused = [
        ("another type: a run's token where an access token is due", token({**plain, "typ": "run+jwt"})),
        ("type JWT", token({**plain, "typ": "JWT"})),
        ("type in capitals", token({**plain, "typ": "AT+JWT"})),
        ("no type", token({"alg": "ES256", "kid": kids["new"]})),
        ("no key id", token({"typ": "at+jwt", "alg": "ES256"})),
        ("no algorithm", token({"typ": "at+jwt", "kid": kids["new"]})),
        ("algorithm none", token({**plain, "alg": "none"}).rsplit(".", 1)[0] + "."),
        ("algorithm none over a good signature", token({**plain, "alg": "none"})),
        ("algorithm HS256 with the public key as the secret", hs),
        ("algorithm ES384 over a good signature", token({**plain, "alg": "ES384"})),
        ("algorithm in small letters", token({**plain, "alg": "es256"})),
        ("a foreign key in the header, signed by it", token({**plain, "jwk": jwk}, key=foreign)),
        ("a foreign key in the header, signed by ours", token({**plain, "jwk": jwk})),
        ("an address of keys in the header, signed by ours", token({**plain, "jku": "https://evil.example/keys"})),
        ("a certificate in the header, signed by ours", token({**plain, "x5c": ["AAAA"]})),
        ("a critical extension, signed by ours", token({**plain, "crit": ["b64"], "b64": False})),
        ("a compressed payload, signed by ours", token({**plain, "zip": "DEF"})),
        ("a key id twice, signed by ours", token('{"typ":"at+jwt","alg":"ES256","kid":"x","kid":"%s"}' % kids["new"])),
        ("a key id that nobody has", token({**plain, "kid": "00" * 16})),
        ("a key id that is a path", token({**plain, "kid": "../../dev/null"})),
        ("the key id of another key of ours", token({**plain, "kid": kids["old"]})),
        ("signed by a foreign key", token(plain, key=foreign)),
        ("changed claims", f"{message.split('.')[0]}.{changed}.{signature}"),
        ("no signature", message + "."),
        ("no signature and no dot", message),
        ("a signature of zeros", f"{message}.{b64url(bytes(64))}"),
        ("a signature of the group's order", f"{message}.{b64url(n.to_bytes(32, 'big') * 2)}"),
        ("a signature in DER", f"{message}.{b64url(der)}"),
        ("half a signature", f"{message}.{b64url(raw[:32])}"),
        ("a byte more of signature", f"{message}.{b64url(raw + bytes(1))}"),
        ("a flipped bit in the signature", f"{message}.{b64url(flip(raw, 63))}"),
        ("padding", good + "=="),
        ("a part more", good + ".AAAA"),
        ("a space before", " " + good),
        ("a line end after", good + "\n"),
        ("claims that are no JSON", token(plain, payload=b64url(b"claims"))),
        ("a header that is no JSON", token("header")),
        ("nothing", ""),
        ("two dots", ".."),
    ]
    cases = [
        {"name": "an access token", "typ": "at+jwt", "token": good, "opens": claims},
        {"name": "a token under the older key", "typ": "at+jwt", "token": token({**plain, "kid": kids["old"]}, key=old), "opens": claims},
        {"name": "a run's token", "typ": "run+jwt", "token": token({**plain, "typ": "run+jwt"}), "opens": claims},
        {"name": "a service's token", "typ": "svc+jwt", "token": token({**plain, "typ": "svc+jwt"}), "opens": claims},
        {"name": "a header whose fields stand in another order", "typ": "at+jwt", "opens": claims,
         "token": token({"kid": kids["new"], "alg": "ES256", "typ": "at+jwt"})},
    ]
    cases += [{"name": name, "typ": "at+jwt", "token": text, "fails": "refused"} for name, text in refused]
    cases.append({"name": "an access token where a service's token is due", "typ": "svc+jwt", "token": good, "fails": "refused"})
    write("token-v1.json", {
        "what": "docs/formats/token.md",
        "keys": [{"kid": kids["new"], "document": stored(new)}, {"kid": kids["old"], "document": stored(old)}],
        "cases": cases,
    })


# --- passwords ----------------------------------------------------------------------------------------------------------

def passwords():
    salt = fixed("salt", 16)

    def stored(password, memory, passes):
        derived = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=memory).derive(password.encode())
        return {"memory_kib": memory, "passes": passes, "salt": list(salt), "hash": list(derived)}

    today = stored("correct horse battery staple", 46 * 1024, 2)
    write("password-v1.json", {
        "what": "docs/formats/keyring.md",
        "cases": [
            {"name": "at today's cost", "stored": today, "password": "correct horse battery staple", "matches": True},
            {"name": "at a cost of former days", "stored": stored("pässwörd", 8192, 1), "password": "pässwörd", "matches": True},
            {"name": "another password", "stored": today, "password": "correct horse battery staplf", "matches": False},
            {"name": "one letter less", "stored": today, "password": "correct horse battery stapl", "matches": False},
            {"name": "nothing", "stored": today, "password": "", "matches": False},
            {"name": "another cost than it was made at", "stored": {**today, "passes": 3},
             "password": "correct horse battery staple", "matches": False},
        ],
    })


# --- keys wrapped under a passphrase ----------------------------------------------------------------------------------------

def passphrases():
    words, purpose = b"correct horse battery staple", b"system keyring"
    salt, nonce = fixed("passphrase salt", 16), fixed("passphrase nonce", 24)

    def wrap(words, memory=1024, passes=2, purpose=purpose):
        head = b"\2" + struct.pack(">II", memory, passes) + salt
        root = Argon2id(salt=salt, length=32, iterations=passes, lanes=1, memory_cost=memory).derive(words)
        bound = struct.pack(">I", len(purpose)) + purpose + head
        return head + b"\1" + nonce + xaes(root, nonce, b"bartizan root v1\0" + bound, ONE)

    good = wrap(words)
    cases = []

    def case(name, wrapped, words=words, purpose=purpose, opens=None, fails=None):
        entry = {"name": name, "passphrase": words.decode(), "purpose": purpose.decode(), "wrapped": wrapped.hex()}
        entry.update({"opens": opens.hex()} if opens is not None else {"fails": fails})
        cases.append(entry)

    case("the system keyring", good, opens=ONE)
    case("at another cost", wrap(words, 4096, 1), opens=ONE)
    case("another passphrase", good, words=b"correct horse battery stable", fails="does not open")
    case("another purpose", good, purpose=b"system keyrings", fails="does not open")
    case("a cheaper cost in the head", flip(good, 8, 3), fails="does not open")
    case("a flipped bit in the salt", flip(good, 10), fails="does not open")
    case("a flipped bit", flip(good, 60), fails="does not open")
    case("one byte short", good[:-1], fails="does not open")
    case("cut within the head", good[:20], fails="truncated")
    case("cut behind the head", good[:25], fails="truncated")
    case("nothing", b"", fails="truncated")
    case("memory beyond bounds", flip(good, 1), fails="asks for more")
    case("passes beyond bounds", flip(good, 7), fails="asks for more")
    case("of a key file", b"\1" + good[26:], fails="a key file")
    write("passphrase-v1.json", {"what": "docs/formats/root-key.md", "cases": cases})


# --- backups ----------------------------------------------------------------------------------------------------------------

def backups():
    def number(value, width):
        return b"%0*o\0" % (width - 1, value)

    def header(name, size):
        fields = [
            (name.encode(), 100), (number(0o600, 8), 8), (number(0, 8), 8), (number(0, 8), 8), (number(size, 12), 12),
            (number(0, 12), 12), (b" " * 8, 8), (b"0", 1), (b"", 100), (b"ustar\x0000", 8),
        ]
        block = b"".join(value.ljust(width, b"\0") for value, width in fields).ljust(512, b"\0")
        return block[:148] + number(sum(block), 8) + block[156:]

    def member(name, content):
        return header(name, len(content)) + content + bytes(-len(content) % 512)

    private = Ed25519PrivateKey.from_private_bytes(fixed("backup key", 32))
    public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    blobs = {name: f"blobs/{uuid.UUID(bytes=fixed(name, 16))}" for name in ("one", "two")}
    members = [
        ("meta.sqlite", fixed("metadata", 700)),
        ("activity-log.pub", f"bartizan-log-key-v1 {b64(public)}\n".encode()),
        (blobs["one"], fixed("content one", 512)),
        (blobs["two"], fixed("content two", 512)),
        ("ca.pem", b""),
    ]

    def line(name, content):
        return f"{hashlib.sha256(content).hexdigest()} {len(content)} {name}\n"

    def manifest(lists, count, size, form="bartizan-backup-v1", origin="bartizan.backup/"):
        body = f"{origin}6f9619ff-8b86-d011-b42d-00c04fc964ff\n3\n{b64(fixed('last link', 32))}\n2026-01-31T12:00:00.5Z\n"
        body += f"{form}\nrelease 0.1.0\nmembers {count}\nbytes {size}\n"
        body += "".join(f"list {hashlib.sha256(text).hexdigest()} {name}\n" for name, text in lists)
        signature = hashlib.sha256(public).digest()[:4] + private.sign(body.encode())
        return f"{body}\n— {b64(signature)}\n".encode()

    def archive(members, lists=None, **more):
        text = "".join(line(*one) for one in members).encode()
        lists = [("lists/00000001", text)] if lists is None else lists
        signed = manifest(lists, len(members), sum(len(content) for _, content in members), **more)
        whole = b"".join(member(*one) for one in members) + b"".join(member(*one) for one in lists)
        return whole + member("manifest", signed) + bytes(1024)

    good = archive(members)
    swapped = [members[0], members[1], (blobs["one"], members[3][1]), (blobs["two"], members[2][1]), members[4]]
    cut = b"".join(member(*one) for one in members[:3])
    cases = []

    def case(name, data, opens=None, fails=None):
        cases.append({"name": name, "archive": b64(data), **({"opens": opens} if opens else {"fails": fails})})

    case("a backup", good, opens={"members": 5, "bytes": sum(len(content) for _, content in members), "records": 3})
    case("cut between members", cut, fails="not whole")
    case("cut before its end", good[:-512], fails="not whole")
    case("nothing", b"", fails="not whole")
    case("a block behind its end", good + bytes(512), fails="damaged")
    case("a flipped bit in a member", flip(good, 600), fails="damaged")
    case("a flipped bit between members", flip(good, 512 + 701), fails="damaged")
    case("a flipped bit in a header", flip(good, 105), fails="damaged")
    both = b"".join(member(*one) for one in swapped)
    case("members that were swapped", both + good[len(both):], fails="damaged")
    less = b"".join(member(*one) for one in members[:4])
    case("a member taken out", less + good[len(both):], fails="damaged")
    case("a list of something else", archive(members, [("lists/00000001", line(*members[0]).encode())]), fails="damaged")
    case("no list", archive(members, []), fails="damaged")
    case("another order", archive([members[1], members[0]] + members[2:]), fails="damaged")
    case("a name that leads elsewhere", member("../x", b"x") + good, fails="damaged")
    at = good.index(b"release 0.1.0")
    case("a changed manifest", flip(good, at + 10), fails="not signed")
    case("a checkpoint as its manifest", archive(members, origin="bartizan.activity-log/"), fails="damaged")
    case("format 2", archive(members, form="bartizan-backup-v2"), fails="newer")
    write("backup-v1.json", {"what": "docs/formats/backup.md", "public": f"bartizan-log-key-v1 {b64(public)}", "cases": cases})


# --- vault keys ---------------------------------------------------------------------------------------------------------

def prime(label, size):
    """A prime with its two highest bits set, good for the exponent 65537."""
    found = int.from_bytes(fixed(label, size), "big") | 3 << (size * 8 - 2) | 1

    def is_prime(n):
        odd, twos = n - 1, 0
        while odd % 2 == 0:
            odd, twos = odd // 2, twos + 1
        for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
            power = pow(base, odd, n)
            if power in (1, n - 1):
                continue
            for _ in range(twos - 1):
                power = pow(power, 2, n)
                if power == n - 1:
                    break
            else:
                return False
        return True

    while (found - 1) % 65537 == 0 or not is_prime(found):
        found += 2
    return found


def vault_keys():
    digest = fixed("digest", 64)

    def pkcs8(key):
        form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return key.private_bytes(*form)

    p, q = prime("vault key p", 128), prime("vault key q", 128)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    crt = (rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q))
    modulus = rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()
    signature = modulus.sign(digest[:32], padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    number = b64url((p * q).to_bytes(256, "big"))
    cases = [{"name": "RSA", "stored": (b"\1\1" + pkcs8(modulus)).hex(), "public": {"kty": "RSA", "n": number, "e": "AQAB"},
              "algorithm": "RS256", "digest": digest[:32].hex(), "signature": signature.hex()}]
    curves = [(2, "P-256", "ES256", ec.SECP256R1(), 32, hashes.SHA256()), (3, "P-384", "ES384", ec.SECP384R1(), 48, hashes.SHA384()),
              (4, "P-521", "ES512", ec.SECP521R1(), 66, hashes.SHA512())]
    for kind, crv, algorithm, curve, width, function in curves:
        key = ec.derive_private_key(int.from_bytes(fixed(f"vault key {crv}", width), "big") >> 8, curve)
        numbers = key.public_key().public_numbers()
        message = digest[: function.digest_size]
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(utils.Prehashed(function), deterministic_signing=True)))
        cases.append({"name": crv, "stored": (bytes([1, kind]) + pkcs8(key)).hex(),
                      "public": {"kty": "EC", "crv": crv, "x": b64url(numbers.x.to_bytes(width, "big")), "y": b64url(numbers.y.to_bytes(width, "big"))},
                      "algorithm": algorithm, "digest": message.hex(), "signature": (r.to_bytes(width, "big") + s.to_bytes(width, "big")).hex()})
    for bits in (128, 192, 256):
        key = fixed(f"vault key {bits}", bits // 8)
        cases.append({"name": f"{bits} bits", "stored": (b"\1\5" + key).hex(), "public": {"kty": "oct", "bits": bits},
                      "algorithm": f"A{bits}KW", "plain": digest[:32].hex(), "wrapped": keywrap.aes_key_wrap(key, digest[:32]).hex()})
    stored = bytes.fromhex(cases[1]["stored"])
    bad = [("nothing", b""), ("a format byte alone", b"\1"), ("no private half", b"\1\2"), ("a later format", b"\2" + stored[1:]),
           ("a type that nobody knows", b"\1\6" + stored[2:]), ("another curve", b"\1\3" + stored[2:]), ("RSA on a curve", b"\1\1" + stored[2:]),
           ("cut", stored[:-1]), ("a symmetric key of 64 bits", b"\1\5" + bytes(8))]
    write("vault-key-v1.json", {
        "what": "docs/formats/vault-key.md",
        "good": cases,
        "bad": [{"name": name, "stored": data.hex()} for name, data in bad],
    })


if __name__ == "__main__":
    keyrings()
    records()
    root()
    blobs()
    activity_log()
    tokens()
    passwords()
    passphrases()
    backups()
    vault_keys()
