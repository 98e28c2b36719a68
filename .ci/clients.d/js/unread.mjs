// How much is unread, as /sync tells it and the SDK counts it; and room upgrades, which notify, too.
import { anotherDevice, check, roomWith, same, text, until, user } from "./harness.mjs";

/** A room of two, and another device of the second user's, which is told what is unread. */
async function readers() {
    const owner = await user("owner");
    const friend = await user("friend", true);
    const roomId = await roomWith(owner, [friend]);
    const device = await anotherDevice(friend, true);
    await until("the room", () => device.getRoom(roomId));
    const unread = () => ["total", "highlight"].map((kind) => device.getRoom(roomId).getUnreadNotificationCount(kind));
    const untilUnread = async (what, total, highlight) => {
        try {
            await until("", () => `${unread()}` === `${[total, highlight]}`);
        } catch {
            same(unread(), [total, highlight], `unread ${what}`);
        }
    };
    const receive = (eventId) => until("the event", () => friend.getRoom(roomId).findEventById(eventId));
    return { owner, friend, roomId, device, untilUnread, receive };
}

export default async function unread() {
    await check("unread: messages and mentions count until they are read", async () => {
        const { owner, friend, roomId, untilUnread, receive } = await readers();
        await owner.sendMessage(roomId, text("one"));
        const mention = { ...text("friend!"), "m.mentions": { user_ids: [friend.getUserId()] } };
        const { event_id: second } = await owner.sendMessage(roomId, mention);
        await untilUnread("with a mention", 2, 1);
        await friend.sendReadReceipt(await receive(second));
        await untilUnread("after a receipt from another device", 0, 0);
        const { event_id: third } = await owner.sendMessage(roomId, text("three"));
        await untilUnread("after another message", 1, 0);
        await friend.sendReadReceipt(await receive(third), "m.read.private");
        await untilUnread("after a private receipt", 0, 0);
        const { event_id: fourth } = await owner.sendMessage(roomId, mention);
        await untilUnread("before it is redacted", 1, 1);
        await owner.redactEvent(roomId, fourth);
        await untilUnread("after it was redacted", 0, 0);
        await owner.sendMessage(roomId, text("five"));
        await untilUnread("before an answer", 1, 0);
        await friend.sendMessage(roomId, text("six"));
        await untilUnread("after an answer", 0, 0);
    });

    await check("unread: threads count apart", async () => {
        const { owner, friend, roomId, device, receive } = await readers();
        const { event_id: root } = await owner.sendMessage(roomId, text("root"));
        const relation = { "m.relates_to": { rel_type: "m.thread", event_id: root } };
        const { event_id: inThread } = await owner.sendMessage(roomId, { ...text("in the thread"), ...relation });
        const counts = () => {
            const room = device.getRoom(roomId);
            return [room.getRoomUnreadNotificationCount("total"), room.getThreadUnreadNotificationCount(root, "total")];
        };
        await until("both counts", () => `${counts()}` === "1,1");
        await receive(inThread);
        const path = `/rooms/${encodeURIComponent(roomId)}/receipt/m.read/${encodeURIComponent(inThread)}`;
        await friend.http.authedRequest("POST", path, undefined, { thread_id: root });
        await until("the thread to be read", () => `${counts()}` === "1,0");
        await friend.http.authedRequest("POST", path, undefined, {});
        await until("everything to be read", () => `${counts()}` === "0,0");
    });

    await check("unread: a muted room counts nothing", async () => {
        const { owner, friend, roomId, untilUnread } = await readers();
        await owner.sendMessage(roomId, text("one"));
        await untilUnread("before", 1, 0);
        await friend.addPushRule("global", "room", roomId, { actions: [] });
        await untilUnread("once the room is muted", 0, 0);
        await friend.deletePushRule("global", "room", roomId);
        await untilUnread("once it is not", 1, 0);
    });

    await check("upgrade a room", async () => {
        const { owner, friend, roomId, untilUnread } = await readers();
        await owner.setRoomName(roomId, "Tea");
        const { replacement_room: next } = await owner.upgradeRoom(roomId, "11");
        await untilUnread("with a tombstone", 1, 1);
        const tombstone = await friend.getStateEvent(roomId, "m.room.tombstone", "");
        same(tombstone.replacement_room, next, "replacement_room");
        const create = await owner.getStateEvent(next, "m.room.create", "");
        same([create.room_version, create.predecessor.room_id], ["11", roomId], "the new room");
        same((await owner.getStateEvent(next, "m.room.name", "")).name, "Tea", "its name");
    });
}
