"""Drives a homeserver through matrix-nio: one line per check. BASE_URL says where, RUN makes names unique."""

import asyncio
import os
import sys

import account
import meeting
import membership
import rooms
import sync
from harness import finish


async def main():
    # First the meeting, for which the other SDK waits now.
    if os.environ.get("MEETING"):
        await meeting.checks()
    for subject in (account, rooms, membership, sync):
        await subject.checks()
    return finish()


sys.exit(asyncio.run(main()))
