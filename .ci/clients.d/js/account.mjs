// Server discovery, registration, login and tokens, devices, password change and deactivation, profiles.
import * as sdk from "matrix-js-sdk";
import {
    anonymous,
    anotherDevice,
    baseUrl,
    check,
    connect,
    expect,
    password,
    refused,
    roomWith,
    run,
    same,
    until,
    untilMembership,
    user,
    withPassword,
} from "./harness.mjs";

export default async function account() {
    await check("versions", async () => {
        const client = await user("versions");
        const { versions } = await client.getVersions();
        for (const version of ["v1.1", "v1.5", "v1.11"]) expect(versions.includes(version), `no ${version}`);
        same(await client.isVersionSupported("v1.4"), true, "isVersionSupported(v1.4)");
        same((await anonymous.getVersions()).versions, versions, "versions without a token");
    });

    await check("capabilities name the room versions", async () => {
        const client = await user("capabilities");
        const capabilities = await client.getCapabilities();
        const { default: fallback, available } = capabilities["m.room_versions"];
        same(available[fallback], "stable", "the default room version");
        expect(capabilities["m.change_password"]?.enabled !== false, "passwords cannot be changed");
    });

    await check("cross-origin headers on answers, errors and OPTIONS", async () => {
        const origin = { Origin: "https://app.example" };
        for (const [method, path] of [
            ["GET", "/_matrix/client/versions"],
            ["GET", "/_matrix/client/v3/account/whoami"],
            ["GET", "/_matrix/client/v3/no/such/endpoint"],
            ["OPTIONS", "/_matrix/client/v3/sync"],
        ]) {
            const response = await fetch(baseUrl + path, { method, headers: origin });
            same(response.headers.get("access-control-allow-origin"), "*", `${method} ${path} allow-origin`);
            if (method === "OPTIONS") {
                expect(response.ok, `OPTIONS answers ${response.status}`);
                const allowed = response.headers.get("access-control-allow-headers") ?? "";
                expect(/authorization/i.test(allowed), `allow-headers is "${allowed}"`);
            }
        }
    });

    await check("unknown endpoints and methods are M_UNRECOGNIZED", async () => {
        const request = (method, path) => anonymous.http.request(method, path, undefined, undefined, { prefix: "" });
        await refused(request("GET", "/_matrix/client/v3/no/such/endpoint"), 404, "M_UNRECOGNIZED");
        await refused(request("DELETE", "/_matrix/client/v3/login"), 405, "M_UNRECOGNIZED");
    });

    await check("register through user-interactive authentication", async () => {
        const username = `js-uia-${run}`;
        const auth = new sdk.InteractiveAuth({
            matrixClient: anonymous,
            doRequest: (dict) => anonymous.registerRequest({ username, password, ...(dict && { auth: dict }) }),
            stateUpdated: (stage) => {
                if (stage === "m.login.dummy") void auth.submitAuthDict({ type: stage });
            },
            busyChanged: () => {},
            requestEmailToken: () => {},
        });
        const answer = await auth.attemptAuth();
        expect(answer.user_id.startsWith(`@${username}:`), `user_id is ${answer.user_id}`);
        expect(answer.access_token && answer.device_id, "no token or device");
    });

    await check("register refuses taken and malformed names", async () => {
        const taken = await user("taken");
        const auth = { type: "m.login.dummy" };
        const register = (username) => anonymous.registerRequest({ username, password, auth });
        await refused(register(taken.username), 400, "M_USER_IN_USE");
        await refused(register(`not a name ${run}`), 400, "M_INVALID_USERNAME");
        same(await anonymous.isUsernameAvailable(`js-free-${run}`), true, "a free name");
        same(await anonymous.isUsernameAvailable(taken.username), false, "a taken name");
    });

    await check("login with password, wrong password, unknown user", async () => {
        const owner = await user("login");
        const { flows } = await anonymous.loginFlows();
        expect(flows.some((flow) => flow.type === "m.login.password"), "no password login");
        const login = (identifier, secret) =>
            anonymous.loginRequest({ type: "m.login.password", identifier, password: secret });
        for (const name of [owner.username, owner.getUserId()]) {
            same((await login({ type: "m.id.user", user: name }, password)).user_id, owner.getUserId(), name);
        }
        await refused(login({ type: "m.id.user", user: owner.username }, "wrong"), 403, "M_FORBIDDEN");
        await refused(login({ type: "m.id.user", user: `js-nobody-${run}` }, password), 403, "M_FORBIDDEN");
    });

    await check("login keeps the device it names", async () => {
        const owner = await user("device-id");
        const answer = await anonymous.loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: owner.username },
            password,
            device_id: owner.getDeviceId(),
        });
        same(answer.device_id, owner.getDeviceId(), "device_id");
        await refused(owner.whoami(), 401, "M_UNKNOWN_TOKEN");
    });

    await check("whoami", async () => {
        const owner = await user("whoami");
        const answer = await owner.whoami();
        same([answer.user_id, answer.device_id], [owner.getUserId(), owner.getDeviceId()], "whoami");
        await refused(connect({ accessToken: "nonsense" }).whoami(), 401, "M_UNKNOWN_TOKEN");
        await refused(anonymous.whoami(), 401, "M_MISSING_TOKEN");
    });

    await check("logout kills the token", async () => {
        const owner = await user("logout");
        const other = await anotherDevice(owner);
        await owner.logout(true);
        await refused(connect({ accessToken: owner.getAccessToken() }).whoami(), 401, "M_UNKNOWN_TOKEN");
        await refused(
            connect({ accessToken: owner.getAccessToken() }).createRoom({}),
            401,
            "M_UNKNOWN_TOKEN",
        );
        await other.whoami();
        await other.http.authedRequest("POST", "/logout/all", undefined, {});
        await refused(other.whoami(), 401, "M_UNKNOWN_TOKEN");
    });

    await check("refresh tokens", async () => {
        const owner = await user("refresh");
        const login = await anonymous.loginRequest({
            type: "m.login.password",
            identifier: { type: "m.id.user", user: owner.username },
            password,
            refresh_token: true,
        });
        expect(login.refresh_token, "login gives no refresh token");
        expect(login.expires_in_ms > 0, `expires_in_ms is ${login.expires_in_ms}`);
        // Until the new tokens are used, the old refresh token still works: the answer may have been lost.
        const lost = await anonymous.refreshToken(login.refresh_token);
        const answer = await anonymous.refreshToken(login.refresh_token);
        expect(answer.access_token !== login.access_token, "the access token has not changed");
        expect(answer.access_token !== lost.access_token, "two refreshes gave one token");
        const client = connect({ accessToken: answer.access_token });
        same((await client.whoami()).device_id, login.device_id, "the device of the refreshed token");
        await refused(anonymous.refreshToken(login.refresh_token), [401, 403]);
        const next = await anonymous.refreshToken(answer.refresh_token);
        await connect({ accessToken: next.access_token }).whoami();
        await refused(anonymous.refreshToken("nonsense"), [401, 403]);
    });

    await check("devices: list, rename, delete", async () => {
        const owner = await user("devices");
        const [second, third, fourth] = [
            await anotherDevice(owner),
            await anotherDevice(owner),
            await anotherDevice(owner),
        ];
        const ids = async () => (await owner.getDevices()).devices.map((device) => device.device_id).sort();
        same(await ids(), [owner, second, third, fourth].map((c) => c.getDeviceId()).sort(), "devices");
        await owner.setDeviceDetails(second.getDeviceId(), { display_name: "Laptop" });
        same((await owner.getDevice(second.getDeviceId())).display_name, "Laptop", "display name");
        await refused(owner.getDevice("NOSUCH"), 404, "M_NOT_FOUND");
        await withPassword(owner, (auth) => owner.deleteDevice(second.getDeviceId(), auth));
        await refused(second.whoami(), 401, "M_UNKNOWN_TOKEN");
        await withPassword(owner, (auth) =>
            owner.deleteMultipleDevices([third.getDeviceId(), fourth.getDeviceId()], auth),
        );
        same(await ids(), [owner.getDeviceId()], "devices after deletion");
        await refused(fourth.whoami(), 401, "M_UNKNOWN_TOKEN");
    });

    await check("deleting a device wants the right password", async () => {
        const owner = await user("uia");
        const second = await anotherDevice(owner);
        const deletion = (auth) => owner.deleteDevice(second.getDeviceId(), auth);
        await refused(withPassword(owner, deletion, "wrong"), [401, 403]);
        await second.whoami();
    });

    await check("password change", async () => {
        const owner = await user("password");
        const second = await anotherDevice(owner);
        const third = await anotherDevice(owner);
        const login = (secret) => anonymous.loginRequest({
                type: "m.login.password",
                identifier: { type: "m.id.user", user: owner.username },
                password: secret,
            });
        await withPassword(owner, (auth) => owner.setPassword(auth, "the next password", false));
        await second.whoami();
        await refused(login(password), 403, "M_FORBIDDEN");
        await login("the next password");
        await withPassword(owner, (auth) => owner.setPassword(auth, "the last password", true), "the next password");
        await owner.whoami();
        await refused(second.whoami(), 401, "M_UNKNOWN_TOKEN");
        await refused(third.whoami(), 401, "M_UNKNOWN_TOKEN");
        await login("the last password");
    });

    await check("deactivation", async () => {
        const owner = await user("deactivate");
        const friend = await user("friend", true);
        const roomId = await roomWith(friend, [owner]);
        await untilMembership(friend, roomId, owner.getUserId(), "join");
        await withPassword(owner, (auth) => owner.deactivateAccount(auth, false));
        await refused(owner.whoami(), 401, "M_UNKNOWN_TOKEN");
        await refused(anotherDevice(owner), 403, ["M_USER_DEACTIVATED", "M_FORBIDDEN"]);
        same(await anonymous.isUsernameAvailable(owner.username), false, "the name is free again");
        await untilMembership(friend, roomId, owner.getUserId(), "leave");
    });

    await check("profile: display name and avatar reach rooms and others", async () => {
        const owner = await user("profile");
        const friend = await user("friend", true);
        const roomId = await roomWith(friend, [owner]);
        await owner.setDisplayName("Ada Lovelace");
        await owner.setAvatarUrl("mxc://example.org/ada");
        same(
            await friend.getProfileInfo(owner.getUserId()),
            { displayname: "Ada Lovelace", avatar_url: "mxc://example.org/ada" },
            "profile",
        );
        const member = () => friend.getRoom(roomId)?.getMember(owner.getUserId());
        await until("the name in the room", () => member()?.rawDisplayName === "Ada Lovelace");
        await until("the avatar in the room", () => member()?.getMxcAvatarUrl() === "mxc://example.org/ada");
        await refused(friend.getProfileInfo(`@js-nobody-${run}:${owner.getDomain()}`), 404);
        await refused(
            friend.http.authedRequest("PUT", `/profile/${encodeURIComponent(owner.getUserId())}/displayname`, undefined, {
                displayname: "Mallory",
            }),
            [400, 403],
        );
    });

    await check("profile: custom fields", async () => {
        const owner = await user("fields");
        if (!(await owner.doesServerSupportExtendedProfiles())) return;
        await owner.setExtendedProfileProperty("org.example.colour", { hue: 210 });
        same(
            await owner.getExtendedProfileProperty(owner.getUserId(), "org.example.colour"),
            { hue: 210 },
            "the custom field",
        );
        await owner.deleteExtendedProfileProperty("org.example.colour");
        const profile = await (await user("reader")).getExtendedProfile(owner.getUserId());
        same(profile["org.example.colour"], undefined, "the deleted field");
    });
}
