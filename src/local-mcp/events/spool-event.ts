import { attendanceVariables } from "../../clients/adapter/attendance.ts";
import { adapterOf } from "../../clients/adapters.ts";
import type { HookClient } from "../../contract/clients.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { identify, statedProcess, systemProcesses } from "../../platform/processes.ts";
import { redactJson, boundTexts } from "../../redaction/redact-json.ts";
import { redactAndKeepEnds } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { asObject, pick } from "../../shared/json-fields.ts";
import { append } from "../../store/spool.ts";
import type { HostHome } from "../host-client/reach-host.ts";
import { pathOf } from "../../machine/sessions/entries.ts";
import { problemEvents, problemText, type SentEvent } from "./post-event.ts";
import {
  eventIdOf,
  findClientPid,
  readEvent,
  type GivenEvent,
  type IncomingEvent,
  type ReadEvent,
  type UnreadInput,
} from "./read-event.ts";

/** Limit of a spooled text, in characters: the store keeps no more. */
const maxText = 32_000;
const wordEnds = { head: 20_000, tail: 10_000 };

/** @throws when not even the spool can be written */
export function spoolEvent(
  { processes, env, paths, now }: Pick<Runtime, "processes" | "env" | "paths" | "now">,
  { event, input, client, clientPid, id }: IncomingEvent,
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
    clientName: client.name,
    client: identify(processes, clientPid),
    attendance: pick(env, attendanceVariables),
    input: redactJson(boundTexts(fields, maxText)).value,
  });
}

/** @returns why the spool cannot be written either, and the event is lost; null: it waits there */
export function trySpool(source: SpoolSource, incoming: IncomingEvent): string | null {
  try {
    spoolEvent(source, incoming);
    return null;
  } catch (error) {
    source.log("error", `${incoming.event} is lost: it could not be spooled`, { error: stackOf(error) });
    return messageOf(error);
  }
}

export const unreadText = "the input of a hook could not be read";

/** The input as it is kept or waits in the spool: without secrets. */
export function redactUnread({ text, cwd, ...input }: UnreadInput): UnreadInput {
  return { ...input, cwd: cwd === null ? null : pathOf(cwd), text: redactAndKeepEnds(text, wordEnds) };
}

type SpoolSource = Pick<Runtime, "processes" | "env" | "paths" | "now" | "log">;

/**
 * Keeps what could be read of an event, and what could not, until a host applies it.
 *
 * @returns with why a part is lost
 */
export function spoolGiven(
  source: SpoolSource,
  given: GivenEvent,
): Pick<ReadEvent, "client" | "events"> & { readonly loss: string | null } {
  const { log } = source;
  const { client, events, unread } = readEvent(given, (reason) => log("error", unreadText, { reason }));
  const loss = events.map((one) => trySpool(source, one)).find((reason) => reason !== null) ?? null;
  if (unread !== null) spoolUnread(source, unread);
  return { client, events, loss };
}

/** Only the host knows whether SHIM is paused. */
function spoolUnread({ paths, now, log }: SpoolSource, unread: UnreadInput): void {
  try {
    append(paths.spool, { at: now(), unread: redactUnread(unread) });
  } catch (error) {
    log("error", "an input that could not be read is lost: it could not be spooled", { error: stackOf(error) });
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
  // The client of a process that is gone is not known.
  const parent = statedProcess(systemProcesses, stated)?.parent ?? 0;
  const clientPid = findClientPid(systemProcesses, named, env, parent);
  const given = { event, input, client: named, env, clientPid, id: eventIdOf(event, stated) };
  const { client, events, loss } = spoolGiven({ processes: systemProcesses, env, paths, now: Date.now, log }, given);
  const reason = loss ?? problem;
  const isShown = reason !== null && events.some((one) => problemEvents.has(one.event));
  if (!isShown) return "";
  return JSON.stringify(client.answer(event, { systemMessage: problemText({ env, launch }, reason, loss === null) }));
}
