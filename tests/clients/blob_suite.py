"""Azure's own blob client, and rclone, against a running server. Prints a line per check and 'N passed, N failed'."""

import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

import environment

PINS = [
    "azure-identity==1.27.0",
    "azure-mgmt-authorization==4.0.0",
    "azure-mgmt-resource==26.0.0",
    "azure-mgmt-storage==25.3.0",
    "azure-storage-blob==12.31.1",
]

environment.enter("blob", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]

# Names of accounts are looked up here, in the place of a name server.
look_up = socket.getaddrinfo


def here(host, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return look_up("127.0.0.1" if isinstance(name, str) and name.endswith(".bartizan.test") else host, *more, **named)


socket.getaddrinfo = here

from azure.core import MatchConditions  # noqa: E402
from azure.core.exceptions import (  # noqa: E402
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.authorization import AuthorizationManagementClient  # noqa: E402
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402
from azure.mgmt.storage import StorageManagementClient  # noqa: E402
from azure.storage.blob import (  # noqa: E402
    AccessPolicy,
    BlobBlock,
    BlobLeaseClient,
    BlobSasPermissions,
    BlobServiceClient,
    ContainerSasPermissions,
    ContentSettings,
    RetentionPolicy,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

URL = os.environ["BARTIZAN_URL"]
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
ACCOUNT = "suiteblobs1"
OWNER_OF_DATA = "b7e6dc6d-f1e8-4753-8033-0f276bb0955b"
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def raises(kind, call, code=None):
    try:
        call()
    except kind as fault:
        return code is None or getattr(fault, "error_code", None) == code or str(getattr(fault, "error_code", "")).endswith(code)
    except Exception as fault:  # what else it was helps whoever reads the log
        print("      other:", type(fault).__name__, str(fault)[:300])
    return False


owner = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"],
    os.environ["AZURE_CLIENT_ID"],
    os.environ["AZURE_CLIENT_SECRET"],
    authority=URL,
    disable_instance_discovery=True,
)
options = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}
ResourceManagementClient(owner, SUBSCRIPTION, **options).resource_groups.create_or_update("rg", {"location": "local"})
storage = StorageManagementClient(owner, SUBSCRIPTION, **options)
account = storage.storage_accounts.begin_create(
    "rg", ACCOUNT, {"location": "local", "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
).result()
endpoint = account.primary_endpoints.blob.rstrip("/")
check("the account names its own address", endpoint.startswith(f"https://{ACCOUNT}.blob.core.bartizan.test"))
claims = owner.get_token(f"{URL}/.default").token.split(".")[1]

oid = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["oid"]
AuthorizationManagementClient(owner, SUBSCRIPTION, **options).role_assignments.create(
    account.id,
    "11111111-2222-4333-8444-555555555501",
    {"role_definition_id": f"/providers/Microsoft.Authorization/roleDefinitions/{OWNER_OF_DATA}", "principal_id": oid},
)
keys = {key["keyName"]: key["value"] for key in storage.storage_accounts.list_keys("rg", ACCOUNT)["keys"]}
plain = {"max_single_put_size": 4 << 20, "max_block_size": 4 << 20, "retry_total": 1}
service = BlobServiceClient(endpoint, credential=owner, **plain)
keyed = BlobServiceClient(endpoint, credential=keys["key1"], **plain)
print("# containers", flush=True)
box = service.create_container("box", metadata={"a": "1"})
check("a container is made", box.exists() and box.get_container_properties().metadata == {"a": "1"})
check("twice is a conflict", raises(ResourceExistsError, lambda: service.create_container("box"), "ContainerAlreadyExists"))
check("containers are listed", [c.name for c in service.list_containers(include_metadata=True)] == ["box"])
check("with the key too", [c.name for c in keyed.list_containers(name_starts_with="b")] == ["box"])

print("# blobs", flush=True)
for one, who in ((service, "a token"), (keyed, "a key")):
    blob = one.get_blob_client("box", "hello.txt")
    settings = ContentSettings(content_type="text/plain", content_language="de", cache_control="no-cache")
    blob.upload_blob(b"hello", overwrite=True, metadata={"k": "v"}, tags={"t": "1"}, content_settings=settings)
    got = blob.download_blob()
    check(f"put and read with {who}", got.readall() == b"hello" and got.properties.metadata == {"k": "v"})
    check(f"properties with {who}", got.properties.content_settings.content_language == "de" and blob.get_blob_tags() == {"t": "1"})
check("what is there is not overwritten unasked", raises(ResourceExistsError, lambda: blob.upload_blob(b"x"), "BlobAlreadyExists"))
check("nothing is at another name", not service.get_blob_client("box", "none").exists())
check("and reading it says so", raises(ResourceNotFoundError, lambda: service.get_blob_client("box", "none").download_blob(), "BlobNotFound"))
empty = service.get_blob_client("box", "empty")
empty.upload_blob(b"")
check("zero bytes", empty.download_blob().readall() == b"")
check("a range", blob.download_blob(offset=1, length=3).readall() == b"ell")
checked = service.get_blob_client("box", "checked")
checked.upload_blob(b"z" * 100, validate_content=True)
check("with checksums", checked.download_blob(validate_content=True).readall() == b"z" * 100)

print("# 200 MB in chunks", flush=True)
chunk = os.urandom(1 << 20)
size = 200
large = service.get_blob_client("box", "large")
with tempfile.TemporaryFile() as source:
    hash_of = hashlib.sha256()
    for at in range(size):
        piece = at.to_bytes(4, "big") + chunk[4:]
        hash_of.update(piece)
        source.write(piece)
    source.seek(0)
    large.upload_blob(source, max_concurrency=4)
check("its length", large.get_blob_properties().size == size << 20)
back = hashlib.sha256()
for piece in large.download_blob(max_concurrency=2).chunks():
    back.update(piece)
check("its content", back.digest() == hash_of.digest())
large.delete_blob()

print("# blocks and appends", flush=True)
parts = service.get_blob_client("box", "parts")
for name, data in (("AAA", b"1-"), ("AAB", b"2-"), ("AAC", b"3-")):
    parts.stage_block(name, data)
check("staged is not there", not parts.exists())
parts.commit_block_list([BlobBlock("AAC"), BlobBlock("AAA")])
check("committed in order", parts.download_blob().readall() == b"3-1-")
committed, staged = parts.get_block_list("all")
check("the lists", [b.id for b in committed] == ["AAC", "AAA"] and staged == [])
log = service.get_blob_client("box", "log")
log.create_append_blob()
for at in range(3):
    log.append_block(f"{at};".encode(), appendpos_condition=at * 2)
check("appended", log.download_blob().readall() == b"0;1;2;")
check("in its place alone", raises(HttpResponseError, lambda: log.append_block(b"x", appendpos_condition=0), "AppendPositionConditionNotMet"))

print("# conditions and leases", flush=True)
etag = parts.get_blob_properties().etag
parts.set_blob_metadata({"x": "1"})
check(
    "an old version",
    raises(ResourceModifiedError, lambda: parts.upload_blob(b"y", overwrite=True, etag=etag, match_condition=MatchConditions.IfNotModified)),
)
lease = parts.acquire_lease(15)
other = keyed.get_blob_client("box", "parts")
check("another writer", raises(HttpResponseError, lambda: other.upload_blob(b"theirs", overwrite=True), "LeaseIdMissing"))
check("another lease", raises(HttpResponseError, lambda: other.acquire_lease(15), "LeaseAlreadyPresent"))
parts.upload_blob(b"mine", overwrite=True, lease=lease)
lease.renew()
lease.change("6f9619ff-8b86-4011-b42d-00c04fc964ff")
lease.release()
other.upload_blob(b"theirs", overwrite=True)
check("after its release", parts.download_blob().readall() == b"theirs")
held = box.acquire_lease(-1)
check("a leased container stays", raises(HttpResponseError, lambda: service.delete_container("box"), "LeaseIdMissing"))
check("a lease is broken", BlobLeaseClient(box).break_lease(0) == 0)

print("# snapshots and copies", flush=True)
moment = parts.create_snapshot()
parts.upload_blob(b"later", overwrite=True)
old = service.get_blob_client("box", "parts", snapshot=moment)
check("a snapshot", old.download_blob().readall() == b"theirs")
check("is in lists", len(list(box.list_blobs("parts", include=["snapshots"]))) == 2)
check("keeps its blob", raises(HttpResponseError, parts.delete_blob, "SnapshotsPresent"))
target = keyed.get_blob_client("box", "copy")
check("a copy", target.start_copy_from_url(f"{endpoint}/box/parts")["copy_status"] == "success")
check("is the same", target.download_blob().readall() == b"later")
parts.delete_blob(delete_snapshots="include")
service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=True, days=3))
check("settings", service.get_service_properties()["delete_retention_policy"].days == 3)
target.delete_blob()
check("deleted is listed", any(b.deleted for b in box.list_blobs("copy", include=["deleted"])))
target.undelete_blob()
check("and comes back", target.download_blob().readall() == b"later")
service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))

print("# the resource manager", flush=True)
shown = storage.blob_services.set_service_properties("rg", ACCOUNT, {"properties": {"isVersioningEnabled": True}})
check("versions are kept from now on", shown.is_versioning_enabled and storage.blob_services.get_service_properties("rg", ACCOUNT).is_versioning_enabled)
check("there is one service", [s.name for s in storage.blob_services.list("rg", ACCOUNT)] == ["default"])
made = storage.blob_containers.create("rg", ACCOUNT, "managed", {"properties": {"metadata": {"kind": "raw"}}})
check("a container is made", made.name == "managed" and made.metadata == {"kind": "raw"})
storage.blob_containers.update("rg", ACCOUNT, "managed", {"properties": {"metadata": {"kind": "clean"}}})
check("and changed", storage.blob_containers.get("rg", ACCOUNT, "managed").metadata == {"kind": "clean"})
check("both faces list the same", [c.name for c in storage.blob_containers.list("rg", ACCOUNT)] == [c.name for c in service.list_containers()])
check("page by page", [c.name for c in storage.blob_containers.list("rg", ACCOUNT, maxpagesize="1")] == ["box", "managed"])
storage.blob_containers.delete("rg", ACCOUNT, "managed")
check("and deleted", [c.name for c in service.list_containers()] == ["box"])

print("# versions", flush=True)
kept = service.get_blob_client("box", "kept")
first = kept.upload_blob(b"one")["version_id"]
second = kept.upload_blob(b"two", overwrite=True)["version_id"]
check("an older version", kept.download_blob(version_id=first).readall() == b"one" and kept.download_blob().readall() == b"two")
listed = {b.version_id: b.is_current_version for b in box.list_blobs("kept", include=["versions"])}
check("are listed", listed == {first: None, second: True})
kept.delete_blob()
check("deleting leaves it", not kept.exists() and kept.download_blob(version_id=second).readall() == b"two")
kept.start_copy_from_url(f"{kept.url}?versionid={first}")
check("a copy brings one back", kept.download_blob().readall() == b"one")
kept.delete_blob(version_id=second)
check("one is deleted by its id", raises(ResourceNotFoundError, lambda: kept.download_blob(version_id=second).readall(), "BlobNotFound"))
storage.blob_services.set_service_properties("rg", ACCOUNT, {"properties": {"isVersioningEnabled": False}})

print("# names", flush=True)
NAMES = ["a b", "a+b", "ü/é", "100%", "what?", "a//b", "x&y=z", "semi;colon", "#hash", "<tag>", "日本", "~tilde", "quo'te\"", "trail/"]
for name in NAMES:
    box.upload_blob(f"names/{name}", name.encode())
check("are listed", sorted(b.name for b in box.list_blobs("names/")) == sorted(f"names/{n}" for n in NAMES))
check("are read", all(box.download_blob(f"names/{n}").readall() == n.encode() for n in NAMES))
check("with the key", all(keyed.get_blob_client("box", f"names/{n}").download_blob().readall() == n.encode() for n in NAMES))

print("# 2,000 small blobs", flush=True)
many = service.create_container("many")
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    list(pool.map(lambda at: many.upload_blob(f"d{at % 10}/f{at:04}", b"x" * 100), range(2000)))
found = [b.name for b in many.list_blobs(results_per_page=300)]
check("are listed in order", found == sorted(f"d{at % 10}/f{at:04}" for at in range(2000)))
check("by directories", [b.name for b in many.walk_blobs(delimiter="/")] == [f"d{at}/" for at in range(10)])
service.delete_container("many")
check("and gone at once", raises(ResourceNotFoundError, lambda: next(iter(many.list_blobs())), "ContainerNotFound"))

print("# signatures", flush=True)
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=10)
past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)


def signed(sas):
    return BlobServiceClient(endpoint, credential=sas, **plain)


sas = generate_account_sas(ACCOUNT, keys["key1"], "sco", "rwdl", soon)
check("of the account", signed(sas).get_blob_client("box", "copy").download_blob().readall() == b"later")
sas = generate_container_sas(ACCOUNT, "box", keys["key2"], permission=ContainerSasPermissions(read=True, list=True), expiry=soon)
readers = signed(sas).get_container_client("box")
check("of a container", "copy" in [b.name for b in readers.list_blobs()] and readers.download_blob("copy").readall() == b"later")
check("which does not write", raises(HttpResponseError, lambda: readers.upload_blob("w", b"x"), "AuthorizationPermissionMismatch"))
check("nor open another", raises(HttpResponseError, lambda: list(signed(sas).get_container_client("many").list_blobs()), "AuthenticationFailed"))
name = "names/ü/é"
sas = generate_blob_sas(ACCOUNT, "box", name, account_key=keys["key1"], permission=BlobSasPermissions(read=True), expiry=soon, content_type="a/b")
got = signed(sas).get_blob_client("box", name).download_blob()
check("of a blob", got.readall() == "ü/é".encode() and got.properties.content_settings.content_type == "a/b")
sas = generate_blob_sas(ACCOUNT, "box", "copy", account_key=keys["key1"], permission="r", expiry=past)
check("that has expired", raises(ClientAuthenticationError, lambda: signed(sas).get_blob_client("box", "copy").download_blob(), "AuthenticationFailed"))
box.set_container_access_policy({"p": AccessPolicy(permission="r", expiry=soon)})
check("stored policies", [p.id for p in box.get_container_access_policy()["signed_identifiers"]] == ["p"])
sas = generate_container_sas(ACCOUNT, "box", keys["key1"], policy_id="p")
check("by a policy", signed(sas).get_blob_client("box", "copy").download_blob().readall() == b"later")
box.set_container_access_policy({})
check("that was taken back", raises(ClientAuthenticationError, lambda: signed(sas).get_blob_client("box", "copy").download_blob()))
delegated = service.get_user_delegation_key(past, soon)
for kind, sas in (
    ("blob", generate_blob_sas(ACCOUNT, "box", "copy", user_delegation_key=delegated, permission="r", expiry=soon)),
    ("container", generate_container_sas(ACCOUNT, "box", user_delegation_key=delegated, permission="rl", expiry=soon)),
):
    check(f"delegated, of a {kind}", signed(sas).get_blob_client("box", "copy").download_blob().readall() == b"later")
storage.storage_accounts.revoke_user_delegation_keys("rg", ACCOUNT)
check("delegated, and revoked", raises(ClientAuthenticationError, lambda: signed(sas).get_blob_client("box", "copy").download_blob(), "AuthenticationFailed"))
until = soon.replace(microsecond=0).isoformat().replace("+00:00", "Z")
wanted = {"signedServices": "b", "signedResourceTypes": "o", "signedPermission": "r", "signedExpiry": until, "keyToSign": "key2"}
sas = storage.storage_accounts.list_account_sas("rg", ACCOUNT, wanted).account_sas_token
check("of the account, by the resource manager", signed(sas).get_blob_client("box", "copy").download_blob().readall() == b"later")
wanted = {
    "canonicalizedResource": f"/blob/{ACCOUNT}/box", "signedResource": "c", "signedPermission": "r",
    "signedExpiry": until, "keyToSign": "key2",
}
sas = storage.storage_accounts.list_service_sas("rg", ACCOUNT, wanted).service_sas_token
check("of a container, by the resource manager", signed(sas).get_blob_client("box", "copy").download_blob().readall() == b"later")
sas = generate_blob_sas(ACCOUNT, "box", "copy", account_key=keys["key1"], permission="r", expiry=soon)
storage.storage_accounts.regenerate_key("rg", ACCOUNT, {"keyName": "key1"})
check("of a key that was made anew", raises(ClientAuthenticationError, lambda: signed(sas).get_blob_client("box", "copy").download_blob()))
check("and the key itself", raises(ClientAuthenticationError, lambda: list(keyed.list_containers()), "AuthenticationFailed"))
check("nobody", raises(ClientAuthenticationError, lambda: BlobServiceClient(endpoint, **plain).get_blob_client("box", "copy").download_blob()))

print("# the account", flush=True)
storage.storage_accounts.update("rg", ACCOUNT, {"properties": {"networkAcls": {"defaultAction": "Deny"}}})
check("an address that is not listed", raises(HttpResponseError, lambda: box.get_container_properties(), "AuthorizationFailure"))
rules = {"defaultAction": "Deny", "ipRules": [{"value": "127.0.0.1"}]}
storage.storage_accounts.update("rg", ACCOUNT, {"properties": {"networkAcls": rules}})
check("and one that is", box.exists())



def leading_here(port):
    """A proxy (RFC 9110 section 9.3.6, CONNECT) that leads to this port of this machine whatever is asked for; its address."""

    def pass_on(source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(client):
        asked = b""
        while b"\r\n\r\n" not in asked:
            if not (piece := client.recv(4096)):
                return
            asked += piece
        there = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=pass_on, args=(there, client), daemon=True).start()
        pass_on(client, there)

    def listen():
        while True:
            threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()

    door = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=listen, daemon=True).start()
    return f"http://127.0.0.1:{door.getsockname()[1]}"


print("# rclone", flush=True)
if not shutil.which("rclone"):
    print("skipped rclone is not installed")
else:
    key = storage.storage_accounts.list_keys("rg", ACCOUNT)["keys"][0]["value"]
    port = URL.rsplit(":", 1)[1]
    # It only knows accounts by names of their own, and no shim of ours reaches into it: a proxy leads each name to this machine.
    proxy = leading_here(int(port))
    with tempfile.TemporaryDirectory() as work:
        place = pathlib.Path(work)
        (place / "up" / "dir ü").mkdir(parents=True)
        (place / "up" / "dir ü" / "a+b %.txt").write_bytes(b"one")
        (place / "up" / "big").write_bytes(os.urandom(9 << 20))
        (place / "up" / "none").write_bytes(b"")
        env = {**os.environ, "RCLONE_CONFIG": str(place / "none.conf"), "HTTPS_PROXY": proxy, "https_proxy": proxy}

        def rclone(*words):
            told = subprocess.run(
                ["rclone", "--ca-cert", os.environ["BARTIZAN_CA"], "--retries", "1", "--low-level-retries", "1", *words],
                env=env, capture_output=True, text=True, timeout=300,
            )
            if told.returncode:
                print("      rclone:", told.stderr[-1200:])
            return told

        remote = f":azureblob,account={ACCOUNT},key='{key}',endpoint='blob.core.bartizan.test:{port}':"
        check("rclone puts", rclone("copy", "--azureblob-chunk-size", "4M", str(place / "up"), remote + "rclone").returncode == 0)
        listed = rclone("lsf", "-R", remote + "rclone").stdout.splitlines()
        check("rclone lists", sorted(listed) == ["big", "dir ü/", "dir ü/a+b %.txt", "none"])
        check("rclone compares", rclone("check", "--download", str(place / "up"), remote + "rclone").returncode == 0)
        rclone("copy", remote + "rclone", str(place / "down"))
        same = all((place / "down" / f).read_bytes() == (place / "up" / f).read_bytes() for f in ("big", "none", "dir ü/a+b %.txt"))
        check("rclone gets", same)
        check("rclone purges", rclone("purge", remote + "rclone").returncode == 0)

print(f"\n{passed} passed, {failed} failed")
sys.exit(1 if failed else 0)
