"""Measures an Orrery that federates with a Synapse: `speed.py ORRERY LOAD [--members 1000] [--keep FOLDER]`.

LOAD is the load generator of benches/. Prints its reports, and of the join of a room on Synapse how much of the time Synapse
took for the requests that it answered: the rest, network and TLS included, is Orrery's.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from peers import Authority, Orrery, Synapse

# What Synapse's log says of a request that it has answered: how long it worked, then how long it sent, method and path.
ANSWERED = re.compile(r'Processed request: ([0-9.]+)sec/(-?[0-9.]+)sec.* "([A-Z]+) (/_matrix/(?:federation|key)/\S+)')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("orrery")
    parser.add_argument("load")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--keep", help="keep the servers' folders here")
    options = parser.parse_args()
    Orrery.binary = str(pathlib.Path(options.orrery).resolve())
    Synapse.python = sys.executable
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="federation-speed-"))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority = Authority(folder)
    orrery, synapse = (kind(kind.kind, folder, authority, relayed=False) for kind in (Orrery, Synapse))

    def load(scenario, a, b, *more):
        print(f"room on {a.label}, other server {b.label}", flush=True)
        command = [options.load, scenario, "--base-url", a.base_url, "--other-url", b.base_url, *more]
        subprocess.run(command, check=True)

    try:
        for peer in (orrery, synapse):
            peer.start()
        load("federate-send-one", orrery, synapse, "--messages", "100", "--pause-ms", "50")
        load("federate-send-one", synapse, orrery, "--messages", "100", "--pause-ms", "50")
        log = synapse.folder / "log"
        load("federate-join", synapse, orrery, "--members", str(options.members), "--rounds", "1")
        for worked, sent, method, path in ANSWERED.findall(log.read_text(errors="replace")):
            if "_join" in path or "/key/" in path:
                took = (float(worked) + float(sent)) * 1000
                print(f"  Synapse took {took:.0f} ms: {method} {path[:60]}")
        load("federate-join", orrery, synapse, "--members", str(options.members), "--rounds", "1")
    finally:
        for peer in (orrery, synapse):
            peer.stop()
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
