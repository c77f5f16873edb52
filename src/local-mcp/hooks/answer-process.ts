import { claudeCode } from "../../clients/claude-code.ts";
import type { ClientAdapter } from "../../clients/client-adapter.ts";
import { clientPidOf, skipShells, type Processes } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { answerHook } from "./answer-hook.ts";
import { foreignCaller, recordForeignCaller } from "./foreign-callers.ts";

/** An event that a client gives a process of its own. */
export interface ProcessEvent {
  readonly event: string;
  readonly input: string;
  readonly client: ClientAdapter;
  readonly env: NodeJS.ProcessEnv;
  /** The process's parent. */
  readonly parent: number;
}

/** [HO36] Records the event of another client than the one that is named, and nothing of it. */
export function isOfForeignCaller(
  { client, env, input }: ProcessEvent,
  { path, now }: { readonly path: string; readonly now: number },
): boolean {
  const caller = client === claudeCode ? foreignCaller(env, parseJson(input)) : null;
  if (caller !== null) recordForeignCaller(path, caller, now);
  return caller !== null;
}

/** @returns what the process prints */
export function answerProcess(runtime: Runtime, { event, input, client, env, parent }: ProcessEvent): string {
  return answerHook(runtime, event, () => input, findClientPid(runtime.processes, client, env, parent), client);
}

/** Clients start a hook in a shell, which may stay as its parent. */
function findClientPid(processes: Processes, client: ClientAdapter, env: NodeJS.ProcessEnv, parent: number): number {
  if (client !== claudeCode) return skipShells(processes, parent);
  return Number(env["CLAUDE_PID"]) || clientPidOf(processes, env, parent);
}
