"""The servers of a run: how they are configured, started, stopped and cut off, and how a client talks with them.

Every server is known by the name localhost:PORT. The port is a relay's, which passes bytes on to the server's own TLS port, so
that a link can be cut without the server's knowledge.
"""

import asyncio
import datetime
import ipaddress
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Authority:
    """A certificate authority that both servers trust, and nobody else."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private authority")])
        certificate = self._builder(self.name, self.key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        ).sign(self.key, hashes.SHA256())
        self.path = self.folder / "ca.pem"
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public_key):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=2))
        )

    def issue(self, folder):
        """A certificate for localhost: the paths of it and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
        certificate = self._builder(subject, key.public_key()).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        ).sign(self.key, hashes.SHA256())
        paths = (folder / "cert.pem", folder / "key.pem")
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ))
        return paths


class Relay:
    """Passes bytes from one port to another, unless it is cut."""

    def __init__(self, target):
        self.target, self.port, self.is_cut = target, free_port(), False
        self.writers = set()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        def serve():
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(asyncio.start_server(self._connect, "127.0.0.1", self.port))
            started.set()
            self.loop.run_forever()

        threading.Thread(target=serve, daemon=True).start()
        started.wait()

    async def _connect(self, reader, writer):
        try:
            if self.is_cut:
                raise OSError("cut")
            onward, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        self.writers |= {writer, back}
        await asyncio.gather(self._pass(reader, back), self._pass(onward, writer))
        self.writers -= {writer, back}

    @staticmethod
    async def _pass(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    def cut(self, is_cut):
        self.is_cut = is_cut
        if is_cut:
            self.loop.call_soon_threadsafe(lambda: [writer.transport.abort() for writer in self.writers])


class Peer:
    """One server, and the folder it lives in."""

    def __init__(self, label, folder, authority, relayed=True):
        self.label, self.folder = label, pathlib.Path(folder) / label
        self.folder.mkdir()
        self.authority = authority
        self.certificate, self.key = authority.issue(self.folder)
        self.client_port, self.federation_port = free_port(), free_port()
        self.relay = Relay(self.federation_port) if relayed else None
        self.server_name = f"localhost:{self.relay.port if relayed else self.federation_port}"
        self.base_url = f"http://127.0.0.1:{self.client_port}"
        self.process = None
        self.configure()

    def start(self):
        log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.base_url}/_matrix/client/versions", timeout=2).read()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit(f"{self.label} does not start; its log is {self.folder / 'log'}")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


class Orrery(Peer):
    kind = "orrery"
    binary = None

    def configure(self):
        (self.folder / "orrery.toml").write_text(f"""
server_name = "{self.server_name}"
data_dir = "{self.folder / 'data'}"
[[listeners]]
address = "127.0.0.1:{self.client_port}"
[[listeners]]
address = "127.0.0.1:{self.federation_port}"
tls = {{ certificate = "{self.certificate}", key = "{self.key}" }}
[registration]
open = true
[limits]
rate_limits = false
[federation]
enabled = true
extra_ca = ["{self.authority.path}"]
allow_private_addresses = true
""")

    def command(self):
        return [self.binary, "serve", "--config", str(self.folder / "orrery.toml")]

    def signing_key_path(self):
        return self.folder / "data" / "signing.key"

    def rotate_key(self, old_key_id, old_public_key):
        """Signs with a new key from the next start on; others can still check what the old one signed."""
        self.signing_key_path().rename(self.folder / "old.key")
        with open(self.folder / "orrery.toml", "a") as config:
            config.write(
                f'[[federation.old_verify_keys]]\nkey_id = "{old_key_id}"\nkey = "{old_public_key}"\n'
                f"expired_ts = {int(time.time() * 1000)}\n"
            )


class Synapse(Peer):
    kind = "synapse"
    python = None

    def configure(self):
        self.old_keys = {}
        self.write_config()

    def write_config(self):
        unlimited = {"per_second": 10000, "burst_count": 10000}
        config = {
            "server_name": self.server_name,
            "pid_file": str(self.folder / "pid"),
            "listeners": [
                {"port": self.client_port, "type": "http", "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["client"]}]},
                {"port": self.federation_port, "type": "http", "tls": True, "bind_addresses": ["127.0.0.1"],
                 "resources": [{"names": ["federation"]}]},
            ],
            "tls_certificate_path": str(self.certificate),
            "tls_private_key_path": str(self.key),
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "old_signing_keys": self.old_keys,
            "macaroon_secret_key": "macaroons", "form_secret": "forms",
            "report_stats": False, "bcrypt_rounds": 4,
            "enable_registration": True, "enable_registration_without_verification": True,
            "registration_shared_secret": "secret",
            "federation_custom_ca_list": [str(self.authority.path)],
            "federation_verify_certificates": True,
            "ip_range_blacklist": [], "federation_ip_range_blacklist": [],
            "federation": {"destination_min_retry_interval": "1s", "destination_retry_multiplier": 1,
                           "destination_max_retry_interval": "2s", "client_timeout": "20s"},
            "trusted_key_servers": [], "suppress_key_server_warning": True,
            "rc_message": unlimited, "rc_registration": unlimited, "rc_admin_redaction": unlimited,
            "rc_login": {kind: unlimited for kind in ("address", "account", "failed_attempts")},
            "rc_joins": {kind: unlimited for kind in ("local", "remote")},
            "rc_joins_per_room": unlimited, "rc_room_creation": unlimited, "rc_presence": {"per_user": unlimited},
            "rc_invites": {kind: unlimited for kind in ("per_room", "per_user", "per_issuer")},
            "rc_federation": {"window_size": 1000, "sleep_limit": 100000, "sleep_delay": 0, "reject_limit": 100000,
                              "concurrent": 100},
            "allow_public_rooms_over_federation": True, "room_list_publication_rules": [{"action": "allow"}],
            "public_baseurl": f"{self.base_url}/",
        }
        (self.folder / "homeserver.yaml").write_text(json.dumps(config, indent=1))
        key = self.folder / "signing.key"
        if not key.exists():
            from signedjson.key import generate_signing_key, write_signing_keys

            with open(key, "w") as file:
                write_signing_keys(file, [generate_signing_key(f"a_{os.urandom(2).hex()}")])

    def command(self):
        return [self.python, "-m", "synapse.app.homeserver", "-c", str(self.folder / "homeserver.yaml")]

    def rotate_key(self, old_key_id, old_public_key):
        (self.folder / "signing.key").rename(self.folder / "old.key")
        self.old_keys[old_key_id] = {"key": old_public_key, "expired_ts": int(time.time() * 1000)}
        self.write_config()


class ApiError(Exception):
    def __init__(self, what, status, body):
        super().__init__(f"{what}: {status} {json.dumps(body)[:300]}")
        self.status, self.errcode = status, body.get("errcode")


class User:
    """An account on a server, and one session of it."""

    def __init__(self, peer, localpart):
        self.peer, self.token = peer, None
        body = {"username": localpart, "password": "correct horse", "auth": {"type": "m.login.dummy"}}
        answer = self.call("POST", "v3/register", body)
        self.id, self.token, self.device_id = answer["user_id"], answer["access_token"], answer["device_id"]
        self.since, self.serial = None, 0

    def call(self, method, path, body=None, patience=60, **query):
        """Path segments are encoded by the caller with `q`."""
        url = f"{self.peer.base_url}/_matrix/client/{path}"
        if query:
            url += "?" + urllib.parse.urlencode(query, doseq=True)
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=patience) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                answer = json.loads(text)
            except ValueError:
                answer = {"error": text.decode(errors="replace")}
            raise ApiError(f"{self.peer.label}: {method} {path}", error.code, answer) from None

    def room(self, room, rest, method="POST", body=None, **query):
        if method == "POST" and body is None:
            body = {}
        return self.call(method, f"v3/rooms/{q(room)}/{rest}", body, **query)

    def create(self, version, **options):
        options.setdefault("preset", "public_chat")
        return self.call("POST", "v3/createRoom", {"room_version": version, **options})["room_id"]

    def join(self, room, *via):
        return self.call("POST", f"v3/join/{q(room)}", {}, via=via, server_name=via)

    def send(self, room, text):
        self.serial += 1
        path = f"send/m.room.message/{self.device_id}{self.serial}"
        return self.room(room, path, "PUT", {"msgtype": "m.text", "body": text})["event_id"]

    def set_state(self, room, kind, content, key=""):
        return self.room(room, f"state/{q(kind)}/{q(key)}", "PUT", content)["event_id"]

    def state_content(self, room, kind, key=""):
        return self.room(room, f"state/{q(kind)}/{q(key)}", "GET")

    def state(self, room):
        """Event IDs by type and state key."""
        return {(e["type"], e["state_key"]): e["event_id"] for e in self.room(room, "state", "GET")}

    def messages(self, room, limit=100):
        """The texts of a room's last events, the oldest first."""
        chunk = self.room(room, "messages", "GET", dir="b", limit=limit)["chunk"]
        return [e["content"]["body"] for e in reversed(chunk) if "body" in e.get("content", {})]

    def sync(self, timeout=0, **query):
        if self.since:
            query["since"] = self.since
        answer = self.call("GET", "v3/sync", patience=timeout / 1000 + 60, **{"timeout": timeout, **query})
        self.since = answer["next_batch"]
        return answer

    def sees(self, look, what, seconds=20):
        """Syncs until `look` finds something in an answer, and returns that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = look(self.sync(timeout=1000))
            if found:
                return found
        raise AssertionError(f"{self.id} does not see {what} within {seconds} s")


def q(segment):
    return urllib.parse.quote(segment, safe="")


def eventually(test, what, seconds=30):
    """Waits until `test` holds; of errors meanwhile the last is told."""
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline:
        try:
            if result := test():
                return result
            last = None
        except (ApiError, KeyError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s" + (f" ({last})" if last else ""))
