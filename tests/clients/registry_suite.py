"""Azure's own registry client, skopeo and podman against a running server. Prints a line per check and 'N passed, N failed'."""

import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import urllib.parse

import environment

PINS = [
    "azure-containerregistry==1.2.0",
    "azure-identity==1.27.0",
    "azure-mgmt-containerregistry==15.0.0",
    "azure-mgmt-resource==26.0.0",
]

environment.enter("registry", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]

# Names of registries are looked up here, in the place of a name server.
look_up = socket.getaddrinfo


def here(host, *more, **named):
    name = host.decode() if isinstance(host, bytes) else host
    return look_up("127.0.0.1" if isinstance(name, str) and name.endswith(".bartizan.test") else host, *more, **named)


socket.getaddrinfo = here

from azure.containerregistry import ContainerRegistryClient  # noqa: E402
from azure.core.exceptions import ResourceNotFoundError  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.containerregistry import ContainerRegistryManagementClient  # noqa: E402
from azure.mgmt.resource.resources import ResourceManagementClient  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
HOST = urllib.parse.urlsplit(URL).netloc
PORT = urllib.parse.urlsplit(URL).port
SUBSCRIPTION = os.environ["AZURE_SUBSCRIPTION_ID"]
NAME = "suiteregistry1"
CREDENTIALS = f"{os.environ['AZURE_CLIENT_ID']}:{os.environ['AZURE_CLIENT_SECRET']}"
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def digest(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


owner = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"],
    os.environ["AZURE_CLIENT_ID"],
    os.environ["AZURE_CLIENT_SECRET"],
    authority=URL,
    disable_instance_discovery=True,
)
options = {"base_url": URL, "credential_scopes": [f"{URL}/.default"]}
ResourceManagementClient(owner, SUBSCRIPTION, **options).resource_groups.create_or_update("rg", {"location": "local"})

print("# the resource", flush=True)
registries = ContainerRegistryManagementClient(owner, SUBSCRIPTION, **options).registries
check("a free name", registries.check_name_availability({"name": NAME, "type": "Microsoft.ContainerRegistry/registries"}).name_available)
made = registries.begin_create("rg", NAME, {"location": "local", "sku": {"name": "Premium"}}).result()
check("the registry names its own address", made.login_server == f"{NAME}.azurecr.bartizan.test")
check("its admin account is off", made.admin_user_enabled is False)
made = registries.begin_update("rg", NAME, {"properties": {"adminUserEnabled": True}}).result()
check("and turned on", made.admin_user_enabled is True)
shown = registries.list_credentials("rg", NAME)
check("it has two passwords", shown.username == NAME and len(shown.passwords) == 2)
check("a taken name", not registries.check_name_availability({"name": NAME, "type": "Microsoft.ContainerRegistry/registries"}).name_available)

print("# azure-containerregistry", flush=True)
endpoint = f"https://{NAME}.azurecr.bartizan.test:{PORT}"
client = ContainerRegistryClient(endpoint, owner)
layer, config = b"a layer of the suite" * 500, b"{}"
for content in (layer, config):
    of, size = client.upload_blob("sdk/app", io.BytesIO(content))
    check("a blob goes in", (of, size) == (digest(content), len(content)))
manifest = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(config), "size": len(config)},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(layer), "size": len(layer)}],
}
of = client.set_manifest("sdk/app", manifest, tag="v1")
got = client.get_manifest("sdk/app", "v1")
check("a manifest comes out as it went in", got.digest == of and got.manifest == manifest)
check("a blob comes out", b"".join(client.download_blob("sdk/app", digest(layer))) == layer)
check("repositories are listed", list(client.list_repository_names()) == ["sdk/app"])
check("tags are listed", [tag.name for tag in client.list_tag_properties("sdk/app")] == ["v1"])
check("manifests are listed", [one.digest for one in client.list_manifest_properties("sdk/app")] == [of])
client.delete_manifest("sdk/app", of)
try:
    client.get_manifest("sdk/app", "v1")
    check("a deleted manifest is gone", False)
except ResourceNotFoundError:
    check("a deleted manifest is gone", True)
client.delete_repository("sdk/app")
check("a deleted repository is gone", list(client.list_repository_names()) == [])


def layout(place):
    """An OCI image layout of one layer, made here."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        body = b"hello from a layer\n" * 1000
        entry = tarfile.TarInfo("hello.txt")
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
    layer = content.getvalue()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}
    ).encode()
    described = lambda kind, body: {"mediaType": kind, "digest": digest(body), "size": len(body)}  # noqa: E731
    image = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("application/vnd.oci.image.config.v1+json", config),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", layer)],
        }
    ).encode()
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for body in (layer, config, image):
        (blobs / digest(body).split(":")[1]).write_bytes(body)
    (place / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {**described("application/vnd.oci.image.manifest.v1+json", image), "annotations": {"org.opencontainers.image.ref.name": "v1"}}
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return digest(image)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        print("      ", " ".join(words[:3]), done.stderr.strip()[-400:])
    return done


def skopeo():
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        certificates = home / "certs"
        certificates.mkdir()
        shutil.copy(os.environ["BARTIZAN_CA"], certificates / "ca.crt")
        of = layout(home / "in")
        trust = ["--dest-cert-dir", str(certificates), "--dest-creds", CREDENTIALS]
        place = f"docker://{HOST}/{NAME}/team/app:v1"
        check("skopeo pushes", run("skopeo", "copy", "--preserve-digests", "--insecure-policy", *trust, f"oci:{home / 'in'}:v1", place).returncode == 0)
        check("and again", run("skopeo", "copy", "--preserve-digests", "--insecure-policy", *trust, f"oci:{home / 'in'}:v1", place).returncode == 0)
        look = ["--cert-dir", str(certificates), "--creds", CREDENTIALS]
        raw = run("skopeo", "inspect", "--raw", *look, place).stdout.encode()
        check("the digest is the same on both sides", digest(raw) == of)
        source = ["--src-cert-dir", str(certificates), "--src-creds", CREDENTIALS]
        out = home / "out"
        check("skopeo pulls", run("skopeo", "copy", "--preserve-digests", "--insecure-policy", *source, place, f"oci:{out}:v1").returncode == 0)
        check("the same manifest", (out / "blobs" / "sha256" / of.split(":")[1]).exists())
        listed = json.loads(run("skopeo", "list-tags", *look, f"docker://{HOST}/{NAME}/team/app").stdout or "{}")
        check("skopeo lists tags", listed.get("Tags") == ["v1"])
        admin = ["--cert-dir", str(certificates), "--creds", f"{NAME}:{shown.passwords[0].value}"]
        check("the admin account pulls", run("skopeo", "inspect", *admin, place).returncode == 0)
        wrong = ["--cert-dir", str(certificates), "--creds", f"{NAME}:wrong"]
        check("a wrong password does not", subprocess.run(["skopeo", "inspect", *wrong, place], capture_output=True).returncode != 0)
        second = f"docker://{HOST}/{NAME}/team/copy:v1"
        both = ["--src-cert-dir", str(certificates), "--src-creds", CREDENTIALS, *trust]
        check("from repository to repository", run("skopeo", "copy", "--preserve-digests", "--insecure-policy", *both, place, second).returncode == 0)
        check("skopeo deletes", run("skopeo", "delete", *look, second).returncode == 0)


if shutil.which("skopeo"):
    print("# skopeo", flush=True)
    skopeo()
else:
    print("skipped skopeo: it is not here")

print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
