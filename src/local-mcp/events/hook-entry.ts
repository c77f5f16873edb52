/**
 * `node hook.cjs <Event> [--client <name>]` has the host answer an event. Where no host can be
 * reached it waits in the spool. Exit code 0: a hook must not break the client.
 * `node hook.cjs shim_hook` spools the arguments of the hook tool, where no host does.
 */
import { fileURLToPath } from "node:url";
import * as z from "zod/mini";
import { hookClients, type HookClient } from "../../contract/clients.ts";
import { hookTool } from "../../contract/hook-tool.ts";
import { launchOf } from "../../platform/shim-command.ts";
import { fileLog } from "../../platform/log-file.ts";
import { HomeError, homeFrom, pathsIn } from "../../platform/paths.ts";
import { endSignals, ownStatement } from "../../platform/processes.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { NoHostError, type HostHome } from "../host-client/reach-host.ts";
import { hasClaudeVariables, isOfForeignCaller } from "./payload.ts";
import { problemEvents, postEvent, undecided, type SentEvent } from "./post-event.ts";
import { endReading, foreignLimits, ownLimits, readStdin, writeTo } from "./hook-stdin.ts";
import type { UnansweredEvent } from "./spool-event.ts";

// For a single input zod's compiled parsers take longer to compile (8 ms) than they save.
z.config({ jitless: true });

const { env } = process;

async function main(event: string, name: string): Promise<void> {
  const client = hookClients.find((one) => one === name);
  if (client === undefined) throw new HomeError(`"${name}" is not a client that SHIM knows`);
  if (event === hookTool) return spoolArguments();
  const ended = new AbortController();
  for (const signal of endSignals) process.on(signal, () => ended.abort());
  const isOwn = client !== "claude-code" || hasClaudeVariables(env);
  const limits = isOwn ? ownLimits : foreignLimits;
  const { text: input, isCutOff, isOpen } = await readStdin(limits, (work) => onAbort(ended.signal, work));
  const host = hostHome();
  const isNothingRead = input === "" && ended.signal.aborted;
  if (!isNothingRead && !isOfForeignCaller({ client, env, input })) {
    const sent = { client, event, input, process: env["SHIM_HOOK_PROCESS"] ?? ownStatement() };
    const empty = event === "PermissionRequest" && client === "claude-code" ? undecided : "";
    await writeTo(1, (await answerOf(host, sent, isCutOff, ended.signal)) || empty);
  }
  if (isOpen) endReading();
}

function onAbort(signal: AbortSignal, work: () => void): void {
  signal.addEventListener("abort", work, { once: true });
}

function hostHome(): HostHome {
  return { home: homeFrom(env), env, launch: launchOf(fileURLToPath(import.meta.url)) };
}

async function answerOf(
  host: HostHome,
  sent: SentEvent & { readonly client: HookClient },
  isCutOff: boolean,
  ended: AbortSignal,
): Promise<string> {
  // The time for an answer is over: the script has waited for it, or the client for its own input.
  if (isCutOff || ended.aborted || env["SHIM_HOOK_WAITED"] !== undefined)
    return spool(host, { ...sent, problem: null });
  try {
    return await postEvent(host, sent, ended);
  } catch (error) {
    const isProblem = error instanceof NoHostError && !error.isStarting;
    return spool(host, { ...sent, problem: isProblem ? messageOf(error) : null });
  }
}

/** Loads only then what redacts an event. */
async function spool(host: HostHome, unanswered: UnansweredEvent): Promise<string> {
  const { spoolUnanswered } = await import("./spool-event.ts");
  return spoolUnanswered(host, unanswered);
}

async function spoolArguments(): Promise<void> {
  const { text } = await readStdin(ownLimits);
  const { toHookInput } = await import("./read-event.ts");
  const given = toHookInput(parseJson(text));
  if (!given) return;
  const { event } = given;
  const input = JSON.stringify(given.input);
  const process = ownStatement();
  await writeTo(1, await spool(hostHome(), { client: "claude-code", event, input, process, problem: "no host runs." }));
}

const [, , event = "", flag, named = ""] = process.argv;
main(event, flag === "--client" ? named : "claude-code").catch((error: unknown) => {
  // Some clients show what is on stderr, most drop it.
  if (!(error instanceof HomeError))
    return fileLog(pathsIn(homeFrom(env)).log, Date.now)("error", "a hook failed", { event, error: stackOf(error) });
  if (!problemEvents.has(event)) return writeTo(2, `shim hook: ${error.message}\n`);
  return writeTo(1, JSON.stringify({ systemMessage: `SHIM cannot save: ${error.message}` }));
});
