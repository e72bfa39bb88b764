"""azure-keyvault-certificates: every call of it. What comes out is read by `cryptography` and by openssl."""

import base64
import datetime
import subprocess
import tempfile

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.certificates import (
    AdministratorContact,
    ApiVersion,
    CertificateClient,
    CertificateContact,
    CertificateContentType,
    CertificatePolicy,
    CertificatePolicyAction,
    KeyType,
    KeyUsageType,
    LifetimeAction,
)
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from .stage import assign, check, new_vault, owner, raises

FAST = {"_polling_interval": 0.05}
UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


def run():
    vault = new_vault("suite-certs")
    url = vault.properties.vault_uri
    client, keys, secrets = CertificateClient(url, owner), KeyClient(url, owner), SecretClient(url, owner)
    denied = raises(HttpResponseError, lambda: client.get_certificate("x"))
    check("whoever owns a vault has no right to its certificates", denied and denied.status_code == 403)
    assign("administrator", vault.id)

    self_signed(client, keys, secrets)
    kinds(client, secrets)
    merged(client, secrets)
    imported(client, secrets)
    kept(client, keys, secrets)
    of_vault(client)
    for version in [version for version in ApiVersion if version != ApiVersion.V2016_10_01]:
        older = CertificateClient(url, owner, api_version=version)
        check(f"the client of {version.value} reads it too", older.get_certificate("web").policy.subject.startswith("CN=web"))


def der(certificate):
    return x509.load_der_x509_certificate(bytes(certificate.cer))


def openssl(arguments, given):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True)


def self_signed(client, keys, secrets):
    policy = CertificatePolicy(
        issuer_name="Self",
        subject='CN=web.example.com, O="Example, Inc", C=DE',
        san_dns_names=["web.example.com", "*.web.example.com"],
        san_emails=["a@example.com"],
        san_user_principal_names=["b@example.com"],
        key_usage=[KeyUsageType.digital_signature, KeyUsageType.key_encipherment, KeyUsageType.data_encipherment],
        enhanced_key_usage=["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.3"],
        validity_in_months=24,
        content_type=CertificateContentType.pkcs12,
        lifetime_actions=[LifetimeAction(CertificatePolicyAction.auto_renew, days_before_expiry=30)],
    )
    made = client.begin_create_certificate("web", policy, tags={"a": "b"}, **FAST).result()
    check("a certificate is made", made.name == "web" and made.properties.version and made.properties.tags == {"a": "b"})
    check("with its policy", (made.policy.issuer_name, made.policy.validity_in_months, made.policy.key_size) == ("Self", 24, 2048))
    read = der(made)
    names = {attribute.oid: attribute.value for attribute in read.subject}
    check("its subject is what was asked", (names[NameOID.COMMON_NAME], names[NameOID.ORGANIZATION_NAME], names[NameOID.COUNTRY_NAME]) == ("web.example.com", "Example, Inc", "DE"))
    check("in the order of RFC 4514", read.subject.rfc4514_string() == r"CN=web.example.com,O=Example\, Inc,C=DE")
    sans = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    check("its other names too", sans.get_values_for_type(x509.DNSName) == ["web.example.com", "*.web.example.com"] and sans.get_values_for_type(x509.RFC822Name) == ["a@example.com"] and [n.type_id for n in sans.get_values_for_type(x509.OtherName)] == [UPN])
    usage = read.extensions.get_extension_for_class(x509.KeyUsage).value
    check("and what it is for", usage.data_encipherment and usage.digital_signature and not usage.key_cert_sign and [e.dotted_string for e in read.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value] == policy.enhanced_key_usage)
    check("it is no authority", not read.extensions.get_extension_for_class(x509.BasicConstraints).value.ca)
    life = read.not_valid_after_utc - read.not_valid_before_utc
    check("it lives as long as was asked", datetime.timedelta(729) < life < datetime.timedelta(733))
    check("its attributes say so", (made.properties.not_before, made.properties.expires_on) == (read.not_valid_before_utc, read.not_valid_after_utc))
    check("its thumbprint is its SHA-1", made.properties.x509_thumbprint == read.fingerprint(hashes.SHA1()))
    read.verify_directly_issued_by(read)
    check("its signature holds", True)
    pem = read.public_bytes(serialization.Encoding.PEM)
    shown = openssl(["x509", "-noout", "-text"], pem).stdout.decode()
    check("openssl reads it", "*.web.example.com" in shown and "CA:FALSE" in shown)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        verified = openssl(["verify", "-CAfile", file.name, file.name], b"")
    check("and verifies it", verified.returncode == 0)

    secret = secrets.get_secret("web", made.properties.version)
    check("there is a secret of the same version", secret.id == made.secret_id and secret.properties.managed and secret.properties.content_type == "application/x-pkcs12")
    key, own, more = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
    check("it holds the certificate and its key", own == read and not more and key.public_key().public_numbers() == read.public_key().public_numbers())
    listed = openssl(["pkcs12", "-passin", "pass:", "-nodes"], base64.b64decode(secret.value))
    check("openssl reads that too", listed.returncode == 0 and b"BEGIN PRIVATE KEY" in listed.stdout)
    used = keys.get_key("web", made.properties.version)
    check("there is a key of the same version", used.id == made.key_id and used.properties.managed and int.from_bytes(used.key.n) == read.public_key().public_numbers().n)
    digest = b"\x42" * 32
    signed = CryptographyClient(used, owner).sign(SignatureAlgorithm.rs256, digest).signature
    read.public_key().verify(signed, digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    check("it signs what the certificate verifies", True)

    operation = client.get_certificate_operation("web")
    check("the operation is completed", operation.status == "completed" and x509.load_der_x509_csr(bytes(operation.csr)).is_signature_valid)
    refused = raises(HttpResponseError, lambda: client.cancel_certificate_operation("web"))
    check("and cannot be cancelled any more", refused and refused.status_code == 403)
    client.delete_certificate_operation("web")
    gone = raises(ResourceNotFoundError, lambda: client.get_certificate_operation("web"))
    check("it can be forgotten", gone and "Pending certificate not found" in str(gone))


def kinds(client, secrets):
    shapes = [("p256", "P-256", ec.SECP256R1), ("p384", "P-384", ec.SECP384R1), ("p521", "P-521", ec.SECP521R1)]
    for name, curve, kind in shapes:
        policy = CertificatePolicy("Self", subject=f"CN={name}", key_type=KeyType.ec, key_curve_name=curve, content_type=CertificateContentType.pem)
        read = der(client.begin_create_certificate(name, policy, **FAST).result())
        read.verify_directly_issued_by(read)
        held = serialization.load_pem_private_key(secrets.get_secret(name).value.encode(), None)
        check(f"a certificate on {curve}, with its secret in PEM", isinstance(read.public_key().curve, kind) and held.public_key() == read.public_key())
    policy = CertificatePolicy("Self", subject="CN=big", key_size=3072, exportable=False)
    big = der(client.begin_create_certificate("big", policy, **FAST).result())
    key, own, more = pkcs12.load_key_and_certificates(base64.b64decode(secrets.get_secret("big").value), None)
    check("a key that may not leave does not", big.public_key().key_size == 3072 and key is None and [c for c in [own, *more] if c] == [big])


def authority():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(3650))
    builder = builder.add_extension(x509.BasicConstraints(True, 0), True)
    return key, builder.sign(key, hashes.SHA256())


def signed_for(csr, key, issuer):
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(csr.subject).issuer_name(issuer.subject).public_key(csr.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + datetime.timedelta(90))
    for extension in csr.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    return builder.sign(key, hashes.SHA256())


def merged(client, secrets):
    policy = CertificatePolicy("Unknown", subject="CN=asked.example.com", san_dns_names=["asked.example.com"])
    operation = client.begin_create_certificate("asked", policy, **FAST).result()
    check("a request waits", operation.status == "inProgress" and operation.issuer_name == "Unknown")
    csr = x509.load_der_x509_csr(bytes(operation.csr))
    sans = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    check("it asks for what the policy says", csr.is_signature_valid and csr.subject.rfc4514_string() == "CN=asked.example.com" and sans.get_values_for_type(x509.DNSName) == ["asked.example.com"])
    check("openssl reads it", openssl(["req", "-noout", "-verify", "-inform", "DER"], bytes(operation.csr)).returncode == 0)
    busy = raises(HttpResponseError, lambda: client.begin_create_certificate("asked", policy, **FAST))
    check("a second one is a conflict", busy and busy.status_code == 409)
    key, root = authority()
    leaf = signed_for(csr, key, root)
    wrong = raises(HttpResponseError, lambda: client.merge_certificate("asked", [root.public_bytes(serialization.Encoding.DER)]))
    check("another key's certificate is not merged", wrong and wrong.status_code == 400)
    chain = [c.public_bytes(serialization.Encoding.DER) for c in [leaf, root]]
    done = client.merge_certificate("asked", chain, tags={"signed": "yes"})
    check("what was signed is merged", der(done) == leaf and done.properties.tags == {"signed": "yes"})
    _, own, more = pkcs12.load_key_and_certificates(base64.b64decode(secrets.get_secret("asked").value), None)
    check("the secret holds the whole chain", own == leaf and list(more) == [root])
    check("the request is completed", client.get_certificate_operation("asked").status == "completed")

    client.begin_create_certificate("unwanted", policy, **FAST).result()
    cancelled = client.cancel_certificate_operation("unwanted")
    check("a request is cancelled", cancelled.cancellation_requested and client.get_certificate_operation("unwanted").status == "cancelled")
    late = raises(HttpResponseError, lambda: client.merge_certificate("unwanted", chain))
    check("and merges nothing any more", late and late.status_code in (400, 403))


def imported(client, secrets):
    key, own = authority()
    archive = pkcs12.serialize_key_and_certificates(b"n", key, own, None, serialization.BestAvailableEncryption(b"secret"))
    wrong = raises(HttpResponseError, lambda: client.import_certificate("brought", archive, password="wrong"))
    check("with another password nothing is imported", wrong and wrong.status_code == 400)
    brought = client.import_certificate("brought", archive, password="secret", tags={"a": "b"})
    check("PKCS #12 is imported", der(brought) == own and brought.policy.issuer_name == "Unknown" and brought.policy.key_curve_name == "P-256")
    legacy = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2000).key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()).build(b"old")
    archive = pkcs12.serialize_key_and_certificates(b"n", key, own, None, legacy)
    check("in its old form too", der(client.import_certificate("old", archive, password="old")) == own)
    for name, form in [("pkcs8", serialization.PrivateFormat.PKCS8), ("sec1", serialization.PrivateFormat.TraditionalOpenSSL)]:
        pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()) + own.public_bytes(serialization.Encoding.PEM)
        policy = CertificatePolicy("Unknown", content_type=CertificateContentType.pem)
        check(f"PEM is imported ({name})", der(client.import_certificate(name, pem, policy=policy)) == own and b"BEGIN" in secrets.get_secret(name).value.encode())
    small = rsa.generate_private_key(65537, 1024)
    pem = small.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    policy = CertificatePolicy("Unknown", content_type=CertificateContentType.pem)
    bad = raises(HttpResponseError, lambda: client.import_certificate("bad", pem, policy=policy))
    check("a weak key is not", bad and bad.status_code == 400)


def kept(client, keys, secrets):
    first = client.get_certificate("web")
    second = client.begin_create_certificate("web", first.policy, **FAST).result()
    check("a policy that was read makes the next version", second.properties.version != first.properties.version)
    versions = {v.version for v in client.list_properties_of_certificate_versions("web")}
    check("versions are listed", versions == {first.properties.version, second.properties.version})
    check("and read", der(client.get_certificate_version("web", first.properties.version)) == der(first))
    names = {c.name for c in client.list_properties_of_certificates()}
    check("certificates are listed", {"web", "asked", "brought", "p521"} <= names)
    changed = client.update_certificate_properties("web", first.properties.version, enabled=False, tags={"t": "1"})
    check("attributes change", (changed.properties.enabled, changed.properties.tags) == (False, {"t": "1"}))
    off = raises(HttpResponseError, lambda: secrets.get_secret("web", first.properties.version))
    check("and the secret's with them", off and off.status_code == 403)
    policy = client.get_certificate_policy("web")
    policy._validity_in_months = 6
    check("a policy changes", client.update_certificate_policy("web", policy).validity_in_months == 6)
    for call in [lambda: keys.begin_delete_key("web", **FAST), lambda: secrets.set_secret("web", "x")]:
        refused = raises(HttpResponseError, call)
        check("what came with a certificate is not changed by itself", refused and refused.status_code == 403)

    backup = client.backup_certificate("web")
    deleted = client.begin_delete_certificate("web", **FAST).result()
    check("a certificate is deleted", deleted.recovery_id and [c.name for c in client.list_deleted_certificates()] == ["web"])
    check("with its key", raises(ResourceNotFoundError, lambda: keys.get_key("web")))
    client.begin_recover_deleted_certificate("web", **FAST).wait()
    check("and recovered", der(client.get_certificate("web")) == der(second) and keys.get_key("web"))
    client.begin_delete_certificate("web", **FAST).wait()
    client.purge_deleted_certificate("web")
    check("and purged", raises(ResourceNotFoundError, lambda: client.get_deleted_certificate("web")))
    restored = client.restore_certificate_backup(backup)
    check("a backup brings it back", der(restored) == der(second) and secrets.get_secret("web").id == restored.secret_id)


def of_vault(client):
    contacts = [CertificateContact(email="a@example.com", name="A", phone="1"), CertificateContact(email="b@example.com")]
    set_ = client.set_contacts(contacts)
    check("contacts are kept", [(c.email, c.name) for c in set_] == [(c.email, c.name) for c in client.get_contacts()] == [("a@example.com", "A"), ("b@example.com", None)])
    client.delete_contacts()
    check("and removed", raises(ResourceNotFoundError, client.get_contacts))
    check("no authority is connected", list(client.list_properties_of_issuers()) == [] and raises(ResourceNotFoundError, lambda: client.get_issuer("x")))
    people = [AdministratorContact(email="a@example.com")]
    refused = raises(HttpResponseError, lambda: client.create_issuer("x", "DigiCert", account_id="1", admin_contacts=people))
    check("and none can be", refused and refused.status_code == 400)
    refused = raises(HttpResponseError, lambda: client.begin_create_certificate("y", CertificatePolicy("DigiCert", subject="CN=y"), **FAST))
    check("nor named by a policy", refused and refused.status_code == 400 and "Unknown" in str(refused))
