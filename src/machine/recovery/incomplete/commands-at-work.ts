import type { ToolRun, WorkState } from "../../../contract/work-state.ts";
import { withoutQuotes } from "../../../platform/processes.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { currentState } from "../../sessions/checkpoints/capture.ts";
import { isAlive } from "../../sessions/life/presence.ts";
import type { Session } from "../../sessions/sessions.ts";

/** Commands of a chat whose end was not seen, and the processes that run them now. */

export interface CommandAtWork {
  readonly command: string;
  /** Empty: the chat that waits for it is alive, and which processes run it is not known. */
  readonly pids: readonly number[];
}

/** Those that its death has left count, too. */
export function commandsAtWork(runtime: Runtime, session: Session): CommandAtWork[] {
  const state = runtime.store.read((sql) => currentState(sql, session.id), null);
  if (state === null) return [];
  const pids = pidsOfCommands(runtime, session, state);
  const { calls, asks } = state.life;
  const waiting = asks?.for === "prompt" ? undefined : asks?.call;
  const awaited = isAlive(runtime, session) ? calls.filter(({ id, isLost }) => !isLost && id !== waiting) : [];
  return commandsIn(state).flatMap(({ id, input }) => {
    const found = pids?.get(id) ?? [];
    return found.length > 0 || awaited.some((call) => call.id === id) ? [{ command: input, pids: found }] : [];
  });
}

function commandsIn({ life, background = [] }: WorkState): ToolRun[] {
  return [...life.calls, ...background].filter(({ name }) => name.startsWith("Bash"));
}

/** By the ids of the calls. @returns null: which processes work in a folder is not known */
export function pidsOfCommands(
  { processes }: Pick<Runtime, "processes">,
  { project, cwd }: Pick<Session, "project" | "cwd">,
  state: WorkState,
): ReadonlyMap<string, readonly number[]> | null {
  const commands = commandsIn(state);
  const folder = project ?? cwd;
  const found = folder === null || commands.length === 0 ? null : processes.inFolder(folder);
  return found && new Map(commands.map(({ id, input }) => [id, pidsOf(found, input)]));
}

const maxPids = 3;

/** The processes of the command itself, else the shells that were given it. */
function pidsOf(found: ReadonlyMap<number, string>, command: string): number[] {
  const text = withoutQuotes(command);
  const running = [...found].map(([pid, words]) => [pid, withoutQuotes(words)] as const);
  const own = running.filter(([, words]) => words === text);
  const all = own.length > 0 ? own : running.filter(([, words]) => words.includes(text));
  return all.map(([pid]) => pid).slice(0, maxPids);
}
