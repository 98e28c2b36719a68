// Both SDKs' clients in one room: they answer each other, then talk at once, and must agree on the order.
// The other side is ../python/meeting.py.
import * as sdk from "matrix-js-sdk";
import { check, run, same, startSync, text, until, user } from "./harness.mjs";

const TURNS = 10;
const BURST = 20;

export default async function meeting() {
    const client = await user("meeting");
    let roomId;
    const bodies = () =>
        client
            .getRoom(roomId)
            .getLiveTimeline()
            .getEvents()
            .filter((event) => event.getType() === "m.room.message" && !event.status);
    const seen = (body) => () => bodies().some((event) => event.getContent().body === body);

    await check("meeting: matrix-nio and matrix-js-sdk take turns and agree on the order of a burst", async () => {
        await startSync(client, {
            pendingEventOrdering: "detached",
            filter: sdk.Filter.fromJson(client.getUserId(), "", { room: { timeline: { limit: 100 } } }),
        });
        const created = await client.createRoom({ preset: "public_chat", room_alias_name: `meeting-${run}` });
        roomId = created.room_id;
        await until("the other client", () => client.getRoom(roomId)?.getJoinedMemberCount() === 2, 25_000);
        for (let turn = 0; turn < TURNS; turn += 1) {
            await client.sendMessage(roomId, text(`js turn ${turn}`));
            await until(`nio's turn ${turn}`, seen(`nio turn ${turn}`));
        }
        for (let i = 0; i < BURST; i += 1) await client.sendMessage(roomId, text(`js burst ${i}`));
        await until("the whole burst", () => bodies().length === 2 * (TURNS + BURST));
        const order = bodies().map((event) => event.getId());
        await client.sendEvent(roomId, "org.example.order", { order });
        const other = await until("nio's order", () =>
            client
                .getRoom(roomId)
                .getLiveTimeline()
                .getEvents()
                .find((event) => event.getType() === "org.example.order" && event.getSender() !== client.getUserId()),
        );
        same(other.getContent().order, order, "the order that nio saw");
    });
}
