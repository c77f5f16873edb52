/** `node hook.mjs <Event>`: the short-lived process of one hook. Whatever happens it exits 0: a hook must never break the client. */
import { readFileSync, writeSync } from "node:fs";
import { openNodeSqlite } from "../store/driver-node-sqlite.ts";
import { systemRuntime } from "../system-runtime.ts";
import { answerHook } from "./answer-hook.ts";

// node:sqlite and not better-sqlite3: it is part of node, so there is no binary to load (7 ms on the machine this was measured on).
const runtime = systemRuntime({ driver: openNodeSqlite, busyMs: 200 });
const clientPid = Number(process.env["CLAUDE_PID"]) || process.ppid;
const answer = answerHook(runtime, process.argv[2] ?? "", () => readFileSync(0, "utf8"), clientPid);
// Not process.stdout: making that stream loads node:net.
if (answer) writeSync(1, answer);
// The store is not closed: the last one to close it would bring the whole write-ahead log into the file, with four fsyncs, while the client waits.
