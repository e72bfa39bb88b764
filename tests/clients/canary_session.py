"""A whole session at a running server with words planted everywhere, and a search for them wherever they must not be: in every byte
of the data directory and of a backup, in the list of processes, and in all that is told. The standard library alone.
Prints a line per check and 'N passed, N failed'."""

import argparse
import pathlib
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from canary import search, session  # noqa: E402
from canary.planted import Planted  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--bartizan", required=True, help="the program")
parser.add_argument("--data", required=True, type=pathlib.Path, help="the data directory of the running server")
parser.add_argument("--cache", required=True, type=pathlib.Path, help="its cache of environments")
parser.add_argument("--server-log", required=True, type=pathlib.Path, help="what the server wrote to standard error")
parser.add_argument("--server", required=True, type=int, help="its process id")
parser.add_argument("--scratch", required=True, type=pathlib.Path, help="an empty directory")
given = parser.parse_args()

passed = failed = 0


def check(name, holds, more=""):
    global passed, failed
    passed, failed = passed + bool(holds), failed + (not holds)
    print("ok    " if holds else "FAILED", name, "" if holds else more, flush=True)


def where(found):
    return sorted(one.where for one in found)


began = time.time()
planted = Planted()
processes = search.Processes(given.server)
held = session.hold(given, planted, processes, check)
check(f"at least 50 words are planted ({len(planted)})", len(planted) >= 50)

# Everything that is to be found is found where it belongs, else nothing is proved by not finding it.
marks = search.Marks(planted)
check("the search finds what is there", search.finds_itself(planted))
for place, content in held.answers.items():
    lost = [one.where for one in planted if one.where in held.shown.get(place, ()) and one not in marks.in_bytes(content)]
    check(f"what was planted is there: {place}", not lost, lost)

# The data directory with what is kept beside it, and what was written to the cache of environments meanwhile.
kept = [path for path in given.data.parent.glob(f"{given.data.name}*/**/*") if path.is_file()]
kept += [path for path in given.data.parent.glob(f"{given.data.name}*") if path.is_file()]
kept += [path for path in given.cache.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mtime > began]
check(f"there is something to look at ({len(kept)} files)", len(kept) > 12)
for file in sorted(kept):
    found = marks.in_file(file)
    check(f"nothing is in {file.relative_to(given.data.parent) if file.is_relative_to(given.data.parent) else file}", not found, where(found))
found = marks.in_file(held.backup)
check("nothing is in a backup", not found, where(found))
for name, content in processes.seen.items():
    found = marks.in_bytes(content)
    check(f"nothing is in the {name} of the server and its agents", not found, where(found))
found = marks.in_bytes(given.server_log.read_bytes())
check("nothing is in the server's log", not found, where(found))
for name, content in held.told.items():
    found = [one for one in marks.in_bytes(content) if not one.is_name]
    check(f"nothing but names is in {name}", not found, where(found))
for name, content in held.silent.items():
    found = [one for one in marks.in_bytes(content) if one.is_secret]
    check(f"no secret is in {name}", not found, where(found))

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
