"""MLflow's own server and the one under test, side by side: the same requests, and what differs in the answers.

Prints a line per case and 'N passed, N failed'. Where this server differs on purpose, the case says why.
"""

import os
import sys
import tempfile
import uuid

import environment

PINS = ["mlflow==3.17.2", "scikit-learn==1.9.1"]

if __name__ == "__main__":
    environment.enter("mlflow-full", __doc__, PINS)

from peer import batches, experiments, logged, manners, registry, runs, search, stage  # noqa: E402

ROOMS = [experiments, runs, batches, search, registry, logged, manners]


def main():
    with tempfile.TemporaryDirectory() as home:
        peer, url = (None, os.environ["PEER_URL"]) if "PEER_URL" in os.environ else stage.start_peer(home)
        try:
            ours = stage.Side(os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_TRACKING_TOKEN"], os.environ["BARTIZAN_CA"])
            both = stage.Stage(stage.Side(url), ours)
            both.peer.names["u"] = ours.names["u"] = uuid.uuid4().hex[:8]
            wanted = os.environ.get("ROOMS", "").split()
            for room in ROOMS:
                if not wanted or room.__name__.rsplit(".", 1)[-1] in wanted:
                    room.play(both)
        finally:
            if peer:
                peer.terminate()
                peer.wait()
    print(f"{both.passed} passed, {both.failed} failed")
    return 1 if both.failed else 0


if __name__ == "__main__":
    sys.exit(main())
