"""Azure's own Key Vault clients against a running server with a workspace, at host-style names. Prints a line per check and
'N passed, N failed'. The parts are in `keyvault/`, one per kind of object."""

import os
import sys

import environment

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

environment.enter("keyvault", __doc__, PINS)

os.environ["REQUESTS_CA_BUNDLE"] = os.environ["BARTIZAN_CA"]
from keyvault import accounts, certificates, keys, stage, secrets, vaults  # noqa: E402

PARTS = [vaults, secrets, keys, certificates, accounts]

for part in PARTS:
    print(f"--- {part.__name__}", flush=True)
    part.run()
print(f"{stage.passed} passed, {stage.failed} failed")
sys.exit(stage.failed != 0)
