"""The virtual environment of a suite: made once, with pinned packages, and entered."""

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys


def enter(name, doc, pins, alone=()):
    """Goes on only in an environment with the packages `pins`, and `alone` without what those depend on.

    Outside of it, reads `--cache`, makes the environment below that directory where it is not there yet, and runs the same program in it.
    """
    if "BARTIZAN_SUITE_READY" in os.environ:
        return
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--cache", required=True, help="directory for the virtual environment")
    cache = parser.parse_args().cache
    digest = hashlib.sha256("\n".join([sys.version, *pins, *alone]).encode()).hexdigest()[:16]
    place = pathlib.Path(cache) / f"{name}-{digest}"
    python = place / "bin" / "python"
    if not (place / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        install = [python, "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, *pins], check=True)
        if alone:
            subprocess.run([*install, "--no-deps", *alone], check=True)
        (place / "complete").touch()
    os.execve(python, [str(python), "-B", sys.argv[0]], {**os.environ, "BARTIZAN_SUITE_READY": "1"})
