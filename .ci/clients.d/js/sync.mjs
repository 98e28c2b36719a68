// What /sync carries beside messages: typing, receipts, read markers, presence, account data, tags; lazy loading.
import * as sdk from "matrix-js-sdk";
import {
    anotherDevice,
    check,
    expect,
    refused,
    roomWith,
    same,
    text,
    timelineTexts,
    until,
    untilMembership,
    user,
} from "./harness.mjs";

/** Two users who sync, in one room, with one message from the first. */
async function pair() {
    const owner = await user("owner", true);
    const friend = await user("friend", true);
    const roomId = await roomWith(owner, [friend]);
    const { event_id: eventId } = await owner.sendMessage(roomId, text("hello"));
    const event = await until("the message", () => friend.getRoom(roomId)?.findEventById(eventId));
    await untilMembership(owner, roomId, friend.getUserId(), "join");
    return { owner, friend, roomId, event, eventId };
}

export default async function sync() {
    await check("typing", async () => {
        const { owner, friend, roomId } = await pair();
        const typing = () => owner.getRoom(roomId).getMember(friend.getUserId()).typing;
        await friend.sendTyping(roomId, true, 30_000);
        await until("typing", typing);
        await friend.sendTyping(roomId, false, 0);
        await until("no typing", () => !typing());
        await friend.sendTyping(roomId, true, 300);
        await until("typing again", typing);
        await until("typing times out", () => !typing());
        await refused((await user("stranger")).sendTyping(roomId, true, 1000), 403, "M_FORBIDDEN");
    });

    await check("read receipts, public and private", async () => {
        const { owner, friend, roomId, event, eventId } = await pair();
        await friend.sendReadReceipt(event);
        await until("the receipt", () => owner.getRoom(roomId).getEventReadUpTo(friend.getUserId(), true) === eventId);
        const { event_id: second } = await owner.sendMessage(roomId, text("again"));
        const later = await until("the second message", () => friend.getRoom(roomId).findEventById(second));
        const third = await anotherDevice(friend, true);
        await friend.sendReadReceipt(later, "m.read.private");
        const ownReceipt = () =>
            third.getRoom(roomId)?.getReadReceiptForUserId(friend.getUserId(), true, "m.read.private")?.eventId;
        await until("the private receipt on my other device", () => ownReceipt() === second);
        await friend.sendMessage(roomId, text("marker"));
        await until("the marker", () => timelineTexts(owner, roomId).includes("marker"));
        const seen = owner.getRoom(roomId).getReadReceiptForUserId(friend.getUserId(), true, "m.read.private");
        expect(!seen, "a private receipt reached another user");
    });

    await check("read markers", async () => {
        const { friend, roomId, event, eventId, owner } = await pair();
        await friend.setRoomReadMarkers(roomId, eventId, event);
        const marker = () => friend.getRoom(roomId).getAccountData("m.fully_read")?.getContent().event_id;
        await until("m.fully_read", () => marker() === eventId);
        await until("the receipt", () => owner.getRoom(roomId).getEventReadUpTo(friend.getUserId(), true) === eventId);
    });

    await check("presence", async () => {
        const { owner, friend } = await pair();
        await friend.setPresence({ presence: "unavailable", status_msg: "Away" });
        await until("presence", () => owner.getUser(friend.getUserId())?.presenceStatusMsg === "Away");
        const status = await owner.getPresence(friend.getUserId());
        same(status.status_msg, "Away", "status_msg");
        expect(["unavailable", "online"].includes(status.presence), `presence is ${status.presence}`);
        await refused(
            owner.http.authedRequest("PUT", `/presence/${encodeURIComponent(friend.getUserId())}/status`, undefined, {
                presence: "online",
            }),
            403,
        );
    });

    await check("account data: global and per room, on another device too", async () => {
        const { owner, roomId } = await pair();
        const second = await anotherDevice(owner, true);
        await owner.setAccountData("org.example.setting", { on: true });
        await until("the setting", () => second.getAccountData("org.example.setting")?.getContent().on === true);
        const unsynced = await anotherDevice(owner);
        same(await unsynced.getAccountDataFromServer("org.example.setting"), { on: true }, "read back");
        await owner.setAccountData("org.example.setting", { on: false });
        await until("the change", () => second.getAccountData("org.example.setting")?.getContent().on === false);
        await owner.setRoomAccountData(roomId, "org.example.room", { pinned: 3 });
        const inRoom = () => second.getRoom(roomId)?.getAccountData("org.example.room")?.getContent().pinned;
        await until("the room's account data", () => inRoom() === 3);
        await refused(
            owner.http.authedRequest("GET", `/user/${encodeURIComponent(owner.getUserId())}/account_data/org.example.no`),
            404,
            "M_NOT_FOUND",
        );
        const third = await anotherDevice(owner, true);
        same(third.getAccountData("org.example.setting")?.getContent(), { on: false }, "in a first sync");
    });

    await check("tags", async () => {
        const { owner, roomId } = await pair();
        await owner.setRoomTag(roomId, "m.favourite", { order: 0.25 });
        await until("the tag", () => owner.getRoom(roomId).tags["m.favourite"]?.order === 0.25);
        await owner.setRoomTag(roomId, "u.work", {});
        same(Object.keys((await owner.getRoomTags(roomId)).tags).sort(), ["m.favourite", "u.work"], "tags");
        await owner.deleteRoomTag(roomId, "m.favourite");
        await until("the deletion", () => !owner.getRoom(roomId).tags["m.favourite"]);
        same(Object.keys((await owner.getRoomTags(roomId)).tags), ["u.work"], "tags left");
    });

    await check("filters: store, read back, refuse nonsense", async () => {
        const owner = await user("filters");
        const definition = { room: { timeline: { limit: 3, types: ["m.room.message"] } } };
        const { filterId } = await owner.createFilter(definition);
        const stored = await owner.getFilter(owner.getUserId(), filterId, false);
        same(stored.getDefinition(), definition, "the filter");
        await refused(owner.getFilter(owner.getUserId(), "999999", false), 404, "M_NOT_FOUND");
        await refused(owner.createFilter({ room: { timeline: { types: "m.room.message" } } }), 400);
    });

    await check("filters: only what the filter lets through, and the sync goes on", async () => {
        const { owner, friend, roomId } = await pair();
        const reader = await anotherDevice(friend, {
            filter: sdk.Filter.fromJson(friend.getUserId(), "", {
                room: { timeline: { types: ["org.example.wanted"], limit: 10 } },
            }),
        });
        await owner.sendMessage(roomId, text("not wanted"));
        await owner.sendEvent(roomId, "org.example.wanted", { n: 1 });
        const events = () => reader.getRoom(roomId).getLiveTimeline().getEvents();
        await until("the wanted event", () => events().some((event) => event.getType() === "org.example.wanted"));
        same(timelineTexts(reader, roomId), [], "unwanted messages");
    });

    await check("lazy loading: senders first, everyone when asked", async () => {
        const owner = await user("lazy");
        const friends = [];
        for (let i = 0; i < 5; i += 1) friends.push(await user("lazy"));
        const roomId = await roomWith(owner, friends, { name: "Named, so that /sync sends no heroes" });
        for (let i = 0; i < 12; i += 1) await friends[0].sendMessage(roomId, text(`message ${i}`));
        const reader = await anotherDevice(owner, { lazyLoadMembers: true, initialSyncLimit: 5 });
        const room = await until("the room", () => reader.getRoom(roomId));
        same(room.getJoinedMemberCount(), 6, "the summary's member count");
        const known = friends.filter((friend) => room.getMember(friend.getUserId())?.events.member);
        expect(known.includes(friends[0]), "the sender's membership is missing");
        expect(known.length < 5, "every membership was sent");
        await friends[3].sendMessage(roomId, text("from a silent one"));
        await until("the new sender", () => room.getMember(friends[3].getUserId())?.events.member);
        await room.loadMembersIfNeeded();
        same(room.getJoinedMembers().length, 6, "members after loading");
    });

    await check("a waiting sync brings each room joined and left", async () => {
        const { owner, friend } = await pair();
        for (let i = 0; i < 5; i += 1) {
            const roomId = await roomWith(owner, [friend], { name: `Room ${i}` });
            await until("the room", () => friend.getRoom(roomId)?.name === `Room ${i}`);
            await friend.leave(roomId);
            await until("the leave", () => friend.getRoom(roomId).getMyMembership() === "leave");
        }
    });
}
