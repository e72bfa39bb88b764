"""Azure's own credentials inside a job: they find the identity that the job was given, without a secret anywhere."""

import json
import os
import pathlib
import shutil
import subprocess
import time

import azure.identity

from .stage import SCRATCH, assign, call, check, claims, cli

# As the suite itself has it.
REQUIREMENT = f"azure-identity=={azure.identity.__version__}"


def ended(name):
    while (job := cli("job", "show", name))["properties"]["status"] not in ("Completed", "Failed", "Canceled"):
        pass
    return job["properties"]["status"]


def said(name):
    """The last line that a job wrote."""
    done = subprocess.run([os.environ["BARTIZAN_BIN"], "job", "logs", name], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def run():
    mine, foreign = (cli("identity", "create", name) for name in ["for-runs", "not-for-runs"])
    known = mine["properties"]
    reads = cli("workspace", "create", "read-by-runs")["id"]
    assign(known["principalId"], "Reader", reads)
    cli("compute", "update", "local", "--user-assigned-identities", "for-runs")
    code = SCRATCH / "code"
    code.mkdir()
    shutil.copy(pathlib.Path(__file__).with_name("run_probe.py"), code / "main.py")
    (code / "requirements.txt").write_text(f"{REQUIREMENT}\n")
    variables = {
        "READS": f"{reads}/computes", "CLIENT_ID": known["clientId"], "RESOURCE_ID": mine["id"],
        "FOREIGN": foreign["properties"]["clientId"],
    }
    given = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
    cli("job", "submit", "--code", str(code), "--name", "acts", "--command", "python main.py", *given)
    status = ended("acts")
    check("a job with azure-identity comes to its end", status == "Completed")
    if status != "Completed":
        print(said("acts"))
        return
    found = json.loads(said("acts"))
    for name in ["default", "managed", "by client id", "default by client id", "by resource id"]:
        token = found[name].get("token", "..e30")
        right = claims(token).get("oid") == known["principalId"] and found[name]["reads"] == 200
        check(f"in a run, the credential ({name}) is the identity of the job, and opens what that may read", right)
    other = found["another resource"]
    is_theirs = claims(other.get("token", "..e30")).get("aud") == "https://storage.azure.com"
    check("a token for another resource is for that alone", is_theirs and other["reads"] == 401)
    check("an identity that was not handed over is refused", "refused" in found["not handed over"])
    check("and a resource that is not this server's", "refused" in found["elsewhere"])
    check("no secret is in the environment", found["secrets"] == [])
    check("the token ends with the run", call(found["default"]["token"], reads).status_code == 401)
    check("and is good for an hour at most", found["default"]["until"] - time.time() <= 3600)
