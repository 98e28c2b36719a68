// What every check uses: named checks with a deadline, users, waiting for what /sync brings, and refusals.
// Each exchange with the server is written to $EXCHANGES, so that a failure can be read as request and response.
import { appendFileSync } from "node:fs";
import * as sdk from "matrix-js-sdk";

export const baseUrl = process.env.BASE_URL;
/** Makes the names of this run's users and aliases new on any server. */
export const run = process.env.RUN;
export const password = "correct horse battery staple";

const CHECK_MS = 30_000;
const WAIT_MS = 10_000;

// The SDK's chatter goes nowhere: standard output carries one line per check.
const silent = { getChild: () => silent };
for (const level of ["trace", "debug", "info", "warn", "error"]) silent[level] = console[level] = () => {};

async function recordedFetch(resource, options) {
    const response = await fetch(resource, options);
    const record = {
        request: `${options.method} ${String(resource).slice(baseUrl.length)}`,
        body: options.body,
        status: response.status,
        response: (await response.clone().text()).slice(0, 4000),
    };
    if (process.env.EXCHANGES) appendFileSync(process.env.EXCHANGES, JSON.stringify(record) + "\n");
    return response;
}

let passed = 0;
let failed = 0;
const started = [];

/** Runs one check, prints its line, and stops the clients it started. */
export async function check(name, body) {
    if (!new RegExp(process.env.ONLY ?? "").test(name)) return;
    if (process.env.EXCHANGES) appendFileSync(process.env.EXCHANGES, JSON.stringify({ check: name }) + "\n");
    let timer;
    const deadline = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done after ${CHECK_MS} ms`)), CHECK_MS);
    });
    try {
        await Promise.race([body(), deadline]);
        passed += 1;
        console.log(`ok js: ${name}`);
    } catch (error) {
        failed += 1;
        const why = String(error?.message ?? error).replace(/\s+/g, " ");
        console.log(`FAIL js: ${name}: ${why}`);
    } finally {
        clearTimeout(timer);
        for (const client of started.splice(0)) client.stopClient();
    }
}

export function finish() {
    console.log(`js: ${passed} passed, ${failed} failed`);
    process.exit(failed === 0 ? 0 : 1);
}

export function expect(condition, why) {
    if (!condition) throw new Error(why);
}

/** JSON in which the members of every object are sorted: their order says nothing. */
function canonical(value) {
    const sorted = (_, v) => (v && typeof v === "object" && !Array.isArray(v) ? Object.fromEntries(Object.entries(v).sort()) : v);
    return JSON.stringify(value, sorted);
}

export function same(actual, expected, what) {
    const [a, e] = [canonical(actual), canonical(expected)];
    expect(a === e, `${what}: expected ${e}, got ${a}`);
}

/** Waits until `predicate` holds, which what /sync brings makes true; returns its value. */
export async function until(what, predicate, ms = WAIT_MS) {
    const end = Date.now() + ms;
    for (;;) {
        const value = predicate();
        if (value) return value;
        if (Date.now() > end) throw new Error(`waited ${ms} ms for: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

/** Expects the server to refuse with one of `statuses` and, where given, `errcode`. */
export async function refused(promise, statuses, errcode) {
    const error = await promise.then(
        () => null,
        (reason) => reason,
    );
    expect(error, `expected a refusal (${statuses} ${errcode ?? ""}), got success`);
    const ok = [statuses].flat().includes(error.httpStatus) && (!errcode || [errcode].flat().includes(error.errcode));
    expect(ok, `expected ${statuses} ${errcode ?? ""}, got ${error.httpStatus} ${error.errcode}: ${error.message}`);
    return error;
}

export function connect(options = {}) {
    return sdk.createClient({ baseUrl, fetchFn: recordedFetch, logger: silent, timelineSupport: true, ...options });
}

export const anonymous = connect();

let users = 0;

/** Registers a new user; with `sync`, starts the SDK's sync loop and waits for the first answer. */
export async function user(label, sync) {
    users += 1;
    const username = `js-${label}-${users}-${run}`;
    const answer = await anonymous.registerRequest({ username, password, auth: { type: "m.login.dummy" } });
    const client = connect({
        userId: answer.user_id,
        accessToken: answer.access_token,
        deviceId: answer.device_id,
    });
    client.username = username;
    if (sync) await startSync(client, sync === true ? {} : sync);
    return client;
}

export async function startSync(client, options = {}) {
    started.push(client);
    await client.startClient({ initialSyncLimit: 20, pollTimeout: 10_000, ...options });
    await until("the first sync", () => client.getSyncState() === "SYNCING");
}

/** Logs in again as `owner`, on a new device. */
export async function anotherDevice(owner, sync) {
    const answer = await anonymous.loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: owner.username },
        password,
    });
    const client = connect({
        userId: answer.user_id,
        accessToken: answer.access_token,
        deviceId: answer.device_id,
    });
    client.username = owner.username;
    if (sync) await startSync(client, sync === true ? {} : sync);
    return client;
}

/** Answers user-interactive authentication with the password, in the session that the refusal opened. */
export async function withPassword(client, request, secret = password) {
    const challenge = await refused(request(undefined), 401);
    expect(challenge.data.session, "the 401 has no session");
    expect(
        challenge.data.flows.some((flow) => flow.stages.includes("m.login.password")),
        `no password flow in ${JSON.stringify(challenge.data.flows)}`,
    );
    return request({
        type: "m.login.password",
        session: challenge.data.session,
        identifier: { type: "m.id.user", user: client.username },
        password: secret,
    });
}

export const text = (body) => ({ msgtype: "m.text", body });

/** Makes a room and has `guests` join it by invitation. */
export async function roomWith(owner, guests, options = {}) {
    const invite = guests.map((guest) => guest.getUserId());
    const { room_id: roomId } = await owner.createRoom({ preset: "private_chat", invite, ...options });
    for (const guest of guests) await guest.joinRoom(roomId);
    return roomId;
}

/** Waits till the member's state reaches the client by sync. */
export async function untilMembership(client, roomId, userId, membership) {
    const seen = () => client.getRoom(roomId)?.getMember(userId)?.membership;
    try {
        return await until("", () => seen() === membership);
    } catch {
        throw new Error(`waited for ${userId} to be "${membership}", is "${seen()}" for ${client.getUserId()}`);
    }
}

/** The texts in the client's live timeline, oldest first. */
export function timelineTexts(client, roomId) {
    const events = client.getRoom(roomId)?.getLiveTimeline().getEvents() ?? [];
    return events.filter((event) => event.getType() === "m.room.message").map((event) => event.getContent().body);
}

/** Every text that `/messages` gives the user, oldest first, in pages of `limit`; and how many pages. */
export async function allTexts(client, roomId, limit = 50) {
    const texts = [];
    let from = null;
    for (let pages = 1; ; pages += 1) {
        const page = await client.createMessagesRequest(roomId, from, limit, "b");
        expect(page.chunk.length <= limit, `${page.chunk.length} events on a page of ${limit}`);
        for (const event of page.chunk) if (event.type === "m.room.message") texts.unshift(event.content.body);
        if (!page.end) return { texts, pages };
        expect(page.end !== from, "the page's end is its start");
        expect(pages < 100, "no end after 100 pages");
        from = page.end;
    }
}
