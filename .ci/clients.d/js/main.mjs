// Drives a homeserver through matrix-js-sdk: one line per check. BASE_URL says where, RUN makes names unique.
import { finish } from "./harness.mjs";
import account from "./account.mjs";
import directory from "./directory.mjs";
import meeting from "./meeting.mjs";
import membership from "./membership.mjs";
import rooms from "./rooms.mjs";
import sync from "./sync.mjs";
import unread from "./unread.mjs";
import visibility from "./visibility.mjs";

// First the meeting, for which the other SDK waits now.
if (process.env.MEETING) await meeting();
for (const subject of [account, rooms, membership, visibility, directory, sync, unread]) await subject();
finish();
