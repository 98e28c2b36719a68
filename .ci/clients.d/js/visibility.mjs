// History visibility: judged at each event, for each viewer.
import { allTexts, check, expect, refused, roomWith, same, text, user } from "./harness.mjs";

const rule = (historyVisibility) => ({ history_visibility: historyVisibility });

export default async function visibility() {
    const cases = [
        ["world_readable", ["before", "invited", "joined"]],
        ["shared", ["before", "invited", "joined"]],
        ["invited", ["invited", "joined"]],
        ["joined", ["joined"]],
    ];
    for (const [setting, visible] of cases) {
        await check(`history visibility: ${setting}`, async () => {
            const owner = await user("owner");
            const [friend, stranger] = [await user("friend"), await user("stranger")];
            const { room_id: roomId } = await owner.createRoom({
                preset: "private_chat",
                initial_state: [{ type: "m.room.history_visibility", state_key: "", content: rule(setting) }],
            });
            const { event_id: early } = await owner.sendMessage(roomId, text("before"));
            await owner.invite(roomId, friend.getUserId());
            await owner.sendMessage(roomId, text("invited"));
            await friend.joinRoom(roomId);
            await owner.sendMessage(roomId, text("joined"));
            for (const limit of [2, 50]) same((await allTexts(friend, roomId, limit)).texts, visible, `pages of ${limit}`);
            if (visible.includes("before")) await friend.fetchRoomEvent(roomId, early);
            else await refused(friend.fetchRoomEvent(roomId, early), [403, 404]);
            if (setting === "world_readable") {
                same((await allTexts(stranger, roomId)).texts, visible, "a stranger's view");
                expect((await stranger.roomState(roomId)).length > 4, "the state is not readable");
            } else {
                await refused(stranger.createMessagesRequest(roomId, null, 10, "b"), 403, "M_FORBIDDEN");
            }
            if (setting === "world_readable") return;
            await friend.leave(roomId);
            await owner.sendMessage(roomId, text("left"));
            same((await allTexts(friend, roomId)).texts, visible, "after leaving");
        });
    }

    await check("history visibility: an edit does not change what was sent before", async () => {
        const owner = await user("owner");
        const friend = await user("friend");
        const roomId = await roomWith(owner, []);
        const change = (setting) => owner.sendStateEvent(roomId, "m.room.history_visibility", rule(setting), "");
        await owner.sendMessage(roomId, text("while shared"));
        await change("joined");
        await owner.sendMessage(roomId, text("while joined"));
        await change("shared");
        await owner.sendMessage(roomId, text("shared again"));
        await change("invited");
        await owner.sendMessage(roomId, text("while invited, before"));
        await owner.invite(roomId, friend.getUserId());
        await owner.sendMessage(roomId, text("while invited, after"));
        await friend.joinRoom(roomId);
        for (const limit of [1, 50]) {
            same(
                (await allTexts(friend, roomId, limit)).texts,
                ["while shared", "shared again", "while invited, after"],
                `pages of ${limit}`,
            );
        }
        const stranger = await user("stranger");
        await change("world_readable");
        await owner.sendMessage(roomId, text("for the world"));
        same((await allTexts(stranger, roomId)).texts, ["for the world"], "a stranger's view");
        await refused(friend.sendStateEvent(roomId, "m.room.history_visibility", rule("shared"), ""), 403);
    });

    await check("membership at the event is told in unsigned", async () => {
        const owner = await user("owner");
        const friend = await user("friend");
        const roomId = await roomWith(owner, []);
        await owner.sendMessage(roomId, text("before"));
        await owner.invite(roomId, friend.getUserId());
        await owner.sendMessage(roomId, text("invited"));
        await friend.joinRoom(roomId);
        await owner.sendMessage(roomId, text("joined"));
        const { chunk } = await friend.createMessagesRequest(roomId, null, 50, "b");
        const memberships = chunk
            .filter((event) => event.type === "m.room.message")
            .map((event) => [event.content.body, event.unsigned?.membership ?? null]);
        same(
            memberships,
            [
                ["joined", "join"],
                ["invited", "invite"],
                ["before", "leave"],
            ],
            "memberships",
        );
    });
}
