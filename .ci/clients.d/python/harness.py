"""What every check uses: named checks with a deadline, users with a real sync loop, waiting, and refusals.

Each exchange with the server is written to $EXCHANGES, so that a failure can be read as request and response.
"""

import asyncio
import json
import logging
import os
import re
import time

import aiohttp
import nio
from nio.responses import ErrorResponse

BASE_URL = os.environ["BASE_URL"]
# Makes the names of this run's users and aliases new on any server.
RUN = os.environ["RUN"]
ONLY = re.compile(os.environ.get("ONLY", ""))
PASSWORD = "correct horse battery staple"

# nio's own messages go nowhere: standard output carries one line per check.
logging.disable()

CHECK_SECONDS = 30
WAIT_SECONDS = 10

_passed = 0
_failed = 0
_open = []
_users = 0


class Failure(Exception):
    """Why a check failed."""


def _record(entry):
    if path := os.environ.get("EXCHANGES"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")


async def check(name, body):
    """Runs one check, prints its line, and closes the clients it opened."""
    global _passed, _failed
    if not ONLY.search(name):
        return
    _record({"check": name})
    try:
        await asyncio.wait_for(body(), CHECK_SECONDS)
        _passed += 1
        print(f"ok nio: {name}", flush=True)
    except Exception as error:  # A check may fail in any way, and the next one still runs.
        _failed += 1
        why = " ".join(str(error).split()) or type(error).__name__
        print(f"FAIL nio: {name}: {why}", flush=True)
    finally:
        while _open:
            await _open.pop().shut()


def finish():
    print(f"nio: {_passed} passed, {_failed} failed")
    return 0 if _failed == 0 else 1


def expect(condition, why):
    if not condition:
        raise Failure(why)


def same(actual, expected, what):
    expect(actual == expected, f"{what}: expected {expected!r}, got {actual!r}")


async def until(what, predicate, seconds=WAIT_SECONDS):
    """Waits until `predicate` holds, which what /sync brings makes true; returns its value."""
    end = time.monotonic() + seconds
    while True:
        if value := predicate():
            return value
        expect(time.monotonic() < end, f"waited {seconds} s for: {what}")
        await asyncio.sleep(0.005)


async def ok(awaitable):
    """The answer, which must not be an error for nio nor by its status."""
    answer = await awaitable
    expect(not isinstance(answer, ErrorResponse), f"refused: {answer}")
    response = answer.transport_response
    expect(response is None or response.status == 200, f"answered {response and response.status}")
    return answer


async def refused(awaitable, errcode=None):
    """Expects the server to refuse; with `errcode`, one of these."""
    # Not every answer of nio tells an error from success: the status and body do.
    response = (await awaitable).transport_response
    expect(response.status >= 400, f"expected a refusal ({errcode or ''}), got {response.status}")
    code = (await response.json()).get("errcode")
    codes = [errcode] if isinstance(errcode, str) else errcode
    expect(not codes or code in codes, f"expected {errcode}, got {response.status} {code}")


class Client(nio.AsyncClient):
    """A nio client that keeps what its sync loop brings, in order."""

    def __init__(self, name):
        config = nio.AsyncClientConfig(max_limit_exceeded=0, max_timeouts=0, request_timeout=20)
        super().__init__(BASE_URL, name, config=config)
        self.timeline = {}
        self.invites = []
        self.ephemeral = []
        self.presences = []
        self.room_data = []
        self.account_data = []
        self.last_sync = None
        self._loop = None
        self.add_event_callback(self._keep_event, nio.Event)
        self.add_event_callback(lambda room, event: self.invites.append((room.room_id, event)), nio.InviteMemberEvent)
        self.add_ephemeral_callback(lambda room, event: self.ephemeral.append(event), nio.EphemeralEvent)
        self.add_presence_callback(self._keep_presence, nio.PresenceEvent)
        self.add_room_account_data_callback(lambda room, event: self.room_data.append(event), nio.AccountDataEvent)
        self.add_global_account_data_callback(self._keep_account_data, nio.AccountDataEvent)
        self.add_response_callback(self._keep_sync, nio.SyncResponse)
        _open.append(self)

    async def _keep_event(self, room, event):
        self.timeline.setdefault(room.room_id, []).append(event)

    async def _keep_presence(self, event):
        self.presences.append(event)

    async def _keep_account_data(self, event):
        self.account_data.append(event)

    async def _keep_sync(self, response):
        self.last_sync = response

    async def send(self, method, path, data=None, headers=None, trace_context=None, timeout=None):
        response = await super().send(method, path, data, headers, trace_context, timeout)
        answer = (await response.text())[:4000]
        _record({"request": f"{method} {path}", "body": data, "status": response.status, "response": answer})
        return response

    def start(self, **options):
        """Starts the SDK's sync loop."""
        self._loop = asyncio.create_task(self.sync_forever(timeout=10_000, **options))

    async def stop(self):
        if self._loop:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
            self._loop = None

    async def shut(self):
        await self.stop()
        await self.close()

    async def request(self, method, path, body=None):
        """A call that nio has no function for: status and JSON."""
        headers = {"Authorization": f"Bearer {self.access_token}"} if self.access_token else {}
        async with aiohttp.ClientSession() as session:
            async with session.request(method, BASE_URL + path, json=body, headers=headers) as response:
                answer = await response.json()
                _record({"request": f"{method} {path}", "body": body, "status": response.status, "response": answer})
                return response.status, answer

    def texts(self, room_id):
        events = self.timeline.get(room_id, [])
        return [event.body for event in events if isinstance(event, nio.RoomMessageText)]

    def membership(self, room_id, user_id):
        """The member's state as the timeline last said."""
        events = self.timeline.get(room_id, [])
        states = [e.membership for e in events if isinstance(e, nio.RoomMemberEvent) and e.state_key == user_id]
        return states[-1] if states else None

    @property
    def domain(self):
        return self.user_id.split(":", 1)[1]


async def user(label, sync=False, **options):
    """Registers a new user; with `sync`, starts the sync loop and waits for the first answer."""
    global _users
    _users += 1
    client = Client(f"nio-{label}-{_users}-{RUN}")
    await ok(client.register(client.user, PASSWORD, "harness"))
    if sync:
        await start(client, **options)
    return client


async def start(client, **options):
    client.start(**options)
    await until("the first sync", lambda: client.last_sync)


async def another_device(owner, sync=False, **options):
    """Logs in again as `owner`, on a new device."""
    client = Client(owner.user_id)
    await ok(client.login(PASSWORD, device_name="another"))
    if sync:
        await start(client, **options)
    return client


async def room_with(owner, guests, **options):
    """Makes a room and has `guests` join it by invitation."""
    room_id = (await ok(owner.room_create(invite=[guest.user_id for guest in guests], **options))).room_id
    for guest in guests:
        await ok(guest.join(room_id))
    return room_id


async def say(client, room_id, body):
    content = {"msgtype": "m.text", "body": body}
    return (await ok(client.room_send(room_id, "m.room.message", content))).event_id


async def all_texts(client, room_id, limit=50, direction=nio.MessageDirection.back, start=None):
    """Every text that /messages gives, in the order of the pages."""
    texts = []
    while True:
        page = await ok(client.room_messages(room_id, start, direction=direction, limit=limit))
        expect(len(page.chunk) <= limit, f"{len(page.chunk)} events on a page of {limit}")
        texts += [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]
        if not page.end or not page.chunk:
            return texts
        expect(page.end != start, "the page's end is its start")
        start = page.end
