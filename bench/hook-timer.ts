import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { clientFiles } from "../src/clients/client-files.ts";
import type { OtherClientName } from "./restore/other-clients.ts";
import type { RestoreRig } from "./restore/restore-rig.ts";

/** Codex measures its hooks itself, and does not trust those that were changed. */
export type TimedClient = Exclude<OtherClientName, "codex">;
export const timedClients = ["copilot", "opencode", "qwen", "gemini"] as const satisfies readonly TimedClient[];

const ownDist = join(import.meta.dirname, "..", "dist");

/** Bash's own clock: a program would cost what it measures. */
const timer = `started=$EPOCHREALTIME
"$@"
code=$?
ended=$EPOCHREALTIME
echo "$3 $(( \${ended/./} - \${started/./} ))" >> "$(dirname "$0")/times.txt"
exit $code
`;

/** OpenCode waits for its plugin, which keeps a process: the plugin's answers are timed. */
const pluginTimer = (plugin: string, times: string): string => `import { appendFileSync } from "node:fs";
const timed = ["chat.message", "tool.execute.before", "tool.execute.after", "session.idle"];
const timedHook = (hook, name) => async (given, output) => {
  const started = performance.now();
  await hook(given, output);
  const event = name === "event" ? given.event.type : name;
  const micros = Math.round(1_000 * (performance.now() - started));
  if (timed.includes(event)) appendFileSync(${JSON.stringify(times)}, \`\${event} \${micros}\\n\`);
};
const Shim = async (input) => {
  const hooks = await (${plugin})(input);
  return Object.fromEntries(Object.entries(hooks).map(([name, hook]) => [name, timedHook(hook, name)]));
};
`;

/**
 * Has a timer around each hook of a client that SHIM is set up in.
 *
 * @param dist the build that the hooks are of
 */
export function timeHooks(client: TimedClient, { home }: RestoreRig, dist = ownDist): void {
  const file = join(home, clientFiles[client]?.hooks.file ?? "");
  const text = readFileSync(file, "utf8");
  const timed = (client === "opencode" ? timedPlugin : timedCommands)(text, home).replaceAll(ownDist, dist);
  if (timed === text) throw new Error(`${file} starts no hook of this copy`);
  writeFileSync(file, timed);
}

function timedCommands(text: string, home: string): string {
  const script = join(home, "timer.sh");
  writeFileSync(script, timer);
  const command = `${process.execPath} ${join(ownDist, "hook.cjs")}`;
  return text.replaceAll(command, `bash ${script} ${command}`);
}

function timedPlugin(text: string, home: string): string {
  return text.replace(
    /export const Shim = (.*);/,
    (_, plugin: string) => `${pluginTimer(plugin, join(home, timesFile))}export { Shim };`,
  );
}

const timesFile = "times.txt";

/** Times of the hooks in ms, by event. */
export function hookTimesOf({ home }: RestoreRig): ReadonlyMap<string, readonly number[]> {
  const path = join(home, timesFile);
  const lines = existsSync(path) ? readFileSync(path, "utf8").trim().split("\n") : [];
  const rows = lines.map((line) => line.split(" "));
  return new Map(
    [...new Set(rows.map(([event = ""]) => event))].map((event) => [
      event,
      rows.filter(([one]) => one === event).map(([, micros]) => Number(micros) / 1_000),
    ]),
  );
}
