// Aliases, the room directory, and finding rooms in it.
import { check, expect, refused, roomWith, run, same, until, user } from "./harness.mjs";

export default async function directory() {
    await check("alias: create, resolve, join by it, list, delete", async () => {
        const owner = await user("owner", true);
        const [friend, stranger] = [await user("friend"), await user("stranger")];
        const { room_id: roomId } = await owner.createRoom({ preset: "public_chat" });
        const alias = `#ünïcode/alias+%25-${run}:${owner.getDomain()}`;
        await refused(friend.getRoomIdForAlias(alias), 404, "M_NOT_FOUND");
        await owner.createAlias(alias, roomId);
        same((await friend.getRoomIdForAlias(alias)).room_id, roomId, "room_id");
        await refused(owner.createAlias(alias, roomId), 409);
        await refused(stranger.createAlias(`#other-${run}:elsewhere.example`, roomId), [400, 403]);
        same((await friend.joinRoom(alias)).roomId, roomId, "join by alias");
        same((await owner.getLocalAliases(roomId)).aliases, [alias], "aliases");
        await refused(stranger.deleteAlias(alias), 403, "M_FORBIDDEN");
        await owner.sendStateEvent(roomId, "m.room.canonical_alias", { alias }, "");
        await until("the canonical alias", () => owner.getRoom(roomId)?.getCanonicalAlias() === alias);
        await refused(
            owner.sendStateEvent(roomId, "m.room.canonical_alias", { alias: `#none-${run}:${owner.getDomain()}` }, ""),
            400,
            "M_BAD_ALIAS",
        );
        await owner.deleteAlias(alias);
        await refused(friend.getRoomIdForAlias(alias), 404, "M_NOT_FOUND");
        await refused(owner.deleteAlias(alias), 404, "M_NOT_FOUND");
    });

    await check("alias: made with the room", async () => {
        const owner = await user("owner", true);
        const name = `with-room-${run}`;
        const { room_id: roomId } = await owner.createRoom({ preset: "public_chat", room_alias_name: name });
        const alias = `#${name}:${owner.getDomain()}`;
        await until("the canonical alias", () => owner.getRoom(roomId)?.getCanonicalAlias() === alias);
        same((await owner.getRoomIdForAlias(alias)).room_id, roomId, "room_id");
        await refused(owner.createRoom({ room_alias_name: name }), 400, "M_ROOM_IN_USE");
    });

    await check("directory: publish, find, page, hide", async () => {
        const owner = await user("owner");
        const friend = await user("friend");
        const rooms = [];
        for (let i = 0; i < 3; i += 1) {
            const { room_id: roomId } = await owner.createRoom({
                preset: "public_chat",
                visibility: "public",
                name: `Findable by js ${run} ${i}`,
                topic: `Topic ${i}`,
            });
            rooms.push(roomId);
        }
        await friend.joinRoom(rooms[1]);
        same((await friend.getRoomDirectoryVisibility(rooms[0])).visibility, "public", "visibility");
        const search = (options) =>
            friend.publicRooms({ filter: { generic_search_term: `findable by js ${run}` }, ...options });
        const found = await search({});
        same(found.chunk.map((room) => room.room_id).sort(), [...rooms].sort(), "found");
        const busiest = found.chunk.find((room) => room.room_id === rooms[1]);
        same(
            [busiest.name, busiest.topic, busiest.num_joined_members, busiest.world_readable, busiest.guest_can_join],
            [`Findable by js ${run} 1`, "Topic 1", 2, false, false],
            "the entry",
        );
        same(found.chunk[0].room_id, rooms[1], "the room with most members comes first");
        const paged = [];
        let since;
        do {
            const page = await search({ limit: 1, since });
            expect(page.chunk.length <= 1, `${page.chunk.length} rooms on a page of one`);
            paged.push(...page.chunk.map((room) => room.room_id));
            since = page.next_batch;
        } while (since && paged.length < 10);
        same(paged.sort(), [...rooms].sort(), "page by page");
        await refused(friend.setRoomDirectoryVisibility(rooms[0], "private"), 403, "M_FORBIDDEN");
        await owner.setRoomDirectoryVisibility(rooms[0], "private");
        same((await search({})).chunk.length, 2, "rooms left");
        const all = await friend.publicRooms({ limit: 5000 });
        expect(all.chunk.some((room) => room.room_id === rooms[1]), "not in the list without a search");
        const hidden = await roomWith(owner, []);
        expect(!all.chunk.some((room) => room.room_id === hidden), "a private room is listed");
    });
}
