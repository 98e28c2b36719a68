"""Invitations, joining, leaving, kicks, bans, knocking, forgetting, and history visibility."""

import nio
from harness import all_texts, check, expect, ok, refused, room_with, same, say, until, user


async def invite_and_join():
    owner = await user("owner", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [], name="Where to?")
    await refused(friend.join(room_id), "M_FORBIDDEN")
    await ok(owner.room_invite(room_id, friend.user_id))
    await until("the invitation", lambda: room_id in friend.invited_rooms)
    await until("the room's name", lambda: friend.invited_rooms[room_id].name == "Where to?")
    same(friend.invites[0][1].sender, owner.user_id, "inviter")
    await ok(friend.join(room_id))
    await until("the join", lambda: room_id in friend.rooms)
    await until("the owner's view", lambda: owner.membership(room_id, friend.user_id) == "join")


async def reject():
    owner = await user("owner", sync=True)
    friend = await user("friend", sync=True)
    room_id = (await ok(owner.room_create(invite=[friend.user_id]))).room_id
    await until("the invitation", lambda: room_id in friend.invited_rooms)
    await ok(friend.room_leave(room_id))
    await until("the rejection", lambda: owner.membership(room_id, friend.user_id) == "leave")
    await refused(friend.join(room_id), "M_FORBIDDEN")


async def kick_and_ban():
    owner = await user("owner", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [friend], preset=nio.RoomPreset.public_chat)
    await until("the join", lambda: room_id in friend.rooms)
    await refused(friend.room_kick(room_id, owner.user_id), "M_FORBIDDEN")
    await ok(owner.room_kick(room_id, friend.user_id, reason="enough"))
    await until("the kick", lambda: owner.membership(room_id, friend.user_id) == "leave")
    await until("the leave", lambda: room_id in friend.last_sync.rooms.leave or room_id not in friend.rooms)
    await ok(friend.join(room_id))
    await ok(owner.room_ban(room_id, friend.user_id, reason="noise"))
    await until("the ban", lambda: owner.membership(room_id, friend.user_id) == "ban")
    await refused(friend.join(room_id), ["M_FORBIDDEN", "M_BAD_STATE"])
    await refused(friend.room_send(room_id, "m.room.message", {"msgtype": "m.text", "body": "no"}), "M_FORBIDDEN")
    await ok(owner.room_unban(room_id, friend.user_id))
    await ok(friend.join(room_id))
    await until("back", lambda: owner.membership(room_id, friend.user_id) == "join")


async def knock():
    owner = await user("owner", sync=True)
    friend = await user("friend", sync=True)
    room_id = await room_with(owner, [], room_version="11")
    await refused(friend.room_knock(room_id), "M_FORBIDDEN")
    await until("the room", lambda: room_id in owner.rooms)
    await ok(owner.room_enable_knocking(room_id))
    await ok(friend.room_knock(room_id, reason="it is me"))
    await until("the knock", lambda: owner.membership(room_id, friend.user_id) == "knock")
    await ok(owner.room_invite(room_id, friend.user_id))
    await until("the invitation", lambda: room_id in friend.invited_rooms)
    await ok(friend.join(room_id))
    await until("the join", lambda: owner.membership(room_id, friend.user_id) == "join")


async def leave_and_forget():
    owner = await user("owner")
    friend = await user("friend")
    room_id = await room_with(owner, [friend])
    await say(owner, room_id, "remember")
    await refused(friend.room_forget(room_id))
    await ok(friend.room_leave(room_id))
    same(await all_texts(friend, room_id), ["remember"], "after leaving")
    await ok(friend.room_forget(room_id))
    await refused(friend.room_messages(room_id), "M_FORBIDDEN")


async def visibility():
    for setting, visible in (
        ("world_readable", ["before", "invited", "joined"]),
        ("shared", ["before", "invited", "joined"]),
        ("invited", ["invited", "joined"]),
        ("joined", ["joined"]),
    ):
        owner = await user("owner")
        friend = await user("friend")
        room_id = await room_with(owner, [])
        content = {"history_visibility": setting}
        await ok(owner.room_put_state(room_id, "m.room.history_visibility", content))
        await say(owner, room_id, "before")
        await ok(owner.room_invite(room_id, friend.user_id))
        await say(owner, room_id, "invited")
        await ok(friend.join(room_id))
        await say(owner, room_id, "joined")
        same(await all_texts(friend, room_id, 2), visible[::-1], setting)
        first = (await ok(friend.sync(0, full_state=True))).rooms.join[room_id].timeline
        texts = [event.body for event in first.events if isinstance(event, nio.RoomMessageText)]
        same(texts, visible, f"{setting}, by sync")
        await refused(friend.room_put_state(room_id, "m.room.history_visibility", content), "M_FORBIDDEN")


async def checks():
    await check("invite and join", invite_and_join)
    await check("reject an invitation", reject)
    await check("kick, ban, unban", kick_and_ban)
    await check("knock", knock)
    await check("leave and forget", leave_and_forget)
    await check("history visibility, edited to each setting", visibility)
