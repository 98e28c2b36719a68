"""What /sync carries: typing, receipts, read markers, presence, account data, filters; gaps and tokens."""

import json

import nio
from harness import all_texts, another_device, check, expect, ok, room_with, same, say, start, until, user


async def pair():
    owner = await user("owner", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [friend])
    event_id = await say(owner, room_id, "hello")
    await until("the message", lambda: friend.texts(room_id) == ["hello"])
    return owner, friend, room_id, event_id


async def typing():
    owner, friend, room_id, _ = await pair()
    await ok(friend.room_typing(room_id, True, 30_000))
    await until("typing", lambda: owner.rooms[room_id].typing_users == [friend.user_id])
    await ok(friend.room_typing(room_id, False))
    await until("no typing", lambda: owner.rooms[room_id].typing_users == [])


async def receipts():
    owner, friend, room_id, event_id = await pair()
    await ok(friend.update_receipt_marker(room_id, event_id))
    receipt = await until(
        "the receipt",
        lambda: next(
            (r for e in owner.ephemeral if isinstance(e, nio.ReceiptEvent) for r in e.receipts
             if r.user_id == friend.user_id), None,
        ),
    )
    same((receipt.event_id, receipt.receipt_type), (event_id, "m.read"), "receipt")
    expect(receipt.timestamp > 1_600_000_000_000, f"ts is {receipt.timestamp}")


async def read_markers():
    _, friend, room_id, event_id = await pair()
    await ok(friend.room_read_markers(room_id, event_id, event_id))
    await until(
        "m.fully_read",
        lambda: any(isinstance(e, nio.FullyReadEvent) and e.event_id == event_id for e in friend.room_data),
    )


async def presence():
    owner, friend, _, _ = await pair()
    await ok(friend.set_presence("unavailable", "Away"))
    await until(
        "presence",
        lambda: any(e.user_id == friend.user_id and e.status_msg == "Away" for e in owner.presences),
    )
    same((await ok(owner.get_presence(friend.user_id))).status_msg, "Away", "status_msg")


async def account_data_and_tags():
    owner, _, room_id, _ = await pair()
    second = await another_device(owner, sync=True)
    prefix = f"/_matrix/client/v3/user/{owner.user_id}"
    status, _ = await owner.request("PUT", f"{prefix}/account_data/org.example.setting", {"on": True})
    same(status, 200, "PUT account_data")
    found = lambda: [e.content for e in second.account_data if getattr(e, "type", "") == "org.example.setting"]
    same(await until("the setting", found), [{"on": True}], "account data")
    same((await owner.request("PUT", f"{prefix}/rooms/{room_id}/tags/m.favourite", {"order": 0.5}))[0], 200, "PUT tag")
    tags = lambda: [e.tags for e in second.room_data if isinstance(e, nio.TagEvent)]
    same(await until("the tag", tags), [{"m.favourite": {"order": 0.5}}], "tags")


async def gap():
    """What a client that was away misses is a limited timeline, and /messages from prev_batch fills the gap."""
    owner, friend, room_id, _ = await pair()
    await friend.stop()
    since = friend.next_batch
    missed = [f"missed {i}" for i in range(40)]
    for body in missed:
        await say(owner, room_id, body)
    await ok(owner.room_put_state(room_id, "m.room.topic", {"topic": "while away"}))
    for i in range(12):
        await say(owner, room_id, f"late {i}")
    missed += [f"late {i}" for i in range(12)]
    answer = await ok(friend.sync(0, since=since, sync_filter={"room": {"timeline": {"limit": 10}}}))
    room = answer.rooms.join[room_id]
    expect(room.timeline.limited, "the timeline is not limited")
    same(len(room.timeline.events), 10, "events in the timeline")
    expect(any(isinstance(e, nio.RoomTopicEvent) for e in room.state), "the topic in the gap is not in state")
    late = [event.body for event in room.timeline.events]
    earlier = await all_texts(friend, room_id, 7, start=room.timeline.prev_batch)
    same([*earlier[::-1], *late], ["hello", *missed], "the gap filled")
    again = await ok(friend.sync(0, since=answer.next_batch))
    same(again.rooms.join, {}, "nothing is repeated")


async def resume():
    """A loop that is stopped and started again neither loses nor repeats."""
    owner, friend, room_id, _ = await pair()
    sent = ["hello"]
    for turn in range(4):
        await friend.stop()
        for i in range(5):
            sent.append(f"turn {turn} message {i}")
            await say(owner, room_id, sent[-1])
        friend.start(since=friend.next_batch)
        await until("what was missed", lambda: len(friend.texts(room_id)) >= len(sent))
    same(friend.texts(room_id), sent, "the timeline")


async def filters():
    owner, friend, room_id, _ = await pair()
    stored = await ok(friend.upload_filter(room={"timeline": {"limit": 3, "types": ["m.room.message"]}}))
    for i in range(5):
        await say(owner, room_id, f"message {i}")
    answer = await ok(friend.sync(0, stored.filter_id, full_state=True, since=""))
    del answer
    reader = await another_device(friend)
    first = await ok(reader.sync(0, stored.filter_id))
    texts = [event.body for event in first.rooms.join[room_id].timeline.events]
    same(texts, ["message 2", "message 3", "message 4"], "the filtered timeline")
    inline = await ok(reader.sync(0, {"room": {"rooms": ["!none:example.org"]}}))
    same(inline.rooms.join, {}, "rooms that the filter names")


async def lazy_members():
    owner = await user("lazy")
    friends = [await user("lazy") for _ in range(8)]
    room_id = await room_with(owner, friends, name="Named, so that /sync sends no heroes")
    for i in range(12):
        await say(friends[0], room_id, f"message {i}")
    lazy = {"room": {"state": {"lazy_load_members": True}, "timeline": {"limit": 5}}}
    first = (await ok(owner.sync(0, lazy))).rooms.join[room_id]
    members = {event.state_key for event in first.state if isinstance(event, nio.RoomMemberEvent)}
    expect(friends[0].user_id in members, "the sender's membership is missing")
    expect(len(members) <= 2, f"{len(members)} memberships for one sender")
    same(first.summary.joined_member_count, 9, "m.joined_member_count")
    reader = await another_device(owner)
    everyone = (await ok(reader.sync(0, {"room": {"timeline": {"limit": 5}}}))).rooms.join[room_id]
    members = {event.state_key for event in everyone.state if isinstance(event, nio.RoomMemberEvent)}
    same(len(members), 9, "members without lazy loading")


async def unsigned():
    owner = await user("unsigned", sync=True)
    room_id = await room_with(owner, [])
    content = {"msgtype": "m.text", "body": "mine"}
    await ok(owner.room_send(room_id, "m.room.message", content, tx_id="my-transaction"))
    await until("the message", lambda: owner.texts(room_id) == ["mine"])
    event = next(e for e in owner.timeline[room_id] if isinstance(e, nio.RoomMessageText))
    same(event.transaction_id, "my-transaction", "unsigned.transaction_id")
    await ok(owner.room_put_state(room_id, "m.room.topic", {"topic": "one"}))
    await ok(owner.room_put_state(room_id, "m.room.topic", {"topic": "two"}))
    second = await until(
        "the topic",
        lambda: next(
            (e for e in owner.timeline[room_id] if isinstance(e, nio.RoomTopicEvent) and e.topic == "two"), None
        ),
    )
    same(second.source["unsigned"].get("prev_content"), {"topic": "one"}, "unsigned.prev_content")
    json.dumps(second.source)


async def restart_from_token():
    """Any client may come back with an old token, on a new connection."""
    owner, friend, room_id, _ = await pair()
    since = friend.next_batch
    await say(owner, room_id, "later")
    reader = await another_device(friend)
    await start(reader, since=since)
    await until("what came after the token", lambda: reader.texts(room_id) == ["later"])


async def checks():
    await check("typing", typing)
    await check("receipts", receipts)
    await check("read markers", read_markers)
    await check("presence", presence)
    await check("account data and tags", account_data_and_tags)
    await check("a gap: limited, with state, filled by messages", gap)
    await check("a loop stopped and resumed", resume)
    await check("filters: stored and inline", filters)
    await check("lazy loading of members", lazy_members)
    await check("unsigned: transaction_id and prev_content", unsigned)
    await check("sync from an older token", restart_from_token)
