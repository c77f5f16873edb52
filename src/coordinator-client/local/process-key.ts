import type { ProcessIdentity } from "../../platform/processes.ts";

/** A process as chats name theirs: opaque to others, and readable to every SHIM process of the machine. */
export function processKey({ boot, pid, start }: ProcessIdentity): string {
  return JSON.stringify([boot, pid, start]);
}

/** Null for a key that something else has made. */
export function readProcessKey(key: string): ProcessIdentity | null {
  try {
    const value: unknown = JSON.parse(key);
    if (!Array.isArray(value)) return null;
    const [boot, pid, start] = value as unknown[];
    return typeof boot === "string" && typeof pid === "number" && typeof start === "string"
      ? { boot, pid, start }
      : null;
  } catch {
    return null;
  }
}
