/** `node hook.cjs <Event>`: the short-lived process of one hook. Whatever happens it exits 0: a hook must never break the client. */
import { readFileSync, writeSync } from "node:fs";
import * as z from "zod/mini";
import { clientPidOf } from "../processes.ts";
import { openNodeSqlite } from "../store/driver-node-sqlite.ts";
import { systemRuntime } from "../system-runtime.ts";
import { answerHook } from "./answer-hook.ts";
import { stackOf } from "../../shared/error.ts";

// For a single input zod's compiled parsers take longer to compile (8 ms) than they save.
z.config({ jitless: true });

/** How long a hook waits for a locked store before its event goes to the spool, in ms; a start, whose answer the client reads, longer. */
const eventBusyMs = 200;
const startBusyMs = 5_000;
/** A repair takes up to 20 ms for each megabyte, and the client kills a hook after ten seconds. */
const maxUpkeepBytes = 200_000_000;

async function main(event: string): Promise<void> {
  // node:sqlite and not better-sqlite3: it is part of node, so there is no binary to load (7 ms on the machine this was measured on).
  const busyMs = event === "SessionStart" ? startBusyMs : eventBusyMs;
  const runtime = systemRuntime({ driver: openNodeSqlite, busyMs, maxUpkeepBytes });
  const clientPid = Number(process.env["CLAUDE_PID"]) || clientPidOf(runtime.processes, process.env, process.ppid);
  const answer = answerHook(runtime, event, () => readFileSync(0, "utf8"), clientPid);
  // Not process.stdout: making that stream loads node:net.
  if (answer) writeSync(1, answer);
  if (event === "PreToolUse" && runtime.config.checkpoint.beforeTools.length > 0) {
    const { takeBeforeTool } = await import("../snapshots/pending.ts");
    await takeBeforeTool(runtime);
  }
  // The store is not closed: the last one to close it would bring the whole write-ahead log into the file, with four fsyncs, while the client waits.
}

main(process.argv[2] ?? "").catch((error: unknown) => {
  writeSync(2, `shim hook: ${stackOf(error)}\n`);
});
