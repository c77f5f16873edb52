import { spawn } from "node:child_process";
import { isWithin } from "../../shared/known-time.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as meta from "../../store/meta.ts";

const intervalMs = 86_400_000;
/** A review of a thousand sessions takes seconds. */
const timeLimit = "5m";
const key = "reviewed_at";

/** Starts the daily review, in a process of its own: it would hold up the chat. */
export function reviewIfDue(runtime: Runtime): void {
  const now = runtime.now();
  if (runtime.config.kaizen === "off" || !runtime.store.write((sql) => claimReview(sql, now))) return;
  const { node, script } = runtime.launch;
  const child = spawn(node, [script, "report", "run", "--time-limit", timeLimit], {
    stdio: "ignore",
    windowsHide: true,
    env: runtime.env,
  });
  child.on("error", (error) => runtime.log("error", "the daily review did not start", { reason: error.message }));
  child.unref();
}

/** One process of all gets the day's review; a new store has nothing to review for a day. */
export function claimReview(sql: Sql, now: number): boolean {
  const last = meta.read(sql, key);
  if (last !== null && isWithin(now - Number(last), intervalMs)) return false;
  meta.write(sql, key, String(now));
  return last !== null;
}
