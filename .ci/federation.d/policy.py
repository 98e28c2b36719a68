"""A policy server: just enough of the federation to be one (Server-Server API, "Policy Servers"). It signs everything but spam."""

import collections
import http.server
import json
import ssl
import threading
import time
import urllib.request

from signedjson.key import generate_signing_key
from signedjson.sign import sign_json
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS
from synapse.crypto.event_signing import add_hashes_and_signatures, compute_event_signature
from synapse.events import make_event_from_dict
from unpaddedbase64 import encode_base64

from peers import q


class PolicyServer:
    def __init__(self, folder, authority):
        folder.mkdir(exist_ok=True)
        self.key, self.policy_key = generate_signing_key("1"), generate_signing_key("policy_server")
        self.versions, self.asked = {}, collections.Counter()
        self.trust = ssl.create_default_context(cafile=authority.path)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self):
                status, body = server.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
                body = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue(folder))
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.name = f"localhost:{self.http.server_port}"
        self.user = f"@policy:{self.name}"
        public_key = encode_base64(self.policy_key.verify_key.encode())
        self.content = {"via": self.name, "public_keys": {"ed25519": public_key}}

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, path, body):
        if path.startswith("/_matrix/key/v2/server"):
            keys = {
                "server_name": self.name, "valid_until_ts": int(time.time() * 1000) + 3_600_000, "old_verify_keys": {},
                "verify_keys": {"ed25519:1": {"key": encode_base64(self.key.verify_key.encode())}},
            }
            return 200, sign_json(keys, self.name, self.key)
        if path == "/_matrix/policy/v1/sign":
            pdu = json.loads(body)
            # Synapse shows it the create event too, which names no room from version 12 on.
            version = self.versions.get(pdu.get("room_id"))
            if version is None:
                return 404, {"errcode": "M_NOT_FOUND", "error": "it is not the policy server of that room"}
            self.asked[make_event_from_dict(dict(pdu), version).event_id] += 1
            if "spam" in pdu["content"].get("body", ""):
                return 400, {"errcode": "M_FORBIDDEN", "error": "it looks like spam"}
            return 200, compute_event_signature(version, pdu, self.name, self.policy_key)
        if path.startswith("/_matrix/federation/v1/send/"):
            return 200, {"pdus": {}}
        return 404, {"errcode": "M_UNRECOGNIZED", "error": "this is a policy server"}

    def call(self, method, server, path, content=None):
        what = {"method": method, "uri": path, "origin": self.name, "destination": server}
        if content is not None:
            what["content"] = content
        signature = sign_json(what, self.name, self.key)["signatures"][self.name]["ed25519:1"]
        sender = f'X-Matrix origin="{self.name}",destination="{server}",key="ed25519:1",sig="{signature}"'
        data = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": sender, "Content-Type": "application/json"}
        request = urllib.request.Request(f"https://{server}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, context=self.trust, timeout=60) as response:
            return json.load(response)

    def join(self, room, version, server):
        self.versions[room] = KNOWN_ROOM_VERSIONS[version]
        path = f"/_matrix/federation/v1/make_join/{q(room)}/{q(self.user)}?ver={version}"
        event = self.call("GET", server, path)["event"]
        event["origin_server_ts"] = int(time.time() * 1000)
        add_hashes_and_signatures(KNOWN_ROOM_VERSIONS[version], event, self.name, self.key)
        event_id = make_event_from_dict(dict(event), KNOWN_ROOM_VERSIONS[version]).event_id
        self.call("PUT", server, f"/_matrix/federation/v2/send_join/{q(room)}/{q(event_id)}", event)
