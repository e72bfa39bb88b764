"""Azure's own Key Vault clients against a running server with a workspace, at host-style names. Prints a line per check and
'N passed, N failed'. The parts are in `keyvault/`, one per kind of object."""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys

PINS = [
    "azure-identity==1.27.0",
    "azure-keyvault-certificates==4.12.0",
    "azure-keyvault-keys==4.11.3",
    "azure-keyvault-secrets==4.12.0",
    "azure-mgmt-authorization==4.0.0",
    "azure-mgmt-keyvault==14.1.0",
    "azure-mgmt-storage==25.3.0",
    "azure-storage-blob==12.31.1",
]


def reenter(cache):
    """Makes a virtual environment with the pinned clients once, and runs this file in it."""
    name = hashlib.sha256("\n".join([sys.version, *PINS]).encode()).hexdigest()[:16]
    place = pathlib.Path(cache) / f"keyvault-{name}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        (place / "complete").touch()
    os.execve(python, [str(python), "-B", __file__], {**os.environ, "BARTIZAN_SUITE_READY": "1"})


if "BARTIZAN_SUITE_READY" not in os.environ:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", required=True, help="directory for the virtual environment")
    reenter(parser.parse_args().cache)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
from keyvault import accounts, certificates, keys, stage, secrets, vaults  # noqa: E402

PARTS = [vaults, secrets, keys, certificates, accounts]

for part in PARTS:
    print(f"--- {part.__name__}", flush=True)
    part.run()
print(f"{stage.passed} passed, {stage.failed} failed")
sys.exit(stage.failed != 0)
