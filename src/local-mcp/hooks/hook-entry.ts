/**
 * `node hook.cjs <Event> [--client <name>]`; exit code 0: a hook must not break the client.
 * `node hook.cjs stream --client <name>` answers the events on its lines until stdin ends.
 * `node hook.cjs shim_hook` answers the arguments of the hook tool, where no host does.
 */
import { writeSync } from "node:fs";
import * as z from "zod/mini";
import { adapterOf } from "../../clients/adapters.ts";
import { claudeCode } from "../../clients/claude-code.ts";
import type { ClientAdapter } from "../../clients/client-adapter.ts";
import { hookTool } from "../../contract/hook-tool.ts";
import { HomeError, homeFrom, pathsIn } from "../../platform/paths.ts";
import { skipShells, systemProcesses } from "../../platform/processes.ts";
import { hasClaudeVariables } from "./foreign-callers.ts";
import { openNodeSqlite } from "../../store/driver-node-sqlite.ts";
import { maxUpkeepBytes, systemRuntime } from "../../runtime/system-runtime.ts";
import { problemEvents } from "./answer-hook.ts";
import { answerProcess, isOfForeignCaller, type ProcessEvent } from "./answer-process.ts";
import { toHookInput } from "./hook-tool-input.ts";
import { finishEvent } from "./finish-event.ts";
import { exitWithPendingRead, foreignLimits, ownLimits, readStdin } from "./hook-stdin.ts";
import { answerStdin } from "./hook-stream.ts";
import { stackOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";

// For a single input zod's compiled parsers take longer to compile (8 ms) than they save.
z.config({ jitless: true });

/** Wait for a locked store before an event is spooled; a start waits longer [HO14]. */
const eventBusyMs = 200;
const startBusyMs = 5_000;

async function main(event: string, client: string): Promise<void> {
  const adapter = adapterOf(client);
  if (!adapter) throw new HomeError(`"${client}" is not a client that SHIM knows`);
  if (event === "stream") return answerStream(adapter);
  if (event === hookTool) return answerArguments();
  const isOwn = adapter !== claudeCode || hasClaudeVariables(process.env);
  const { text: input, isCutOff } = await readStdin(isOwn ? ownLimits : foreignLimits);
  const given = { event, input, client: adapter, env: process.env, parent: process.ppid };
  const callers = { path: pathsIn(homeFrom(process.env)).foreignCallers, now: Date.now() };
  if (!isOfForeignCaller(given, callers)) await store(given);
  if (isCutOff) exitWithPendingRead();
}

async function answerStream(client: ClientAdapter): Promise<void> {
  const options = { driver: openNodeSqlite, busyMs: eventBusyMs, maxUpkeepBytes };
  await answerStdin(client, skipShells(systemProcesses, process.ppid), options);
}

async function answerArguments(): Promise<void> {
  const { text } = await readStdin(ownLimits);
  const given = toHookInput(parseJson(text));
  if (!given) return;
  const input = JSON.stringify(given.input);
  await store({ event: given.event, input, client: claudeCode, env: process.env, parent: process.ppid });
}

async function store(given: ProcessEvent): Promise<void> {
  const { event } = given;
  // node:sqlite, unlike better-sqlite3, has no binary to load (7 ms on the machine measured).
  const waits = event === "SessionStart" ? { busyMs: startBusyMs, totalBusyMs: startBusyMs } : { busyMs: eventBusyMs };
  const runtime = systemRuntime({ driver: openNodeSqlite, ...waits, maxUpkeepBytes });
  const answer = answerProcess(runtime, given);
  // Not process.stdout: making that stream loads node:net.
  if (answer) writeSync(1, answer);
  await finishEvent(runtime, event);
  // The store stays open: the last close would checkpoint the write-ahead log (four fsyncs).
}

const [, , event = "", flag, named = ""] = process.argv;
main(event, flag === "--client" ? named : claudeCode.name).catch((error: unknown) => {
  if (!(error instanceof HomeError)) writeSync(2, `shim hook: ${stackOf(error)}\n`);
  else if (problemEvents.has(event))
    writeSync(1, JSON.stringify({ systemMessage: `SHIM cannot save: ${error.message}` }));
  else writeSync(2, `shim hook: ${error.message}\n`);
});
