import type { ProcessIdentity } from "../../platform/processes.ts";

export function processKey({ boot, pid, start }: ProcessIdentity): string {
  return JSON.stringify([boot, pid, start]);
}

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
