"""azure-keyvault-keys: every call of it, and what keys do checked against `cryptography`."""

import hashlib
import os
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.keys import (
    JsonWebKey,
    KeyClient,
    KeyCurveName,
    KeyOperation,
    KeyRotationLifetimeAction,
    KeyRotationPolicy,
    KeyRotationPolicyAction,
    KeyType,
)
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .stage import assign, check, inner_code, new_vault, owner, raises

FAST = {"_polling_interval": 0.05}
CURVES = {
    "P-256": (ec.SECP256R1(), hashes.SHA256(), SignatureAlgorithm.es256, 32),
    "P-384": (ec.SECP384R1(), hashes.SHA384(), SignatureAlgorithm.es384, 48),
    "P-521": (ec.SECP521R1(), hashes.SHA512(), SignatureAlgorithm.es512, 66),
}


def run():
    vault = new_vault("suite-keys")
    client = KeyClient(vault.properties.vault_uri, owner)
    denied = raises(HttpResponseError, lambda: client.create_rsa_key("x"))
    check("whoever owns a vault has no right to make keys", denied and inner_code(denied) == "ForbiddenByRbac")
    assign("administrator", vault.id)

    versions(client)
    rsa_keys(client)
    curves(client)
    symmetric(client)
    imports(client)
    limits(client)
    rotation(client)
    deletion(client)
    backup(client)


def at(client, key):
    """A client that asks the server: the key is named by its id alone."""
    crypto = CryptographyClient(key.id, owner)
    # Without the public half at hand nothing is done on this side.
    crypto._initialized = True
    return crypto


def numbers(key):
    return int.from_bytes(key.key.n, "big"), int.from_bytes(key.key.e, "big")


def versions(client):
    first = client.create_ec_key("kept", curve=KeyCurveName.p_256, tags={"a": "b"})
    check("a key is made", first.key_type == KeyType.ec and first.properties.version)
    check("it shows no private half", first.key.d is None and first.properties.exportable is False)
    check("it is kept in software, and says so", first.properties.hsm_platform == "0")
    second = client.create_ec_key("kept")
    check("the newest is read", client.get_key("kept").properties.version == second.properties.version)
    check("the old one by its version", client.get_key("kept", first.properties.version).key.x == first.key.x)
    listed = {found.version for found in client.list_properties_of_key_versions("kept")}
    check("versions are listed", listed == {first.properties.version, second.properties.version})
    check("keys are listed", [found.name for found in client.list_properties_of_keys()] == ["kept"])
    check("a missing key is a ResourceNotFoundError", raises(ResourceNotFoundError, lambda: client.get_key("none")))
    changed = client.update_key_properties("kept", key_operations=["verify"], tags={"t": "1"}, enabled=True)
    check("attributes change", (changed.key_operations, changed.properties.tags) == (["verify"], {"t": "1"}))


def rsa_keys(client):
    key = client.create_rsa_key("rsa", size=2048)
    public = rsa.RSAPublicNumbers(*reversed(numbers(key))).public_key()
    check("an RSA key is made", public.key_size == 2048 and key.key.e == b"\1\0\1")
    remote, local = at(client, key), CryptographyClient(key, owner)
    for name, algorithm, function in [
        ("RSA-OAEP", EncryptionAlgorithm.rsa_oaep, hashes.SHA1()),
        ("RSA-OAEP-256", EncryptionAlgorithm.rsa_oaep_256, hashes.SHA256()),
    ]:
        oaep = padding.OAEP(padding.MGF1(function), function, None)
        check(f"{name}: what `cryptography` encrypts the vault decrypts", remote.decrypt(algorithm, public.encrypt(b"text", oaep)).plaintext == b"text")
        check(f"{name}: what the vault encrypts it decrypts", remote.decrypt(algorithm, remote.encrypt(algorithm, b"text").ciphertext).plaintext == b"text")
        wrapped = local.wrap_key(KeyWrapAlgorithm(algorithm.value), b"k" * 32).encrypted_key
        check(f"{name}: what the client wraps the vault unwraps", local.unwrap_key(KeyWrapAlgorithm(algorithm.value), wrapped).key == b"k" * 32)
    for name, pad, function in [
        (name, pad, function)
        for name, pad in [("rs", padding.PKCS1v15()), ("ps", None)]
        for function in [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()]
    ]:
        pad = pad or padding.PSS(padding.MGF1(function), function.digest_size)
        algorithm = SignatureAlgorithm(f"{name.upper()}{function.digest_size * 8}")
        digest = hashlib.new(function.name, b"message").digest()
        signature = remote.sign(algorithm, digest).signature
        public.verify(signature, b"message", pad, function)
        check(f"{algorithm.value}: `cryptography` verifies what the vault signed", True)
        check(f"{algorithm.value}: the vault too", remote.verify(algorithm, digest, signature).is_valid)
        check(f"{algorithm.value}: and nothing else", not remote.verify(algorithm, digest[::-1], signature).is_valid)
    refused = raises(HttpResponseError, lambda: remote.encrypt(EncryptionAlgorithm.rsa1_5, b"text"))
    check("RSA1_5 is not supported", refused and refused.status_code == 400)
    check("a foreign ciphertext is a 400", raises(HttpResponseError, lambda: remote.decrypt(EncryptionAlgorithm.rsa_oaep, b"x" * 256)).status_code == 400)


def curves(client):
    for name, (curve, function, algorithm, width) in CURVES.items():
        key = client.create_ec_key(f"ec{width}", curve=name)
        point = [int.from_bytes(part, "big") for part in (key.key.x, key.key.y)]
        public = ec.EllipticCurvePublicNumbers(*point, curve).public_key()
        digest = hashlib.new(function.name, b"message").digest()
        signature = at(client, key).sign(algorithm, digest).signature
        r, s = [int.from_bytes(part, "big") for part in (signature[:width], signature[width:])]
        public.verify(utils.encode_dss_signature(r, s), b"message", ec.ECDSA(function))
        check(f"{name}: `cryptography` verifies what the vault signed", len(signature) == 2 * width)
        check(f"{name}: the vault too", at(client, key).verify(algorithm, digest, signature).is_valid)
    check("secp256k1 is not supported", raises(HttpResponseError, lambda: client.create_ec_key("k1", curve="P-256K")).status_code == 400)


def symmetric(client):
    secret = os.urandom(32)
    brought = client.import_key("oct", JsonWebKey(kty="oct", k=secret, key_ops=["encrypt", "decrypt", "wrapKey", "unwrapKey"]))
    check("a symmetric key is brought, and not shown", brought.key_type == KeyType.oct and brought.key.k is None)
    remote = at(client, brought)
    wrapped = remote.wrap_key(KeyWrapAlgorithm.aes_256, b"k" * 32).encrypted_key
    check("A256KW: `cryptography` unwraps what the vault wrapped", keywrap.aes_key_unwrap(secret, wrapped) == b"k" * 32)
    theirs = keywrap.aes_key_wrap(secret, b"l" * 24)
    check("A256KW: and the vault what it wrapped", remote.unwrap_key(KeyWrapAlgorithm.aes_256, theirs).key == b"l" * 24)
    sealed = remote.encrypt(EncryptionAlgorithm.a256_gcm, b"text", additional_authenticated_data=b"place")
    opened = AESGCM(secret).decrypt(sealed.iv, sealed.ciphertext + sealed.tag, b"place")
    check("A256GCM: `cryptography` opens what the vault sealed", opened == b"text")
    nonce = os.urandom(12)
    theirs = AESGCM(secret).encrypt(nonce, b"text", b"place")
    named = {"iv": nonce, "authentication_tag": theirs[-16:], "additional_authenticated_data": b"place"}
    check("A256GCM: and the vault what it sealed", remote.decrypt(EncryptionAlgorithm.a256_gcm, theirs[:-16], **named).plaintext == b"text")
    named["additional_authenticated_data"] = b"elsewhere"
    moved = raises(HttpResponseError, lambda: remote.decrypt(EncryptionAlgorithm.a256_gcm, theirs[:-16], **named))
    check("A256GCM: and nothing that was moved", moved and moved.status_code == 400)
    iv = os.urandom(16)
    chained = remote.encrypt(EncryptionAlgorithm.a256_cbcpad, b"text", iv=iv)
    check("A256CBCPAD goes there and back", remote.decrypt(EncryptionAlgorithm.a256_cbcpad, chained.ciphertext, iv=iv).plaintext == b"text")
    random = client.get_random_bytes(32)
    check("random bytes are given", len(random) == 32 and random != client.get_random_bytes(32))


def imports(client):
    private = rsa.generate_private_key(65537, 3072)
    n, d = private.private_numbers().public_numbers.n, private.private_numbers()
    part = lambda number, size: number.to_bytes(size, "big")  # noqa: E731
    jwk = JsonWebKey(
        kty="RSA",
        key_ops=["sign", "verify", "decrypt"],
        n=part(n, 384),
        e=b"\1\0\1",
        d=part(d.d, 384),
        p=part(d.p, 192),
        q=part(d.q, 192),
        dp=part(d.dmp1, 192),
        dq=part(d.dmq1, 192),
        qi=part(d.iqmp, 192),
    )
    brought = client.import_key("brought", jwk)
    check("an RSA key is brought, and its private half not shown", brought.key.n == jwk.n and brought.key.d is None)
    digest = hashlib.sha256(b"message").digest()
    signature = at(client, brought).sign(SignatureAlgorithm.ps256, digest).signature
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    private.public_key().verify(signature, b"message", pss, hashes.SHA256())
    check("it signs as it did where it came from", True)
    jwk.dp = part(d.dmp1 ^ 2, 192)
    check("one whose numbers do not fit is a 400", raises(HttpResponseError, lambda: client.import_key("bad", jwk)).status_code == 400)
    curve = ec.generate_private_key(ec.SECP384R1()).private_numbers()
    point = curve.public_numbers
    jwk = JsonWebKey(kty="EC", crv="P-384", x=part(point.x, 48), y=part(point.y, 48), d=part(curve.private_value, 48), key_ops=["sign"])
    check("a key on a curve is brought", client.import_key("curve", jwk).key.crv == "P-384")


def limits(client):
    key = client.create_oct_key("limited", size=128, key_operations=[KeyOperation.wrap_key, KeyOperation.unwrap_key])
    remote = at(client, key)
    wrapped = remote.wrap_key(KeyWrapAlgorithm.aes_128, b"k" * 16).encrypted_key
    refused = raises(HttpResponseError, lambda: remote.encrypt(EncryptionAlgorithm.a128_gcm, b"text"))
    check("a key does what it is for alone", refused and inner_code(refused) == "KeyOperationForbidden")
    client.update_key_properties("limited", enabled=False)
    refused = raises(HttpResponseError, lambda: remote.unwrap_key(KeyWrapAlgorithm.aes_128, wrapped))
    check("a disabled key does nothing", refused and refused.status_code == 403 and inner_code(refused) == "KeyDisabled")
    client.update_key_properties("limited", enabled=True)
    check("and enabled it does again", remote.unwrap_key(KeyWrapAlgorithm.aes_128, wrapped).key == b"k" * 16)
    check("hardware keys take the premium tier", raises(HttpResponseError, lambda: client.create_rsa_key("hsm", hardware_protected=True)).status_code == 400)
    check("no key is exportable", raises(HttpResponseError, lambda: client.create_rsa_key("out", exportable=True, release_policy=None)).status_code == 400)
    premium = new_vault("suite-premium", sku={"family": "A", "name": "premium"})
    assign("administrator", premium.id)
    made = KeyClient(premium.properties.vault_uri, owner).create_ec_key("hsm", hardware_protected=True)
    check("there they are made, and say what they are", made.key_type == KeyType.ec_hsm and made.properties.hsm_platform == "0")


def rotation(client):
    before = client.get_key("rsa")
    after = client.rotate_key("rsa")
    check("a key is rotated", after.properties.version != before.properties.version and len(after.key.n) == 256)
    usual = client.get_key_rotation_policy("rsa")
    check("a key has a usual policy", usual.lifetime_actions[0].action == KeyRotationPolicyAction.notify)
    actions = [
        KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P60D"),
        KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_before_expiry="P30D"),
    ]
    policy = client.update_key_rotation_policy("rsa", KeyRotationPolicy(lifetime_actions=actions, expires_in="P90D"))
    check("a policy is set", policy.expires_in == "P90D" and policy.lifetime_actions[0].time_after_create == "P60D")
    kept = client.get_key_rotation_policy("rsa")
    check("and kept", [action.action for action in kept.lifetime_actions] == [KeyRotationPolicyAction.rotate, KeyRotationPolicyAction.notify])
    bad = KeyRotationPolicy(lifetime_actions=[KeyRotationLifetimeAction("Rotate", time_after_create="P1D")])
    check("one that rotates each day is a 400", raises(HttpResponseError, lambda: client.update_key_rotation_policy("rsa", bad)).status_code == 400)
    ends = client.rotate_key("rsa").properties
    # The end is counted from when rotation was asked for, and making an RSA key takes a moment.
    check("what rotation makes ends as the policy says", round((ends.expires_on - ends.created_on).total_seconds() / 86400) == 90)


def deletion(client):
    gone = client.begin_delete_key("limited", **FAST).result()
    check("a key is deleted", gone.name == "limited" and gone.recovery_id and gone.scheduled_purge_date > gone.deleted_date)
    check("and not there", raises(ResourceNotFoundError, lambda: client.get_key("limited")))
    check("a deleted key is read", client.get_deleted_key("limited").name == "limited")
    check("deleted keys are listed", [found.name for found in client.list_deleted_keys()] == ["limited"])
    check("it is recovered", client.begin_recover_deleted_key("limited", **FAST).result().name == "limited")
    client.begin_delete_key("limited", **FAST).result()
    client.purge_deleted_key("limited")
    check("it is purged", raises(ResourceNotFoundError, lambda: client.get_deleted_key("limited")))


def backup(client):
    key = client.get_key("rsa")
    digest = hashlib.sha256(b"message").digest()
    signature = at(client, key).sign(SignatureAlgorithm.rs256, digest).signature
    blob = client.backup_key("rsa")
    check("it is not restored over what is there", raises(ResourceExistsError, lambda: client.restore_key_backup(blob)))
    other = new_vault(f"suite-{uuid.uuid4().hex[:8]}")
    assign("administrator", other.id)
    there = KeyClient(other.properties.vault_uri, owner)
    restored = there.restore_key_backup(blob)
    check("a backup is restored in another vault", restored.key.n == key.key.n)
    check("with all versions", len(list(there.list_properties_of_key_versions("rsa"))) == 3)
    check("and works as before", at(there, restored).verify(SignatureAlgorithm.rs256, digest, signature).is_valid)
    pem = rsa.RSAPublicNumbers(*reversed(numbers(restored))).public_key()
    check("its public half is a key that others read", pem.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
