import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientFiles } from "../src/clients/client-files.ts";
import type { OtherClientName } from "./restore/other-clients.ts";
import type { RestoreRig } from "./restore/restore-rig.ts";

/** Codex measures its hooks itself, and does not trust those that were changed. */
export type TimedClient = Exclude<OtherClientName, "codex">;
export const timedClients = ["copilot", "opencode", "qwen", "gemini"] as const satisfies readonly TimedClient[];

const hookScript = join(import.meta.dirname, "..", "dist", "hook.cjs");

/** Bash's own clock: a program would cost what it measures. */
const timer = `started=$EPOCHREALTIME
"$@"
code=$?
ended=$EPOCHREALTIME
echo "$3 $(( \${ended/./} - \${started/./} ))" >> "$(dirname "$0")/times.txt"
exit $code
`;

/** Has each hook of a client that SHIM is set up in start below a timer. */
export function timeHooks(client: TimedClient, { home }: RestoreRig): void {
  const script = join(home, "timer.sh");
  writeFileSync(script, timer);
  const file = join(home, clientFiles[client]?.hooks.file ?? "");
  const text = readFileSync(file, "utf8");
  const timed = text
    .replaceAll(`${process.execPath} ${hookScript}`, `bash ${script} ${process.execPath} ${hookScript}`)
    .replace(`["${process.execPath}","${hookScript}"]`, JSON.stringify(["bash", script, process.execPath, hookScript]));
  if (timed === text) throw new Error(`${file} starts no hook of this copy`);
  writeFileSync(file, timed);
}

/** Times of the hooks in ms, by event. */
export function hookTimesOf({ home }: RestoreRig): ReadonlyMap<string, readonly number[]> {
  const path = join(home, "times.txt");
  const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  const rows = lines.map((line) => line.split(" "));
  return new Map(
    [...new Set(rows.map(([event = ""]) => event))].map((event) => [
      event,
      rows.filter(([one]) => one === event).map(([, micros]) => Number(micros) / 1_000),
    ]),
  );
}
