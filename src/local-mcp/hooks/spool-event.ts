import { adapterOf } from "../../clients/adapters.ts";
import type { HookClient } from "../../contract/clients.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { identify, statedProcess, systemProcesses } from "../../platform/processes.ts";
import { redactJson } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { asObject, pick } from "../../shared/json-fields.ts";
import { append } from "../../store/spool.ts";
import type { HostHome } from "../front/reach-host.ts";
import { boundTexts, redactAndKeepEnds } from "../sessions/entries.ts";
import { problemEvents, problemText } from "./hook-problem.ts";
import type { SentEvent } from "./post-event.ts";
import { eventIdOf, findClientPid, readEvent, type IncomingEvent } from "./read-event.ts";

/** Limit of a spooled text, in characters: the store keeps no more. */
const maxText = 32_000;
const wordEnds = { head: 20_000, tail: 10_000 };

/** @throws when not even the spool can be written */
export function spoolEvent(
  { processes, env, paths, now }: Pick<Runtime, "processes" | "env" | "paths" | "now">,
  { event, input, clientName, clientPid, id }: IncomingEvent,
): void {
  const { tool_response: response, ...fields } = input;
  // The journal reads only these fields of a tool's answer: its kind, and a new task's number.
  const kept = asObject(response);
  if (kept) Object.assign(fields, { tool_response: pick(kept, ["type", "task"]) });
  for (const name of ["prompt", "last_assistant_message"] as const)
    if (fields[name] !== undefined) fields[name] = redactAndKeepEnds(fields[name], wordEnds);
  append(paths.spool, {
    at: now(),
    id,
    event,
    clientName,
    client: identify(processes, clientPid),
    entryPoint: env["CLAUDE_CODE_ENTRYPOINT"],
    input: redactJson(boundTexts(fields, maxText)).value,
  });
}

/** @returns false when the spool cannot be written either: the event is lost */
export function trySpool(
  source: Pick<Runtime, "processes" | "env" | "paths" | "now" | "log">,
  incoming: IncomingEvent,
): boolean {
  try {
    spoolEvent(source, incoming);
    return true;
  } catch (error) {
    source.log("error", `${incoming.event} is lost: it could not be spooled`, { error: stackOf(error) });
    return false;
  }
}

/** An event that has no answer of a host. */
export interface UnansweredEvent extends SentEvent {
  readonly client: HookClient;
  /** Why no host can be reached; null: it was too slow, which passes. */
  readonly problem: string | null;
}

/** Keeps the event until a host reads it. @returns what the hook prints */
export function spoolUnanswered({ home, env, launch }: HostHome, unanswered: UnansweredEvent): string {
  const { client: name, event, input, process: stated, problem } = unanswered;
  const paths = pathsIn(home);
  const log = fileLog(paths.log, Date.now);
  const named = adapterOf(name);
  if (!named) return "";
  const parent = statedProcess(systemProcesses, stated)?.parent ?? process.ppid;
  const clientPid = findClientPid(systemProcesses, name, env, parent);
  const given = { event, input, client: named, env, clientPid, id: eventIdOf(event, stated) };
  const { client, events } = readEvent(given, (reason) => log("error", "hook did nothing", { reason }));
  const source = { processes: systemProcesses, env, paths, now: Date.now, log };
  const isLater = events.map((one) => trySpool(source, one)).every(Boolean);
  const isShown = (problem !== null || !isLater) && events.some((one) => problemEvents.has(one.event));
  if (!isShown) return "";
  const reason = (problem ?? "the host does not answer").replace(/[^.]$/, "$&.");
  return JSON.stringify(client.answer(event, { systemMessage: problemText({ env, launch }, reason, isLater) }));
}
