"""Room creation, sending, redaction, state, messages, context, aliases and the directory."""

import nio
from harness import RUN, all_texts, another_device, check, expect, ok, refused, room_with, same, say, until, user


async def presets():
    owner = await user("create", sync=True)
    for preset, join_rule in (
        (nio.RoomPreset.private_chat, "invite"),
        (nio.RoomPreset.trusted_private_chat, "invite"),
        (nio.RoomPreset.public_chat, "public"),
    ):
        room_id = await room_with(owner, [], preset=preset, name="A name", topic="A topic")
        room = await until("the room", lambda: owner.rooms.get(room_id))
        await until("its topic", lambda: room.topic == "A topic")
        same((room.name, room.join_rule), ("A name", join_rule), preset.value)


async def versions():
    owner = await user("versions", sync=True)
    friend = await user("friend", sync=True)
    for version in map(str, range(1, 13)):
        room_id = await room_with(owner, [friend], room_version=version)
        await say(friend, room_id, f"in version {version}")
        await until(f"version {version}", lambda: owner.texts(room_id) == [f"in version {version}"])
        same(owner.rooms[room_id].room_version, version, "room version")
    await refused(owner.room_create(room_version="no such version"), "M_UNSUPPORTED_ROOM_VERSION")


async def send():
    owner = await user("send", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [friend])
    texts = [f"message {i}" for i in range(10)]
    for body in texts:
        await say(owner, room_id, body)
    for client in (owner, friend):
        await until("ten messages", lambda: len(client.texts(room_id)) >= 10)
        same(client.texts(room_id), texts, client.user_id)


async def transaction():
    owner = await user("transaction")
    room_id = await room_with(owner, [])
    content = {"msgtype": "m.text", "body": "once"}
    ids = {(await ok(owner.room_send(room_id, "m.room.message", content, tx_id="one"))).event_id for _ in range(2)}
    same(len(ids), 1, "events of one transaction")
    same(await all_texts(owner, room_id), ["once"], "texts")


async def redact():
    owner = await user("redact", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [friend])
    event_id = await say(friend, room_id, "regretted")
    await ok(owner.room_redact(room_id, event_id, reason="because"))
    events = lambda: [e for e in friend.timeline.get(room_id, []) if isinstance(e, nio.RedactionEvent)]
    redaction = (await until("the redaction", events))[0]
    same((redaction.redacts, redaction.reason), (event_id, "because"), "the redaction")
    stored = (await ok(owner.room_get_event(room_id, event_id))).event
    expect(isinstance(stored, nio.RedactedEvent), f"not redacted: {stored}")
    same((stored.redacter, stored.reason), (owner.user_id, "because"), "redacted_because")


async def state():
    owner = await user("state", sync=True)
    friend = await user("friend")
    room_id = await room_with(owner, [friend])
    await ok(owner.room_put_state(room_id, "org.example.thing", {"size": 3}, state_key="a/key"))
    same((await ok(owner.room_get_state_event(room_id, "org.example.thing", "a/key"))).content, {"size": 3}, "content")
    keys = [(event["type"], event["state_key"]) for event in (await ok(owner.room_get_state(room_id))).events]
    same(len(keys), len(set(keys)), "distinct keys")
    expect(("org.example.thing", "a/key") in keys, "the state event is not listed")
    await ok(owner.update_room_topic(room_id, "Changed"))
    await until("the topic", lambda: owner.rooms[room_id].topic == "Changed")
    await refused(friend.update_room_topic(room_id, "not yours"), "M_FORBIDDEN")
    await refused(owner.room_get_state_event(room_id, "org.example.thing", "none"), "M_NOT_FOUND")


async def members():
    owner = await user("members")
    friend = await user("friend")
    room_id = await room_with(owner, [friend])
    joined = {member.user_id for member in (await ok(owner.joined_members(room_id))).members}
    same(joined, {owner.user_id, friend.user_id}, "joined members")
    same((await ok(friend.joined_rooms())).rooms, [room_id], "joined rooms")


async def messages():
    owner = await user("messages")
    room_id = await room_with(owner, [])
    sent = [f"message {i}" for i in range(35)]
    ids = [await say(owner, room_id, body) for body in sent]
    for limit in (4, 50):
        same(await all_texts(owner, room_id, limit), sent[::-1], f"backwards by {limit}")
        same(await all_texts(owner, room_id, limit, nio.MessageDirection.front), sent, f"forwards by {limit}")
    context = await ok(owner.room_context(room_id, ids[17], limit=6))
    around = [*context.events_before[::-1], context.event, *context.events_after]
    same([event.body for event in around], sent[14:21], "context")
    before = await all_texts(owner, room_id, 5, start=context.start)
    same(before, sent[:14][::-1], "before the context")
    after = await all_texts(owner, room_id, 5, nio.MessageDirection.front, context.end)
    same(after, sent[21:], "after the context")


async def aliases():
    owner = await user("alias")
    friend = await user("friend")
    room_id = await room_with(owner, [], preset=nio.RoomPreset.public_chat, alias=f"nio-first-{RUN}")
    first, second = (f"#nio-{name}-{RUN}:{owner.domain}" for name in ("first", "second"))
    same((await ok(friend.room_resolve_alias(first))).room_id, room_id, "the first alias")
    await ok(owner.room_put_alias(second, room_id))
    same((await ok(friend.join(second))).room_id, room_id, "join by alias")
    await refused(friend.room_delete_alias(first), "M_FORBIDDEN")
    await ok(owner.room_delete_alias(second))
    await refused(friend.room_resolve_alias(second), "M_NOT_FOUND")


async def directory():
    owner = await user("directory")
    friend = await user("friend")
    name = f"Findable by nio {RUN}"
    room_id = await room_with(
        owner, [], visibility=nio.RoomVisibility.public, preset=nio.RoomPreset.public_chat, name=name
    )
    hidden = await room_with(owner, [])
    same((await ok(friend.room_get_visibility(room_id))).visibility, "public", "visibility")
    same((await ok(friend.room_get_visibility(hidden))).visibility, "private", "visibility")
    found = (await ok(friend.list_public_rooms(filter_generic_search_term=f"findable by nio {RUN}"))).public_rooms
    found = [room for room in found if room.name == name]
    same([(room.room_id, room.num_joined_members) for room in found], [(room_id, 1)], "found")


async def upgrade():
    owner = await user("upgrade", sync=True)
    room_id = await room_with(owner, [], room_version="10", name="To be replaced")
    await until("the room", lambda: owner.rooms.get(room_id) and owner.rooms[room_id].name)
    answer = await ok(owner.room_upgrade(room_id, "11"))
    new_id = await until("the new room", lambda: answer.room_id in owner.rooms and answer.room_id)
    await until("its name", lambda: owner.rooms[new_id].name == "To be replaced")
    tombstone = await ok(owner.room_get_state_event(room_id, "m.room.tombstone"))
    same(tombstone.content["replacement_room"], new_id, "replacement_room")


async def second_device():
    owner = await user("two", sync=True)
    second = await another_device(owner, sync=True)
    room_id = await room_with(owner, [])
    await say(owner, room_id, "to myself")
    await until("the message", lambda: second.texts(room_id) == ["to myself"])


async def checks():
    await check("create: every preset", presets)
    await check("create: every room version", versions)
    await check("send and receive in order", send)
    await check("send: a transaction ID is sent once", transaction)
    await check("redact", redact)
    await check("state", state)
    await check("joined members and rooms", members)
    await check("messages and context: pages without gap or repeat", messages)
    await check("aliases", aliases)
    await check("directory", directory)
    await check("upgrade by tombstone", upgrade)
    await check("two devices of one user", second_device)
