// Invitations, joining and leaving, kicks and bans, knocking, restricted rooms, forgetting.
import {
    allTexts,
    check,
    expect,
    refused,
    roomWith,
    same,
    startSync,
    text,
    timelineTexts,
    until,
    untilMembership,
    user,
} from "./harness.mjs";

export default async function membership() {
    await check("invite, see the invitation, join", async () => {
        const owner = await user("owner", true);
        const friend = await user("friend", true);
        const { room_id: roomId } = await owner.createRoom({ preset: "private_chat", name: "Where to?" });
        await refused(friend.joinRoom(roomId), 403, "M_FORBIDDEN");
        await owner.invite(roomId, friend.getUserId(), { reason: "come in" });
        await untilMembership(friend, roomId, friend.getUserId(), "invite");
        const room = friend.getRoom(roomId);
        same(room.getMyMembership(), "invite", "my membership");
        await until("the name in the stripped state", () => room.name === "Where to?");
        await friend.joinRoom(roomId);
        await until("the join", () => room.getMyMembership() === "join");
        await untilMembership(owner, roomId, friend.getUserId(), "join");
        await friend.joinRoom(roomId);
        await refused(owner.invite(roomId, friend.getUserId()), 403, "M_FORBIDDEN");
    });

    await check("invite: rejected, withdrawn, only by members", async () => {
        const owner = await user("owner", true);
        const friend = await user("friend", true);
        const stranger = await user("stranger");
        const { room_id: roomId } = await owner.createRoom({ preset: "private_chat", invite: [friend.getUserId()] });
        await untilMembership(friend, roomId, friend.getUserId(), "invite");
        await friend.leave(roomId);
        await untilMembership(owner, roomId, friend.getUserId(), "leave");
        await until("my leave", () => friend.getRoom(roomId)?.getMyMembership() !== "invite");
        await owner.invite(roomId, friend.getUserId());
        await until("the second invitation", () => friend.getRoom(roomId)?.getMyMembership() === "invite");
        await owner.kick(roomId, friend.getUserId());
        await until("the withdrawal", () => friend.getRoom(roomId)?.getMyMembership() === "leave");
        await refused(friend.joinRoom(roomId), 403, "M_FORBIDDEN");
        await refused(stranger.invite(roomId, friend.getUserId()), 403, "M_FORBIDDEN");
    });

    await check("join a public room and leave it", async () => {
        const owner = await user("owner", true);
        const friend = await user("friend", true);
        const { room_id: roomId } = await owner.createRoom({ preset: "public_chat" });
        await friend.joinRoom(roomId);
        await until("the join", () => friend.getRoom(roomId)?.getMyMembership() === "join");
        await friend.leave(roomId);
        await until("the leave", () => friend.getRoom(roomId)?.getMyMembership() === "leave");
        await untilMembership(owner, roomId, friend.getUserId(), "leave");
        await refused(friend.sendMessage(roomId, text("still here?")), 403, "M_FORBIDDEN");
        await friend.joinRoom(roomId);
        await untilMembership(owner, roomId, friend.getUserId(), "join");
    });

    await check("kick with a reason", async () => {
        const owner = await user("owner", true);
        const friend = await user("friend", true);
        const roomId = await roomWith(owner, [friend]);
        await untilMembership(friend, roomId, friend.getUserId(), "join");
        await refused(friend.kick(roomId, owner.getUserId()), 403, "M_FORBIDDEN");
        await owner.kick(roomId, friend.getUserId(), "enough");
        await until("the kick", () => friend.getRoom(roomId)?.getMyMembership() === "leave");
        await untilMembership(owner, roomId, friend.getUserId(), "leave");
        const kick = owner.getRoom(roomId).getMember(friend.getUserId()).events.member;
        same([kick.getContent().reason, kick.getSender()], ["enough", owner.getUserId()], "the kick");
        await refused(friend.joinRoom(roomId), 403, "M_FORBIDDEN");
    });

    await check("ban and unban", async () => {
        const owner = await user("owner", true);
        const friend = await user("friend", true);
        const { room_id: roomId } = await owner.createRoom({ preset: "public_chat" });
        await friend.joinRoom(roomId);
        await until("the join", () => friend.getRoom(roomId)?.getMyMembership() === "join");
        await refused(friend.ban(roomId, owner.getUserId()), 403, "M_FORBIDDEN");
        await owner.ban(roomId, friend.getUserId(), "noise");
        await until("the ban", () => friend.getRoom(roomId)?.getMyMembership() === "ban");
        await refused(friend.joinRoom(roomId), 403, ["M_FORBIDDEN", "M_BAD_STATE"]);
        await refused(owner.invite(roomId, friend.getUserId()), 403, ["M_FORBIDDEN", "M_BAD_STATE"]);
        await owner.sendMessage(roomId, text("while banned"));
        await owner.unban(roomId, friend.getUserId());
        await untilMembership(owner, roomId, friend.getUserId(), "leave");
        await friend.joinRoom(roomId);
        await until("back", () => friend.getRoom(roomId)?.getMyMembership() === "join");
        await owner.sendMessage(roomId, text("welcome back"));
        await until("the message", () => timelineTexts(friend, roomId).includes("welcome back"));
    });

    await check("knock, be seen, be let in or turned away", async () => {
        const owner = await user("owner", true);
        const [friend, pest] = [await user("friend", true), await user("pest", true)];
        const { room_id: roomId } = await owner.createRoom({
            preset: "private_chat",
            room_version: "11",
            name: "Knock first",
            initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
        });
        await refused(friend.joinRoom(roomId), 403, "M_FORBIDDEN");
        same((await friend.knockRoom(roomId, { reason: "it is me" })).room_id, roomId, "knock");
        await untilMembership(owner, roomId, friend.getUserId(), "knock");
        const knock = owner.getRoom(roomId).getMember(friend.getUserId()).events.member;
        same(knock.getContent().reason, "it is me", "reason");
        await until("my knock", () => friend.getRoom(roomId)?.getMyMembership() === "knock");
        await owner.invite(roomId, friend.getUserId());
        await until("the invitation", () => friend.getRoom(roomId)?.getMyMembership() === "invite");
        await friend.joinRoom(roomId);
        await untilMembership(owner, roomId, friend.getUserId(), "join");
        await pest.knockRoom(roomId);
        await untilMembership(owner, roomId, pest.getUserId(), "knock");
        await pest.leave(roomId);
        await untilMembership(owner, roomId, pest.getUserId(), "leave");
        await until("the knock taken back", () => pest.getRoom(roomId)?.getMyMembership() === "leave");
        await pest.knockRoom(roomId);
        await untilMembership(owner, roomId, pest.getUserId(), "knock");
        await owner.kick(roomId, pest.getUserId());
        await until("turned away", () => pest.getRoom(roomId)?.getMyMembership() === "leave");
        const { room_id: closed } = await owner.createRoom({ preset: "private_chat" });
        await refused(pest.knockRoom(closed), 403, "M_FORBIDDEN");
    });

    await check("restricted: members of an allowed room may join", async () => {
        const owner = await user("owner");
        const [member, stranger] = [await user("member"), await user("stranger")];
        const space = await roomWith(owner, [member]);
        for (const joinRule of ["restricted", "knock_restricted"]) {
            const { room_id: roomId } = await owner.createRoom({
                preset: "private_chat",
                room_version: "11",
                initial_state: [
                    {
                        type: "m.room.join_rules",
                        state_key: "",
                        content: { join_rule: joinRule, allow: [{ type: "m.room_membership", room_id: space }] },
                    },
                ],
            });
            await refused(stranger.joinRoom(roomId), 403, "M_FORBIDDEN");
            await member.joinRoom(roomId);
            const event = await owner.getStateEvent(roomId, "m.room.member", member.getUserId());
            same(event.membership, "join", `${joinRule} membership`);
            same(event.join_authorised_via_users_server, owner.getUserId(), `${joinRule} authorised by`);
        }
    });

    await check("forget a room", async () => {
        const owner = await user("owner");
        const friend = await user("friend");
        const roomId = await roomWith(owner, [friend]);
        await owner.sendMessage(roomId, text("remember"));
        await refused(friend.forget(roomId, false), 400);
        await friend.leave(roomId);
        same((await allTexts(friend, roomId)).texts, ["remember"], "what a former member sees");
        await owner.sendMessage(roomId, text("after"));
        same((await allTexts(friend, roomId)).texts, ["remember"], "after leaving");
        await friend.forget(roomId, false);
        await refused(allTexts(friend, roomId), 403, "M_FORBIDDEN");
        await startSync(friend, { includeArchivedRooms: true });
        expect(!friend.getRoom(roomId), "a forgotten room is synced");
    });

    await check("a room left is synced when asked for", async () => {
        const owner = await user("owner");
        const friend = await user("friend");
        const roomId = await roomWith(owner, [friend]);
        await owner.sendMessage(roomId, text("before"));
        await friend.leave(roomId);
        await owner.sendMessage(roomId, text("after"));
        await startSync(friend);
        expect(!friend.getRoom(roomId), "a left room is in the first sync");
        await friend.syncLeftRooms();
        same(friend.getRoom(roomId)?.getMyMembership(), "leave", "the left room");
        same((await allTexts(friend, roomId)).texts, ["before"], "its messages");
    });
}
