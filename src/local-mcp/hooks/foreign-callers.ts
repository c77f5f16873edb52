import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Clients seen to run SHIM's hooks, with the first call (epoch ms). A file avoids the store. */
export type ForeignCallers = Readonly<Record<string, number>>;

export function readForeignCallers(path: string): ForeignCallers {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ForeignCallers;
  } catch {
    return {};
  }
}

/**
 * [HO36] Written once per client. A lost concurrent write is repeated at the client's next call.
 */
export function recordForeignCaller(path: string, name: string, now: number): void {
  const known = readForeignCallers(path);
  if (known[name] !== undefined) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, JSON.stringify({ ...known, [name]: now }), { mode: 0o600 });
}
