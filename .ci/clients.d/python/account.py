"""Registration, login, logout, devices, profiles."""

import nio
from harness import PASSWORD, RUN, Client, another_device, check, expect, ok, refused, room_with, same, until, user


async def register_and_login():
    owner = await user("account")
    expect(owner.access_token and owner.device_id, "no token or device")
    await refused(Client(owner.user).register(owner.user, PASSWORD), "M_USER_IN_USE")
    anonymous = Client("nobody")
    expect("m.login.password" in (await ok(anonymous.login_info())).flows, "no password login")
    for name in (owner.user_id, owner.user_id[1:].split(":")[0]):
        answer = await ok(Client(name).login(PASSWORD, device_name="second"))
        same(answer.user_id, owner.user_id, f"login as {name}")
    await refused(Client(owner.user_id).login("wrong"), "M_FORBIDDEN")


async def register_interactively():
    client = Client(f"nio-uia-{RUN}")
    body = {"username": client.user, "password": PASSWORD}
    status, challenge = await client.request("POST", "/_matrix/client/v3/register", body)
    same(status, 401, "register without auth")
    expect({"stages": ["m.login.dummy"]} in challenge["flows"], f"flows are {challenge['flows']}")
    await ok(client.register(client.user, PASSWORD, session_token=challenge["session"]))
    same((await ok(client.whoami())).user_id, client.user_id, "whoami")


async def whoami_and_logout():
    owner = await user("logout")
    second = await another_device(owner)
    answer = await ok(owner.whoami())
    same((answer.user_id, answer.device_id), (owner.user_id, owner.device_id), "whoami")
    token = owner.access_token
    await ok(owner.logout())
    dead = Client("dead")
    dead.access_token = token
    await refused(dead.whoami(), "M_UNKNOWN_TOKEN")
    await ok(second.whoami())
    third = await another_device(owner)
    await ok(second.logout(all_devices=True))
    await refused(third.whoami(), "M_UNKNOWN_TOKEN")


async def devices():
    owner = await user("devices")
    second = await another_device(owner)
    listed = (await ok(owner.devices())).devices
    same({device.id for device in listed}, {owner.device_id, second.device_id}, "devices")
    await ok(owner.update_device(second.device_id, {"display_name": "Renamed"}))
    names = {device.id: device.display_name for device in (await ok(owner.devices())).devices}
    same(names[second.device_id], "Renamed", "display name")
    challenge = await owner.delete_devices([second.device_id])
    expect(isinstance(challenge, nio.DeleteDevicesAuthResponse), f"no challenge: {challenge}")
    auth = {
        "type": "m.login.password",
        "session": challenge.session,
        "identifier": {"type": "m.id.user", "user": owner.user_id},
        "password": PASSWORD,
    }
    await ok(owner.delete_devices([second.device_id], auth))
    await refused(second.whoami(), "M_UNKNOWN_TOKEN")


async def profile():
    owner = await user("profile")
    friend = await user("friend", sync=True)
    room_id = await room_with(friend, [owner])
    await ok(owner.set_displayname("Émilie"))
    await ok(owner.set_avatar("mxc://example.org/emilie"))
    answer = await ok(friend.get_profile(owner.user_id))
    same((answer.displayname, answer.avatar_url), ("Émilie", "mxc://example.org/emilie"), "profile")
    same((await ok(friend.get_displayname(owner.user_id))).displayname, "Émilie", "displayname")
    same((await ok(friend.get_avatar(owner.user_id))).avatar_url, "mxc://example.org/emilie", "avatar_url")
    await until("the name in the room", lambda: friend.rooms[room_id].user_name(owner.user_id) == "Émilie")


async def checks():
    await check("register, refused twice; login", register_and_login)
    await check("register interactively", register_interactively)
    await check("whoami, logout, logout everywhere", whoami_and_logout)
    await check("devices: list, rename, delete", devices)
    await check("profile", profile)
