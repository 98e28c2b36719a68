// Room creation, sending, edits, redactions, state, messages and context.
import {
    allTexts,
    anonymous,
    anotherDevice,
    check,
    expect,
    refused,
    roomWith,
    run,
    same,
    text,
    timelineTexts,
    until,
    untilMembership,
    user,
} from "./harness.mjs";

const content = (client, roomId, type, stateKey = "") =>
    client.getRoom(roomId)?.currentState.getStateEvents(type, stateKey)?.getContent();

export default async function rooms() {
    const presets = [
        ["private_chat", "invite", "shared", "can_join"],
        ["trusted_private_chat", "invite", "shared", "can_join"],
        ["public_chat", "public", "shared", "forbidden"],
    ];
    for (const [preset, joinRule, historyVisibility, guestAccess] of presets) {
        await check(`create: ${preset}`, async () => {
            const owner = await user("create", true);
            const friend = await user("friend");
            const { room_id: roomId } = await owner.createRoom({
                preset,
                name: "A name",
                topic: "A topic",
                invite: [friend.getUserId()],
                room_version: "11",
            });
            await until("the room's name", () => content(owner, roomId, "m.room.name"));
            same(content(owner, roomId, "m.room.name"), { name: "A name" }, "name");
            same(content(owner, roomId, "m.room.topic").topic, "A topic", "topic");
            same(content(owner, roomId, "m.room.join_rules").join_rule, joinRule, "join rule");
            same(
                content(owner, roomId, "m.room.history_visibility").history_visibility,
                historyVisibility,
                "history visibility",
            );
            const guests = content(owner, roomId, "m.room.guest_access")?.guest_access ?? "forbidden";
            same(guests, guestAccess, "guest access");
            await untilMembership(owner, roomId, friend.getUserId(), "invite");
            const { users } = content(owner, roomId, "m.room.power_levels");
            same(users[owner.getUserId()], 100, "the creator's power");
            same(users[friend.getUserId()], preset === "trusted_private_chat" ? 100 : undefined, "the guest's power");
        });
    }

    await check("create: every room version", async () => {
        const owner = await user("versions", true);
        const friend = await user("friend", true);
        const { available } = (await owner.getCapabilities())["m.room_versions"];
        for (let version = 1; version <= 12; version += 1) {
            if (available[version] === undefined) throw new Error(`room version ${version} is not offered`);
            const roomId = await roomWith(owner, [friend], { room_version: String(version) });
            await friend.sendMessage(roomId, text(`in version ${version}`));
            await until(`version ${version}`, () => timelineTexts(owner, roomId).length === 1);
            const creation = content(owner, roomId, "m.room.create");
            same(creation.room_version ?? "1", String(version), "m.room.create room_version");
            same(/:/.test(roomId), version < 12, `${roomId} has a domain`);
        }
        await refused(owner.createRoom({ room_version: "no such version" }), 400, "M_UNSUPPORTED_ROOM_VERSION");
    });

    await check("create: initial state, power levels, creation content, type, direct", async () => {
        const owner = await user("options", true);
        const friend = await user("friend", true);
        const { room_id: roomId } = await owner.createRoom({
            preset: "private_chat",
            room_version: "11",
            is_direct: true,
            invite: [friend.getUserId()],
            creation_content: { type: "m.space", "m.federate": false },
            initial_state: [{ type: "org.example.state", state_key: "key", content: { value: 1 } }],
            power_level_content_override: { events_default: 50, events: { "m.room.name": 75 } },
        });
        await until("the room", () => content(owner, roomId, "org.example.state", "key"));
        same(content(owner, roomId, "org.example.state", "key"), { value: 1 }, "initial state");
        const creation = content(owner, roomId, "m.room.create");
        same([creation.type, creation["m.federate"]], ["m.space", false], "creation content");
        const power = content(owner, roomId, "m.room.power_levels");
        same([power.events_default, power.events["m.room.name"]], [50, 75], "power levels");
        same(power.users[owner.getUserId()], 100, "the creator's power");
        await untilMembership(friend, roomId, friend.getUserId(), "invite");
        same(friend.getRoom(roomId).getDMInviter(), owner.getUserId(), "the invitation is direct");
    });

    await check("create: additional creators in version 12", async () => {
        const owner = await user("creators", true);
        const friend = await user("friend");
        const { room_id: roomId } = await owner.createRoom({
            preset: "private_chat",
            room_version: "12",
            invite: [friend.getUserId()],
            creation_content: { additional_creators: [friend.getUserId()] },
        });
        await friend.joinRoom(roomId);
        await friend.setRoomName(roomId, "Named by the other creator");
        await until("the name", () => content(owner, roomId, "m.room.name")?.name === "Named by the other creator");
        same(content(owner, roomId, "m.room.power_levels")?.users?.[friend.getUserId()], undefined, "listed power");
    });

    await check("send: the other sees it, the sender sees it once", async () => {
        const owner = await user("send", true);
        const friend = await user("friend", true);
        const roomId = await roomWith(owner, [friend]);
        await untilMembership(owner, roomId, friend.getUserId(), "join");
        await until("the room", () => friend.getRoom(roomId)?.getMyMembership() === "join");
        const texts = Array.from({ length: 10 }, (_, i) => `message ${i}`);
        for (const body of texts) await owner.sendTextMessage(roomId, body);
        await until("ten messages", () => timelineTexts(friend, roomId).length >= 10);
        same(timelineTexts(friend, roomId), texts, "the friend's timeline");
        const echoed = () =>
            owner
                .getRoom(roomId)
                .getLiveTimeline()
                .getEvents()
                .filter((event) => event.getType() === "m.room.message" && event.status === null);
        await until("ten echoes", () => echoed().length === 10);
        same(timelineTexts(owner, roomId), texts, "the sender's timeline");
        for (const event of echoed()) {
            expect(event.getUnsigned().transaction_id, "no unsigned.transaction_id for the sender");
            expect(event.getAge() >= 0, "no unsigned.age");
        }
    });

    await check("send: a transaction ID is sent once per device", async () => {
        const owner = await user("transaction");
        const second = await anotherDevice(owner);
        const roomId = await roomWith(owner, []);
        const send = (client, body) => client.sendEvent(roomId, "m.room.message", text(body), `txn-${run}`);
        const first = await send(owner, "once");
        same((await send(owner, "again")).event_id, first.event_id, "the same event");
        const other = await send(second, "from another device");
        expect(other.event_id !== first.event_id, "devices share transaction IDs");
        same((await allTexts(owner, roomId)).texts, ["once", "from another device"], "texts");
    });

    await check("send: refused to strangers, by power and for unknown rooms", async () => {
        const owner = await user("owner");
        const stranger = await user("stranger");
        const member = await user("member");
        const roomId = await roomWith(owner, [member]);
        await refused(stranger.sendMessage(roomId, text("hello?")), 403, "M_FORBIDDEN");
        await refused(member.setRoomName(roomId, "not yours"), 403, "M_FORBIDDEN");
        await refused(stranger.sendMessage(`!nowhere:${owner.getDomain()}`, text("hello?")), [403, 404]);
    });

    await check("send: events over 64 KiB are too large", async () => {
        const owner = await user("large");
        const roomId = await roomWith(owner, []);
        await refused(owner.sendMessage(roomId, text("x".repeat(70_000))), 413, "M_TOO_LARGE");
    });

    await check("edit a message", async () => {
        const owner = await user("edit", true);
        const friend = await user("friend", true);
        const roomId = await roomWith(owner, [friend]);
        const { event_id: eventId } = await owner.sendMessage(roomId, text("first"));
        await owner.sendMessage(roomId, {
            ...text("* second"),
            "m.new_content": text("second"),
            "m.relates_to": { rel_type: "m.replace", event_id: eventId },
        });
        const event = await until("the message", () => friend.getRoom(roomId)?.findEventById(eventId));
        await until("the edit", () => event.getContent().body === "second");
    });

    await check("redact a message", async () => {
        const owner = await user("redact", true);
        const friend = await user("friend", true);
        const roomId = await roomWith(owner, [friend]);
        const { event_id: eventId } = await friend.sendMessage(roomId, text("regretted"));
        const event = await until("the message", () => owner.getRoom(roomId)?.findEventById(eventId));
        await owner.redactEvent(roomId, eventId, undefined, { reason: "because" });
        await until("the redaction", () => event.isRedacted());
        const stored = await friend.fetchRoomEvent(roomId, eventId);
        same(stored.content, {}, "the redacted content");
        same(stored.unsigned?.redacted_because?.content?.reason, "because", "redacted_because");
        same(stored.unsigned.redacted_because.sender, owner.getUserId(), "who redacted");
        const { event_id: other } = await owner.sendMessage(roomId, text("not yours"));
        await refused(friend.redactEvent(roomId, other), 403, "M_FORBIDDEN");
    });

    await check("state: set, read, list", async () => {
        const owner = await user("state", true);
        const roomId = await roomWith(owner, []);
        await owner.sendStateEvent(roomId, "org.example.thing", { size: 3 }, "a key/with ünïcode");
        same(await owner.getStateEvent(roomId, "org.example.thing", "a key/with ünïcode"), { size: 3 }, "state event");
        await refused(owner.getStateEvent(roomId, "org.example.thing", "none"), 404, "M_NOT_FOUND");
        await owner.setRoomTopic(roomId, "Changed");
        await until("the topic", () => content(owner, roomId, "m.room.topic")?.topic === "Changed");
        const state = await owner.roomState(roomId);
        const keys = state.map((event) => `${event.type}/${event.state_key}`);
        same(new Set(keys).size, keys.length, "distinct keys");
        expect(keys.includes("org.example.thing/a key/with ünïcode"), "the state event is not listed");
        const stranger = await user("stranger");
        await refused(stranger.roomState(roomId), 403, "M_FORBIDDEN");
    });

    await check("members and joined rooms", async () => {
        const owner = await user("members");
        const [joined, invited] = [await user("joined"), await user("invited")];
        const roomId = await roomWith(owner, [joined]);
        await owner.invite(roomId, invited.getUserId());
        const ids = (events) => events.map((event) => event.state_key).sort();
        const everyone = [owner, joined, invited].map((client) => client.getUserId()).sort();
        same(ids((await owner.members(roomId)).chunk), everyone, "members");
        same(ids((await owner.members(roomId, "invite")).chunk), [invited.getUserId()], "invited members");
        same(
            Object.keys((await owner.getJoinedRoomMembers(roomId)).joined).sort(),
            [owner, joined].map((client) => client.getUserId()).sort(),
            "joined members",
        );
        same((await joined.getJoinedRooms()).joined_rooms, [roomId], "joined rooms");
        same((await invited.getJoinedRooms()).joined_rooms, [], "joined rooms of the invited");
    });

    await check("messages: pages without gap or repeat, both ways", async () => {
        const owner = await user("messages");
        const roomId = await roomWith(owner, []);
        const sent = Array.from({ length: 45 }, (_, i) => `message ${i}`);
        for (const body of sent) await owner.sendMessage(roomId, text(body));
        for (const limit of [7, 50]) {
            const { texts, pages } = await allTexts(owner, roomId, limit);
            same(texts, sent, `pages of ${limit}`);
            expect(pages >= 45 / limit, `${pages} pages of ${limit}`);
        }
        // Forwards from the oldest token, with a filter.
        const forwards = [];
        let page = await owner.createMessagesRequest(roomId, null, 100, "f");
        while (page.chunk.length > 0) {
            forwards.push(...page.chunk.filter((event) => event.type === "m.room.message"));
            if (!page.end) break;
            page = await owner.createMessagesRequest(roomId, page.end, 20, "f");
        }
        same(forwards.map((event) => event.content.body), sent, "forwards");
    });

    await check("messages: the SDK scrolls a limited timeline back to the beginning", async () => {
        const owner = await user("scroll");
        const roomId = await roomWith(owner, []);
        const sent = Array.from({ length: 30 }, (_, i) => `message ${i}`);
        for (const body of sent) await owner.sendMessage(roomId, text(body));
        const reader = await anotherDevice(owner, { initialSyncLimit: 5 });
        const room = await until("the room", () => reader.getRoom(roomId));
        same(timelineTexts(reader, roomId), sent.slice(-5), "the limited timeline");
        for (let i = 0; i < 20 && room.oldState.paginationToken; i += 1) await reader.scrollback(room, 8);
        same(timelineTexts(reader, roomId), sent, "the whole timeline");
        same(room.getLiveTimeline().getEvents()[0].getType(), "m.room.create", "the first event");
    });

    await check("context: a timeline around an event, extended both ways", async () => {
        const owner = await user("context");
        const roomId = await roomWith(owner, []);
        const ids = [];
        const sent = Array.from({ length: 40 }, (_, i) => `message ${i}`);
        for (const body of sent) ids.push((await owner.sendMessage(roomId, text(body))).event_id);
        const reader = await anotherDevice(owner, { initialSyncLimit: 3 });
        const room = await until("the room", () => reader.getRoom(roomId));
        const timeline = await reader.getEventTimeline(room.getUnfilteredTimelineSet(), ids[20]);
        const bodies = () =>
            timeline
                .getEvents()
                .filter((event) => event.getType() === "m.room.message")
                .map((event) => event.getContent().body);
        expect(bodies().includes("message 20"), "the event is not in its context");
        for (const backwards of [true, false]) {
            await reader.paginateEventTimeline(timeline, { backwards, limit: 6 });
        }
        const first = sent.indexOf(bodies()[0]);
        same(bodies(), sent.slice(first, first + bodies().length), "consecutive messages");
        expect(bodies().length >= 10, `only ${bodies().length} messages`);
        await refused(reader.getEventContext(roomId, "$nothing"), 404);
    });

    await check("a single event", async () => {
        const owner = await user("event");
        const stranger = await user("stranger");
        const roomId = await roomWith(owner, []);
        const { event_id: eventId } = await owner.sendMessage(roomId, text("here"));
        const event = await owner.fetchRoomEvent(roomId, eventId);
        same([event.event_id, event.room_id, event.sender], [eventId, roomId, owner.getUserId()], "the event");
        await refused(stranger.fetchRoomEvent(roomId, eventId), [403, 404]);
        await refused(anonymous.fetchRoomEvent(roomId, eventId), 401, "M_MISSING_TOKEN");
    });
}
