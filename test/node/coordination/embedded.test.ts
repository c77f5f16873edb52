import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { chatSuites, stateSuites, syncSuites, taskSuites } from "../../rules/suites.ts";
import { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { notRun } from "#harness/coordinator/not-run.ts";

notRun({
  "a file has no connections that could be closed or lost": [
    "another process follows when its connection was closed; the old one is refused everything",
    "the same process keeps its incarnation when its connection was closed, and is idle",
    "who asks again when it was told to is not refused, also within a grace",
    "a worker is gone 5 s after its connection closed, not before",
    "a worker that returns within 5 s in any way was never gone",
    "a chat with a user is gone 20 s after its connection closed, not before",
    "a chat with a user that returns within 20 s in any way was never gone",
    "the alarm alone ends a grace, also after another look at the chat",
    "the second close of a connection that is known to be gone prolongs nothing",
    "the late close of an old process's connection does not touch its successor",
    "chats of lost connections have 90 s from the loss, and what pings renewed",
    "the long grace is given once for each connection",
    "who registered anew without a new connection keeps what the old one told",
    "a chat without a connection loses none",
    "a chat that is gone without a word keeps a lease of its own ttl up to its last renewal + ttl",
    "a chat that is gone without a word keeps a bound lease up to its last renewal + ttl",
    "a chat that returns has a kept bound lease to its old end unless it renews it",
    "each change of a status is told to watches, with its reason, in order",
    "a death attested on the chat's machine frees all at once, without a delay",
    "any sequence of calls ends with the model's leases",
    "no two holders trust overlapping leases, whatever happens",
    "when the first in line is gone, and the alarm rings, those behind get theirs",
    "when the first in line is replaced by another process, those behind get theirs",
    "a chat gone at its turn loses its position and waits anew",
    "one registration after its connection was closed answers wasOffline, the next not",
    "an offline leader keeps its term; its successor has none of it",
  ],
  "there are no pings: a heartbeat is stored a few times in each ttl, and its answer says how long the chat lives": [
    "over a connection pings alone keep a chat alive, for ttlMs after the last one",
    "one chat is told with all that it said of itself",
    "pings and calls renew a bound lease; renewals do not change its ttl",
  ],
  "whoever can open the file is an admin": [
    "it is believed only of the process that runs the chat, and only from its machine",
    "a token of another machine cannot act as a visible chat; an admin's can",
    "a token registers chats of its own machine only, an admin's of any",
    "of another machine's device only an admin deletes what is stored",
    "a third machine does not give back what is not its own",
  ],
});

const open = (): Promise<EmbeddedHost> => Promise.resolve(new EmbeddedHost(openBetterSqlite3));

chatSuites(open);
stateSuites(open);
taskSuites(open);
syncSuites(open);
