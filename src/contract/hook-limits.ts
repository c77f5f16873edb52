/**
 * How long a hook may take, in ms, the outermost wait first: each ends before the one around it, so
 * that there is time to store the event, and no client waits for SHIM.
 */

/** Host, while a person may answer a permission from elsewhere. */
export const holdMs = 570_000;
/** Programs that gave the host an event which it holds. */
export const heldMs = holdMs + 20_000;

/** The client, by its own settings. SessionStart reads the store and writes the brief. */
export function clientMs(event: string): number {
  if (event === "PermissionRequest") return holdMs + 30_000;
  return event === "SessionStart" ? 15_000 : 10_000;
}

/** The client, where an event goes through its MCP process. */
export const toolMs = 5_000;
/** SHIM's own code in the process of a client, where a hook program hangs. */
export const pluginMs = { event: 5_000, start: 15_000 } as const;

/** A hook program, for the answer of a host that runs. */
export function hostMs(event: string): number {
  if (/^session_?start$/i.test(event)) return 6_000;
  return event === "PreToolUse" || event === "PreCompact" ? 5_000 : 2_000;
}

/** The part of it that is left for the answer of a host that had to be started. */
export const lateHostMs = 200;
/** The host, for a checkpoint and its snapshot before the answer; files of a turn end earlier. */
export const savingMs = { checkpoint: 4_000, turn: 3_500 } as const;
/** A hook program, for its input, from the start of its process. */
export const inputMs = 1_500;
/** One event, for those that waited in the spool before it. */
export const drainMs = 300;
