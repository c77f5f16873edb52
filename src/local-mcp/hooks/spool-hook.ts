import { adapterOf } from "../../clients/adapters.ts";
import type { HookClient } from "../../contract/clients.ts";
import { HookInput, isHookEvent } from "../../contract/hook-input.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { identify } from "../../platform/processes.ts";
import { label } from "../sessions/entries.ts";
import { drain, isEmpty, type SpoolEntry } from "../../store/spool.ts";
import { StoreError } from "../../store/store-error.ts";
import { isRecorded } from "./recorded-events.ts";
import { runHook } from "./run-hook.ts";

/**
 * [HO47] Drops an entry that fails for a reason other than the store: it would block the rest.
 * @throws {StoreError} while the store is unwritable; all entries stay
 */
export function drainInto(runtime: Runtime, maxMs = maxDrainMs): number {
  if (isEmpty(runtime.paths.spool)) return 0;
  // A host that is killed while it opens the store did not die of an entry.
  runtime.store.connection();
  const end = runtime.now() + maxMs;
  const limits = { maxFiles, isTimeUp: () => runtime.now() >= end };
  const apply = (entry: SpoolEntry): void => {
    const { event, clientPid } = entry;
    const id = typeof entry["id"] === "string" ? entry["id"] : undefined;
    const input = HookInput.safeParse(entry["input"]);
    if (typeof event !== "string" || !isHookEvent(event) || !input.success) {
      runtime.log("warn", "spooled entry is not a hook event", { event: label(String(event)) });
      return;
    }
    if (isRecorded(runtime.store, id)) return;
    const clientName = clientOf(entry);
    const pastRuntime = { ...runtime, env: entryEnv(runtime, entry), now: () => entry.at };
    // If another process has the id by now, the client is gone.
    const isSame = identify(runtime.processes, Number(clientPid))?.start === entry["clientStart"];
    try {
      const ownPid = isSame ? Number(clientPid) : noProcessId;
      runHook(pastRuntime, { event, input: input.data, clientName, clientPid: ownPid, id, isLate: true });
    } catch (error) {
      if (error instanceof StoreError) throw error;
      runtime.log("error", `spooled ${event} was dropped`, { error: String(error) });
    }
  };
  return drain(runtime.paths.spool, apply, limits);
}

/** An entry without a known client is Claude Code's. */
function clientOf({ clientName }: SpoolEntry): HookClient {
  return (typeof clientName === "string" ? adapterOf(clientName)?.name : undefined) ?? "claude-code";
}

/** [RE106] The event's client decides whether a user attended the session. */
function entryEnv({ env }: Runtime, { entryPoint }: SpoolEntry): NodeJS.ProcessEnv {
  return { ...env, CLAUDE_CODE_ENTRYPOINT: typeof entryPoint === "string" ? entryPoint : undefined };
}

/** The host calls again two seconds later. */
const maxDrainMs = 1_000;
const maxFiles = 500;

const noProcessId = -1;
