import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { chatSuites, stateSuites, syncSuites, taskSuites } from "../../rules/suites.ts";
import { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { notRun } from "#harness/coordinator/not-run.ts";

notRun({
  "a file has no connections that could be closed or lost": [
    "[CH1] another process follows in the next incarnation when its connection was closed, and the old one can do nothing any more",
    "[CH1] the same process that comes back when its connection was closed goes on in its incarnation, idle",
    "[CH2] who asks again when it was told to is not refused, also within a grace",
    "[CH4] a worker whose connection was closed is gone 5 s later, not before",
    "[CH4] a worker that is there again within 5 s, by a connection or without one, was never gone",
    "[CH4] a chat with a user whose connection was closed is gone 20 s later, not before",
    "[CH4] a chat with a user that is there again within 20 s, by a connection or without one, was never gone",
    "[CH4] the end of a grace is seen by the alarm alone, also where it has looked at the chat before for something else",
    "[CH4] the second close of a connection that is known to be gone prolongs nothing",
    "[CH4] the late close of an old process's connection does not touch its successor",
    "[CH5] connections lost without a close are forgiven for 90 s, from when it is noticed, with all that pings told",
    "[CH5] the long grace is given once for each connection",
    "[CH5] who registered anew without a new connection keeps what the old one told",
    "[CH5] a chat without a connection loses none",
    "[CH7] a chat that is gone without a word keeps a lease of its own ttl up to its last renewal + ttl",
    "[CH7] a chat that is gone without a word keeps a bound lease up to its last renewal + ttl",
    "[CH7] who comes back to a bound lease that was kept has it up to that time, or renews it; pings do not",
    "[CH8] each change of a status is told to watches, with its reason, in order",
    "[CH10] a death attested on the chat's machine frees all at once, without a delay",
    "[LE1] [LE4] [LE10] [LE11] [LE13] whatever chats do and suffer, leases are held, waited for and freed as the model says",
    "[LE1] [CH3] [CH5] [CH7] at no instant two believe that they hold what overlaps, and what a holder may believe is so",
    "[LE13] when the first in line is gone, and the alarm rings, those that only it kept waiting have their turn at once",
    "[LE13] when the first in line is gone, and the alarm rings, the next one gets what is freed",
    "[LE13] when the first in line is replaced by another process, those that only it kept waiting have their turn at once",
    "[LE13] when the first in line is replaced by another process, the next one gets what is freed",
    "[LE13] who was gone when its turn came has lost its place, and stands in line anew",
    "[CH16] whoever registers when its connection was closed is told that the chat had counted as gone, and the next time not",
    "[EL4] a leader that is gone without a word keeps its term to the end, and its successor does not inherit it",
  ],
  "there are no pings: a heartbeat is stored a few times in each ttl, and its answer says how long the chat lives": [
    "[CH3] over a connection pings alone keep a chat alive, for ttlMs after the last one",
    "[CH13] one chat is told with all that it said of itself",
    "[LE14] a bound lease lives with its holder: pings and acts renew it, and renewals do not change its ttl",
  ],
  "whoever can open the file is an admin": [
    "[CH10] it is believed only of the process that runs the chat, and only from its machine",
    "[CH15] a token of another machine does nothing as a chat that it can see, an admin's does",
    "[CH11] a token registers chats of its own machine only, an admin's of any",
    "[SY16] [SY2] of another machine's device only an admin deletes what is stored",
    "[SY31] a third machine does not give back what is not its own",
  ],
});

const open = (): Promise<EmbeddedHost> => Promise.resolve(new EmbeddedHost(openBetterSqlite3));

chatSuites(open);
stateSuites(open);
taskSuites(open);
syncSuites(open);
