import {
  asProcessIdentity,
  isAlive,
  isInOtherNamespace,
  type ProcessIdentity,
  type Processes,
} from "../../platform/processes.ts";
import { parseJson } from "../../shared/json-fields.ts";

export function processKey({ boot, pid, start }: ProcessIdentity): string {
  return JSON.stringify([boot, pid, start]);
}

export function readProcessKey(key: string): ProcessIdentity | null {
  const value = parseJson(key);
  if (!Array.isArray(value)) return null;
  const [boot, pid, start] = value as unknown[];
  return asProcessIdentity({ boot, pid, start });
}

/** Processes that cannot be seen from here, such as those of another container, give null. */
export function processLives(processes: Processes, key: string): boolean | null {
  const identity = readProcessKey(key);
  return identity === null || isInOtherNamespace(processes, identity) ? null : isAlive(processes, identity);
}
