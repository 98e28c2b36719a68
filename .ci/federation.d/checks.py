"""What has to work between two servers. `a` and `b` are servers; the run has each check with either in each role."""

import time
import urllib.request

from signedjson.key import generate_signing_key
from signedjson.sign import sign_json
from unpaddedbase64 import encode_base64

from peers import ApiError, User, eventually, q
from policy import PolicyServer

CHECKS = []
VERSIONS = ["1", "6", "9", "10", "11", "12"]


def check(versions=("11",)):
    def register(function):
        CHECKS.extend((function, version) for version in versions)
        return function

    return register


_users = {}


def user(peer, name):
    """One account per name and server, shared by all checks: registering is slow."""
    key = (peer.server_name, name)
    if key not in _users:
        _users[key] = User(peer, name)
    return _users[key]


def fails(status, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except ApiError as error:
        assert error.status in (status if isinstance(status, tuple) else (status,)), error
        return error
    raise AssertionError("it was allowed")


def shared_room(a, b, version, **options):
    """A room of alice on `a` in which bob of `b` is too."""
    alice, bob = user(a, "alice"), user(b, "bob")
    room = alice.create(version, **options)
    bob.join(room, a.server_name)
    eventually(lambda: same_state(room, alice, bob), "both agree after the join")
    return alice, bob, room


def same_state(room, *users):
    states = [user.state(room) for user in users]
    return states[0] and all(state == states[0] for state in states)


def agree(room, *users):
    try:
        eventually(lambda: same_state(room, *users), "they agree")
    except AssertionError:
        first, second = (user.state(room) for user in users[:2])
        different = {key: (first.get(key), second.get(key)) for key in first.keys() | second.keys()
                     if first.get(key) != second.get(key)}
        raise AssertionError(f"the states differ: {different}") from None


def hears(user, room, text):
    eventually(lambda: text in user.messages(room), f"{user.id} hears {text!r}")


@check(VERSIONS)
def join_and_talk(a, b, version):
    alice, bob, room = shared_room(a, b, version, name="tea")
    assert bob.state_content(room, "m.room.name")["name"] == "tea"
    bob.sync()
    alice.send(room, "hello from alice")
    hears(bob, room, "hello from alice")
    bob.send(room, "hello from bob")
    hears(alice, room, "hello from bob")
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("join", {}), "the room")
    agree(room, alice, bob)


@check(VERSIONS)
def invite_and_join(a, b, version):
    alice, bob = user(a, "alice"), user(b, "bob")
    bob.sync()
    room = alice.create(version, preset="private_chat", name="secret")
    fails((403, 404), bob.join, room, a.server_name)
    alice.room(room, "invite", body={"user_id": bob.id})
    stripped = bob.sees(lambda sync: sync.get("rooms", {}).get("invite", {}).get(room), "the invite")
    kinds = {event["type"] for event in stripped["invite_state"]["events"]}
    assert {"m.room.create", "m.room.member", "m.room.name"} <= kinds, kinds
    bob.join(room)
    agree(room, alice, bob)
    bob.send(room, "thanks")
    hears(alice, room, "thanks")


@check(VERSIONS)
def reject_an_invite(a, b, version):
    alice, bob = user(a, "alice"), user(b, "bob")
    room = alice.create(version, preset="private_chat")
    alice.room(room, "invite", body={"user_id": bob.id})
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("invite", {}), "the invite")
    bob.room(room, "leave")
    member = lambda: alice.state_content(room, "m.room.member", bob.id)["membership"]
    eventually(lambda: member() == "leave", "alice sees the invite rejected")
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("leave", {}), "the room left")


@check(["9", "11", "12"])
def knock(a, b, version):
    alice, bob = user(a, "alice"), user(b, "bob")
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    room = alice.create(version, preset="private_chat", initial_state=[rules])
    bob.sync()
    bob.call("POST", f"v3/knock/{q(room)}", {"reason": "let me in"}, via=a.server_name, server_name=a.server_name)
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("knock", {}), "the knock")
    member = lambda: alice.state_content(room, "m.room.member", bob.id)["membership"]
    eventually(lambda: member() == "knock", "alice sees the knock")
    alice.room(room, "invite", body={"user_id": bob.id})
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("invite", {}), "the invite")
    bob.join(room, a.server_name)
    agree(room, alice, bob)


@check(["9", "10", "12"])
def restricted_join(a, b, version):
    alice, bob, space = shared_room(a, b, version)
    carol = user(b, "carol")
    allow = [{"type": "m.room_membership", "room_id": space}]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": allow}}
    room = alice.create(version, preset="private_chat", initial_state=[rules])
    fails((403, 400), carol.join, room, a.server_name)
    bob.join(room, a.server_name)
    agree(room, alice, bob)
    member = bob.state_content(room, "m.room.member", bob.id)
    assert member["join_authorised_via_users_server"] == alice.id, member


@check(["1", "6", "11", "12"])
def leave_and_come_back(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    bob.room(room, "leave")
    member = lambda: alice.state_content(room, "m.room.member", bob.id)["membership"]
    eventually(lambda: member() == "leave", "alice sees bob leave")
    for number in range(5):
        alice.send(room, f"while bob is out {number}")
    alice.set_state(room, "m.room.topic", {"topic": "bob"})
    bob.join(room, a.server_name)
    agree(room, alice, bob)
    assert bob.state_content(room, "m.room.topic")["topic"] == "bob"


@check(["6", "11", "12"])
def kick_ban_and_unban(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    bob.sync()
    alice.room(room, "kick", body={"user_id": bob.id, "reason": "out"})
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("leave", {}), "the kick")
    fails(403, bob.send, room, "I am still here")
    bob.join(room, a.server_name)
    agree(room, alice, bob)
    alice.room(room, "ban", body={"user_id": bob.id})
    bob.sees(lambda sync: room in sync.get("rooms", {}).get("leave", {}), "the ban")
    fails(403, bob.join, room, a.server_name)
    alice.room(room, "unban", body={"user_id": bob.id})
    bob.join(room, a.server_name)
    agree(room, alice, bob)


@check(VERSIONS)
def power_levels_and_state(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    fails(403, bob.set_state, room, "m.room.topic", {"topic": "mine"})
    levels = alice.state_content(room, "m.room.power_levels")
    levels.setdefault("users", {})[bob.id] = 50
    alice.set_state(room, "m.room.power_levels", levels)
    eventually(lambda: bob.state_content(room, "m.room.power_levels")["users"].get(bob.id) == 50, "bob is promoted")
    bob.set_state(room, "m.room.topic", {"topic": "ours"})
    for number in range(10):
        alice.set_state(room, "org.orrery.test", {"number": number}, f"a{number % 3}")
        bob.set_state(room, "org.orrery.test", {"number": number}, f"b{number % 3}")
    agree(room, alice, bob)
    assert alice.state_content(room, "m.room.topic")["topic"] == "ours"


@check(["1", "6", "10", "11", "12"])
def redaction(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    event_id = bob.send(room, "oh no")
    hears(alice, room, "oh no")
    bob.room(room, f"redact/{q(event_id)}/r{event_id[1:9]}", "PUT", {"reason": "typo"})
    eventually(lambda: alice.room(room, f"event/{q(event_id)}", "GET")["content"] == {}, "alice sees it redacted")
    event_id = bob.send(room, "something bad")
    hears(alice, room, "something bad")
    alice.room(room, f"redact/{q(event_id)}/r{event_id[1:9]}", "PUT", {})
    eventually(lambda: bob.room(room, f"event/{q(event_id)}", "GET")["content"] == {}, "bob sees it redacted")


@check(["11", "12"])
def alias_and_directory(a, b, version):
    alice, bob = user(a, "alice"), user(b, "bob")
    name = f"tea{version}{int(time.time() * 1000)}"
    room = alice.create(version, room_alias_name=name, name=name, visibility="public", topic="leaves")
    alias = f"#{name}:{a.server_name}"
    found = bob.call("GET", f"v3/directory/room/{q(alias)}")
    assert found["room_id"] == room and a.server_name in found["servers"], found
    search = {"filter": {"generic_search_term": name}}
    listed = lambda: bob.call("POST", "v3/publicRooms", search, server=a.server_name)["chunk"]
    eventually(lambda: [entry["room_id"] for entry in listed()] == [room], "bob finds the room in the directory")
    bob.join(alias)
    agree(room, alice, bob)
    fails(404, bob.call, "GET", f"v3/directory/room/{q('#nothing:' + a.server_name)}")


@check()
def profile(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    alice.call("PUT", f"v3/profile/{q(alice.id)}/displayname", {"displayname": "Alice of the teapot"})
    name = bob.call("GET", f"v3/profile/{q(alice.id)}")["displayname"]
    assert name == "Alice of the teapot", name
    member = lambda: bob.state_content(room, "m.room.member", alice.id).get("displayname")
    eventually(lambda: member() == "Alice of the teapot", "bob sees the new name in the room")
    fails(404, bob.call, "GET", f"v3/profile/{q('@nobody:' + a.server_name)}")


@check()
def typing_and_receipts(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    bob.sync()
    alice.room(room, f"typing/{q(alice.id)}", "PUT", {"typing": True, "timeout": 20000})

    def ephemeral(kind):
        def look(sync):
            events = sync.get("rooms", {}).get("join", {}).get(room, {}).get("ephemeral", {}).get("events", [])
            return [event["content"] for event in events if event["type"] == kind]
        return look

    def types(sync):
        return [c for c in ephemeral("m.typing")(sync) if alice.id in c["user_ids"]]

    bob.sees(types, "alice typing")
    event_id = bob.send(room, "read this")
    hears(alice, room, "read this")
    alice.room(room, f"receipt/m.read/{q(event_id)}")

    def read(sync):
        return [c for c in ephemeral("m.receipt")(sync) if alice.id in c.get(event_id, {}).get("m.read", {})]

    bob.sees(read, "alice's receipt")


@check()
def presence(a, b, version):
    alice, bob, _ = shared_room(a, b, version)
    bob.sync()
    status = f"at tea {time.time()}"
    alice.call("PUT", f"v3/presence/{q(alice.id)}/status", {"presence": "online", "status_msg": status})

    def look(sync):
        events = sync.get("presence", {}).get("events", [])
        return [e for e in events if e["sender"] == alice.id and e["content"].get("status_msg") == status]

    bob.sees(look, "alice's presence")


@check()
def backfill(a, b, version):
    alice, bob = user(a, "alice"), user(b, "bob")
    room = alice.create(version)
    said = [f"long ago {number}" for number in range(60)]
    for text in said:
        alice.send(room, text)
    bob.join(room, a.server_name)
    found, token = [], None
    for _ in range(40):
        page = bob.room(room, "messages", "GET", dir="b", limit=20, **({"from": token} if token else {}))
        found += [e["content"]["body"] for e in page["chunk"] if "body" in e.get("content", {})]
        token = page.get("end")
        if token is None:
            break
    assert list(reversed(found)) == said, f"{len(found)} of {len(said)}, the last {found[:3]}"


@check()
def the_other_is_down_for_a_while(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    b.stop()
    for number in range(80):
        alice.send(room, f"into the dark {number}")
    alice.set_state(room, "m.room.topic", {"topic": "dark"})
    b.start()
    alice.send(room, "lights on")
    hears(bob, room, "lights on")
    agree(room, alice, bob)
    eventually(lambda: len([t for t in bob.messages(room) if t.startswith("into the dark")]) == 80, "bob has all of it", 60)


@check(VERSIONS)
def both_write_while_the_link_is_cut(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    levels = alice.state_content(room, "m.room.power_levels")
    levels.setdefault("users", {})[bob.id] = 50
    alice.set_state(room, "m.room.power_levels", levels)
    eventually(lambda: bob.state_content(room, "m.room.power_levels")["users"].get(bob.id) == 50, "bob is promoted")
    for peer in (a, b):
        peer.relay.cut(True)
    alice.set_state(room, "m.room.topic", {"topic": "of alice"})
    bob.set_state(room, "m.room.topic", {"topic": "of bob"})
    bob.set_state(room, "m.room.name", {"name": "bob's"})
    levels["users"][bob.id] = 0
    alice.set_state(room, "m.room.power_levels", levels)
    bob.set_state(room, "org.orrery.test", {"from": "bob"}, "later")
    alice.send(room, "alone a")
    bob.send(room, "alone b")
    for peer in (a, b):
        peer.relay.cut(False)
    alice.send(room, "together a")
    bob.send(room, "together b")
    hears(bob, room, "together a")
    hears(alice, room, "together b")
    agree(room, alice, bob)


@check(["11", "12"])
def policy_server(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    carol = user(b, "carol")
    with PolicyServer(a.folder.parent / "policy", a.authority) as policy:
        policy.join(room, version, a.server_name)
        for someone in (alice, bob):
            eventually(lambda: someone.state_content(room, "m.room.member", policy.user), "the policy server is in the room")
        alice.set_state(room, "m.room.policy", policy.content)
        eventually(lambda: bob.state_content(room, "m.room.policy"), "bob has the policy")
        assert not policy.asked, "the policy itself is not shown to it"
        sent = []
        for speaker, listener in ((alice, bob), (bob, alice)):
            sent.append(speaker.send(room, f"fine by {speaker.id}"))
            hears(listener, room, f"fine by {speaker.id}")
            fails((400, 403), speaker.send, room, "spam")
        carol.join(room, a.server_name)
        sent.append(alice.set_state(room, "m.room.topic", {"topic": "no spam"}))
        agree(room, alice, bob)
        assert all(policy.asked[event_id] == 1 for event_id in sent), f"{sent}: {policy.asked}"
        alice.set_state(room, "m.room.policy", {})
        eventually(lambda: not bob.state_content(room, "m.room.policy"), "bob has no policy")
    for speaker, listener in ((alice, bob), (bob, alice)):
        speaker.send(room, f"spam by {speaker.id}")
        hears(listener, room, f"spam by {speaker.id}")


@check()
def key_rotation(a, b, version):
    alice, bob, room = shared_room(a, b, version)
    alice.send(room, "signed with the old key")
    keys = published_keys(a)
    old_id, old_key = next(iter(keys["verify_keys"].items()))
    a.stop()
    a.rotate_key(old_id, old_key["key"])
    a.start()
    keys = published_keys(a)
    assert old_id not in keys["verify_keys"] and old_id in keys["old_verify_keys"], keys
    alice.send(room, "signed with the new key")
    hears(bob, room, "signed with the new key")
    carol = user(b, "carol")
    carol.join(room, a.server_name)
    agree(room, alice, carol)


def published_keys(peer):
    import json
    import ssl

    context = ssl.create_default_context(cafile=str(peer.authority.path))
    with urllib.request.urlopen(f"https://localhost:{peer.relay.port}/_matrix/key/v2/server", context=context) as answer:
        return json.load(answer)


@check()
def to_device(a, b, version):
    alice, bob, _ = shared_room(a, b, version)
    bob.sync()
    text = f"for your device only {time.time()}"
    body = {"messages": {bob.id: {bob.device_id: {"text": text}}}}
    alice.call("PUT", f"v3/sendToDevice/org.orrery.test/t{time.time_ns()}", body)

    def look(sync):
        events = sync.get("to_device", {}).get("events", [])
        return [e for e in events if e["sender"] == alice.id and e["content"].get("text") == text]

    assert len(bob.sees(look, "alice's message to the device")) == 1
    assert not look(bob.sync()), "the message came twice"


@check()
def device_keys(a, b, version):
    # A user of their own: keys are uploaded once for a device.
    alice, bob = user(a, f"keys{version}of{b.label[0]}"), user(b, "bob")
    room = alice.create(version)
    bob.join(room, a.server_name)
    bob.sync()
    identity = generate_signing_key(alice.device_id)
    public = encode_base64(identity.verify_key.encode())

    def signed(what):
        return sign_json(what, alice.id, identity)

    keys = {
        "user_id": alice.id, "device_id": alice.device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {f"ed25519:{alice.device_id}": public, f"curve25519:{alice.device_id}": public},
    }
    one_time = {f"signed_curve25519:{number}": signed({"key": public}) for number in "AB"}
    counts = alice.call("POST", "v3/keys/upload", {"device_keys": signed(keys), "one_time_keys": one_time})
    assert counts["one_time_key_counts"]["signed_curve25519"] == 2, counts
    bob.sees(lambda sync: alice.id in sync.get("device_lists", {}).get("changed", []), "that alice's devices changed")

    def queried():
        found = bob.call("POST", "v3/keys/query", {"device_keys": {alice.id: []}})
        return found["device_keys"].get(alice.id, {}).get(alice.device_id, {}).get("keys") == keys["keys"]

    eventually(queried, "bob has alice's keys")
    want = {"one_time_keys": {alice.id: {alice.device_id: "signed_curve25519"}}}
    claimed = [bob.call("POST", "v3/keys/claim", want)["one_time_keys"].get(alice.id, {}) for _ in range(3)]
    names = [name for device in claimed for keys in device.values() for name in keys]
    assert sorted(names) == ["signed_curve25519:A", "signed_curve25519:B"], f"each key once: {names}"
