import { adapterOf } from "../../clients/adapters.ts";
import type { HookClient } from "../../contract/clients.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { statedProcess, systemProcesses } from "../../platform/processes.ts";
import { stackOf } from "../../shared/error.ts";
import type { HostHome } from "../front/reach-host.ts";
import { findClientPid } from "./client-process.ts";
import type { HookCall } from "./hook-context.ts";
import { problemEvents, problemText } from "./hook-problem.ts";
import type { SentEvent } from "./post-event.ts";
import { readEvent } from "./read-event.ts";
import { eventIdOf } from "./recorded-events.ts";
import { spoolEvent } from "./spool-event.ts";

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
  const { client, calls } = readEvent(given, (reason) => log("error", "hook did nothing", { reason }));
  const isSpooled = (call: HookCall): boolean => {
    try {
      spoolEvent({ processes: systemProcesses, env, paths, now: Date.now }, call);
      return true;
    } catch (error) {
      log("error", `${call.event} is lost: it could not be spooled`, { error: stackOf(error) });
      return false;
    }
  };
  const isLater = calls.every(isSpooled);
  const isShown = (problem !== null || !isLater) && calls.some((call) => problemEvents.has(call.event));
  if (!isShown) return "";
  const reason = (problem ?? "the host does not answer").replace(/[^.]$/, "$&.");
  return JSON.stringify(client.answer(event, { systemMessage: problemText({ env, launch }, reason, isLater) }));
}
