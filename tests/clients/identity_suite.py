"""Sign-in by clients that nobody here wrote, against a running server with a workspace: azure-identity, MSAL, authlib, and npm's
openid-client where there is node. Prints a line per check and 'N passed, N failed, N skipped'. The parts are in `identity/`."""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

PINS = [
    "azure-identity==1.27.0",
    "azure-mgmt-resource==26.0.0",
    "msal==1.39.0",
    "authlib==1.9.9",
    "joserfc==1.8.0",
    "pyjwt==2.15.1",
    "pyotp==2.12.0",
    "cryptography==50.0.2",
    "requests==2.34.2",
]
OPENID_CLIENT = "openid-client@6.8.9"


def digest(*words):
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def openid_client(cache):
    """A package directory with the pinned client, made once; none where npm is missing or reaches no registry."""
    if not (shutil.which("node") and shutil.which("npm")):
        return {}
    place = pathlib.Path(cache) / f"openid-client-{digest(OPENID_CLIENT)}"
    if not (place / "complete").exists():
        place.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", place, OPENID_CLIENT]
        if subprocess.run(npm).returncode:
            return {}
        (place / "complete").touch()
    return {"BARTIZAN_SUITE_OPENID_CLIENT": str(place / "node_modules" / "openid-client")}


def reenter(cache):
    """Makes a virtual environment with the pinned clients once, and runs this file in it."""
    place = pathlib.Path(cache) / f"identity-{digest(sys.version, *PINS)}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        (place / "complete").touch()
    variables = {**os.environ, **openid_client(cache), "BARTIZAN_SUITE_READY": "1"}
    # Clients log refusals, which are what is looked for here, and warn of what is asked of them on purpose.
    os.execve(python, [str(python), "-B", "-W", "ignore", __file__], variables)


if "BARTIZAN_SUITE_READY" not in os.environ:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, help="directory for what is installed")
    reenter(parser.parse_args().cache)

import logging  # noqa: E402

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
logging.disable(logging.WARNING)
from identity import azure_flows, in_a_run, msal_flows, second_opinion, stage, trust  # noqa: E402

for part in [azure_flows, msal_flows, second_opinion, trust, in_a_run]:
    print(f"--- {part.__doc__}", flush=True)
    part.run()

print(", ".join(f"{count} {what}" for what, count in stage.tally.items()))
sys.exit(stage.tally["failed"] != 0)
