"""Data assets by Azure's own management client against a running server. Prints a line per check and 'N passed, N failed'."""

import os
import sys

import environment

PINS = [
    "azure-identity==1.27.0",
    # The version whose api-version has data containers.
    "azure-mgmt-machinelearningservices==2.0.0b2",
]

environment.enter("data", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError  # noqa: E402
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient  # noqa: E402
from azure.mgmt.machinelearningservices import models  # noqa: E402

URL = os.environ["BARTIZAN_URL"]
GROUP, WORKSPACE = "rg", "ws1"
passed = failed = 0


def check(name, holds):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, flush=True)


def raises(kind, call):
    try:
        call()
    except kind as fault:
        return fault
    return None


credential = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"],
    os.environ["AZURE_CLIENT_ID"],
    os.environ["AZURE_CLIENT_SECRET"],
    authority=URL,
    disable_instance_discovery=True,
)
ml = MachineLearningServicesMgmtClient(
    credential, os.environ["AZURE_SUBSCRIPTION_ID"], base_url=URL, credential_scopes=[f"{URL}/.default"]
)
STORE = "azureml://datastores/workspaceblobstore/paths"


def put(name, version, **said):
    kind = said.pop("kind", models.UriFolderDataVersion)
    properties = kind(data_uri=said.pop("uri", f"{STORE}/{name}/{version}"), **said)
    return ml.data_versions.create_or_update(GROUP, WORKSPACE, name, version, models.DataVersionBase(properties=properties))


def versions(name, **asked):
    return [one.name for one in ml.data_versions.list(GROUP, WORKSPACE, name, **asked)]


made = put("taxi", "1", description="first", tags={"year": "2026"}, properties={"rows": "12"})
said = made.properties
check("a version is registered", made.name == "1" and made.id.endswith("/data/taxi/versions/1"))
check("it is of its own type", isinstance(said, models.UriFolderDataVersion) and said.data_uri == f"{STORE}/taxi/1")
check("what was said of it is kept", (said.description, said.tags, said.properties) == ("first", {"year": "2026"}, {"rows": "12"}))
check("it says who made it, and when", made.system_data.created_by and made.system_data.created_at)
container = ml.data_containers.get(GROUP, WORKSPACE, "taxi").properties
check("its name is there", (container.data_type, container.latest_version, container.next_version) == ("uri_folder", "1", "2"))
moved = raises(HttpResponseError, lambda: put("taxi", "1", uri=f"{STORE}/elsewhere"))
check("its path never changes", moved and moved.status_code == 409 and moved.error.code == "Conflict")
changed = put("taxi", "1", description="better", tags={"year": "2026"})
check("what is said of it changes", changed.properties.description == "better")
for version in ["2", "3"]:
    put("taxi", version)
check("versions are listed, newest first", versions("taxi") == ["3", "2", "1"])
check("and in parts", versions("taxi", top=1) == ["3", "2", "1"])
check("and in another order", versions("taxi", order_by="createdtime asc") == ["1", "2", "3"])
check("and by a tag", versions("taxi", tags="year=2026") == ["1"])
archived = ml.data_versions.get(GROUP, WORKSPACE, "taxi", "3")
archived.properties.is_archived = True
ml.data_versions.create_or_update(GROUP, WORKSPACE, "taxi", "3", archived)
check("an archived one is left out", versions("taxi") == ["2", "1"])
check("and found by whoever asks for it", versions("taxi", list_view_type="ArchivedOnly") == ["3"])
latest = ml.data_containers.get(GROUP, WORKSPACE, "taxi").properties.latest_version
check("and is not the latest any more", latest == "2")
put("labels", "1", kind=models.UriFileDataVersion, uri=f"{STORE}/labels.csv")
put("table", "2026-01", kind=models.MLTableData)
named = ml.data_containers.create_or_update(
    GROUP,
    WORKSPACE,
    "planned",
    models.DataContainer(properties=models.DataContainerProperties(data_type="uri_file", description="to come")),
)
check("a name is made before its first version", named.properties.next_version == "1" and not named.properties.latest_version)
check("names are listed", [one.name for one in ml.data_containers.list(GROUP, WORKSPACE)] == ["labels", "planned", "table", "taxi"])
for what, name, version, said in [
    ("a place outside of the workspace", "bad", "1", {"uri": "https://example.org/x"}),
    ("a path that leads out", "bad", "1", {"uri": f"{STORE}/../x"}),
    ("a datastore that is not there", "bad", "1", {"uri": "azureml://datastores/none/paths/x"}),
    ("a version that is a label", "bad", "latest", {}),
]:
    fault = raises(HttpResponseError, lambda: put(name, version, **said))
    check(f"{what} is a 400", fault and fault.status_code == 400 and fault.error.message)
ml.data_versions.delete(GROUP, WORKSPACE, "taxi", "1")
gone = raises(ResourceNotFoundError, lambda: ml.data_versions.get(GROUP, WORKSPACE, "taxi", "1"))
check("a version is deleted", gone and gone.error.code == "ResourceNotFound")
ml.data_containers.delete(GROUP, WORKSPACE, "taxi")
check("a name is deleted", "taxi" not in [one.name for one in ml.data_containers.list(GROUP, WORKSPACE, list_view_type="All")])

print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
