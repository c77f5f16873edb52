import { shellCommandOf } from "../../clients/adapter/tools.ts";
import type { HookInput } from "../../contract/hooks.ts";
import type { Processes } from "../../platform/processes.ts";
import type { AwaitedRun } from "../../runtime/permission-requests.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as sessions from "./sessions.ts";

/** @returns null: no command is asked for, or its client is not known */
export function awaitedRun(
  { processes, store }: Pick<Runtime, "processes" | "store">,
  { session, input }: { readonly session: string; readonly input: HookInput },
): AwaitedRun | null {
  const command = shellCommandOf(input.tool_name ?? "", input.tool_input)?.text;
  const client = store.read((sql) => sessions.get(sql, session), null)?.owner?.pid;
  if (command === undefined || client === undefined) return null;
  return { command: withoutQuotes(command), client, before: new Set(processes.children(client).keys()) };
}

/** Whether a new child of the client was started with the command. */
export function isRunSeen(processes: Processes, { command, client, before }: AwaitedRun): boolean {
  const begun = [...processes.children(client)].filter(([pid]) => !before.has(pid));
  return begun.some(([, words]) => withoutQuotes(words).includes(command));
}

/** A client may quote a command for its shell. Blanks at both ends bound it. */
function withoutQuotes(text: string): string {
  return ` ${text.replaceAll(/["'\\]/g, "").trim()} `.replaceAll(/\s+/g, " ");
}
