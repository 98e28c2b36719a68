"""Runs the checks between two servers: `run.py BINARY [--only REGEX] [--pair KIND KIND]`."""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import time
import traceback

import checks
from peers import Authority, Orrery, Synapse

KINDS = {"orrery": Orrery, "synapse": Synapse}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--only", default="", help="only checks whose names match, such as `knock v11`")
    parser.add_argument("--pair", nargs=2, default=["orrery", "synapse"], choices=KINDS)
    parser.add_argument("--keep", help="keep the servers' folders here")
    options = parser.parse_args()
    Orrery.binary = str(pathlib.Path(options.binary).resolve())
    Synapse.python = sys.executable
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="federation-"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = Authority(folder)
    first, second = (KINDS[kind](f"{place}-{kind}", folder, authority) for place, kind in zip("ab", options.pair))
    results = {"ok": 0, "FAIL": 0}
    try:
        for peer in (first, second):
            peer.start()
        for function, version in checks.CHECKS:
            for a, b in ((first, second), (second, first)):
                name = f"{function.__name__} v{version}, room of {a.label}"
                if re.search(options.only, name):
                    results[run_check(name, function, a, b, version)] += 1
    finally:
        for peer in (first, second):
            peer.stop()
        if results["FAIL"] == 0 and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{results['ok']} passed, {results['FAIL']} failed" + (f"; logs in {folder}" if results["FAIL"] else ""))
    return 1 if results["FAIL"] or not results["ok"] else 0


def run_check(name, function, a, b, version):
    began = time.monotonic()
    try:
        function(a, b, version)
    except Exception as error:  # whatever it is, the other checks still run
        where = traceback.extract_tb(error.__traceback__)
        line = next((f.lineno for f in reversed(where) if f.filename.endswith("checks.py")), 0)
        print(f"FAIL {name}: {type(error).__name__} at checks.py:{line}: {error}", flush=True)
        for peer in (a, b):
            peer.relay.cut(False)
            if peer.process is None:
                peer.start()
        return "FAIL"
    print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
    return "ok"


if __name__ == "__main__":
    sys.exit(main())
