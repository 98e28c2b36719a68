"""Both SDKs' clients in one room: they answer each other, then talk at once, and must agree on the order.

The other side is ../js/meeting.mjs.
"""

import asyncio

import nio
from harness import RUN, Failure, check, ok, same, say, start, until, user

TURNS = 10
BURST = 20


async def meet():
    client = await user("meeting")
    alias = f"#meeting-{RUN}:{client.domain}"
    for _ in range(100):
        if not isinstance(found := await client.room_resolve_alias(alias), nio.RoomResolveAliasError):
            break
        await asyncio.sleep(0.2)
    else:
        raise Failure("the other client made no room")
    room_id = found.room_id
    await ok(client.join(alias))
    # The timeline of the first sync holds what was said before; callbacks for it come in order too.
    await start(client, sync_filter={"room": {"timeline": {"limit": 100}}})
    messages = lambda: [e for e in client.timeline.get(room_id, []) if isinstance(e, nio.RoomMessageText)]
    for turn in range(TURNS):
        await until(f"the other's turn {turn}", lambda: f"js turn {turn}" in client.texts(room_id))
        await say(client, room_id, f"nio turn {turn}")
    for i in range(BURST):
        await say(client, room_id, f"nio burst {i}")
    await until("the whole burst", lambda: len(messages()) == 2 * (TURNS + BURST))
    order = [event.event_id for event in messages()]
    await ok(client.room_send(room_id, "org.example.order", {"order": order}))
    other = await until(
        "the other's order",
        lambda: next(
            (e for e in client.timeline[room_id]
             if e.source["type"] == "org.example.order" and e.sender != client.user_id), None,
        ),
    )
    same(other.source["content"]["order"], order, "the order that the other saw")


async def checks():
    await check("meeting: both SDKs take turns and agree on the order of a burst", meet)
