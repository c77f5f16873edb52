/** `npm run demo`: a chat that is killed and goes on, then a team of workers. `-- --only team` shows one of them, `-- --only story` three chats of the real Claude Code, `-- --json` answers JSON. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import { messageOf } from "../src/shared/error.ts";

const launcher = join(import.meta.dirname, "..", "bin", "shim.mjs");
const parts = ["chat", "team", "story"] as const;
type Part = (typeof parts)[number];

interface Shown {
  readonly isComplete: boolean;
  readonly data: unknown;
}

const interrupted = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted.abort());

/** The demo of the command, which writes its own report. */
async function chat(isJson: boolean): Promise<Shown> {
  const args = [launcher, "demo", ...(isJson ? ["--json"] : [])];
  const child = spawn(process.execPath, args, { stdio: ["ignore", isJson ? "pipe" : "inherit", "inherit"] });
  // A terminal sends Ctrl-C to both.
  interrupted.signal.addEventListener("abort", () => void child.kill("SIGTERM"));
  let out = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (out += text));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  return { isComplete: code === 0, data: isJson ? (JSON.parse(out) as unknown) : null };
}

async function team(isJson: boolean): Promise<Shown> {
  const reason = await whyNot();
  if (reason !== null) {
    if (!isJson) process.stdout.write(`The second part, a team of workers on a coordinator, is skipped: ${reason}.\n`);
    return { isComplete: true, data: { skipped: reason } };
  }
  const [{ TeamDemo }, { textOf }] = await Promise.all([import("./team-demo.ts"), import("./team-checks.ts")]);
  const startedAt = performance.now();
  const tell = (text: string): void => {
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1).padStart(5);
    process.stderr.write(`${seconds} s  ${text}\n`);
  };
  const { env, execPath: node } = process;
  const demo = new TeamDemo({ env, node, now: Date.now, tell, signal: interrupted.signal });
  try {
    const result = await demo.run();
    if (!isJson) process.stdout.write(textOf(result, paint));
    return { isComplete: result.isComplete, data: result };
  } finally {
    await demo.close();
  }
}

/** Takes minutes and the real client, so it is shown on request alone. */
async function story(isJson: boolean): Promise<Shown> {
  const { showStory, whyNoStory } = await import("./story/show.ts");
  const reason = whyNoStory();
  if (reason !== null) {
    if (!isJson) process.stdout.write(`${reason}\n`);
    return { isComplete: true, data: { skipped: reason } };
  }
  const result = await showStory(interrupted.signal, (line) => void process.stderr.write(`${line}\n`));
  if (!isJson) process.stdout.write(result.text(paint));
  return { isComplete: result.isComplete, data: result.data };
}

function paint(color: "green" | "red", text: string): string {
  return styleText(color, text, { stream: process.stdout });
}

/** Why the runtime cannot be started here; null when it can. */
async function whyNot(): Promise<string | null> {
  if (process.platform === "win32") return "it ends processes in a way that Windows does not support";
  for (const name of ["miniflare", "esbuild"]) {
    try {
      await import(name);
    } catch (error) {
      return `${name} cannot be loaded (${messageOf(error).split("\n")[0]})`;
    }
  }
  return null;
}

function chosen(): { readonly shown: readonly Part[]; readonly isJson: boolean } {
  const { values } = parseArgs({ options: { only: { type: "string" }, json: { type: "boolean", default: false } } });
  const shown = parts.filter((part) => (values.only === undefined ? part !== "story" : values.only === part));
  if (shown.length === 0) throw new Error(`--only takes ${parts.join(", ")}.`);
  return { shown, isJson: values.json };
}

async function show(): Promise<boolean> {
  const { shown, isJson } = chosen();
  const run = { chat, team, story };
  const told: [Part, unknown][] = [];
  let isComplete = true;
  for (const part of shown) {
    interrupted.signal.throwIfAborted();
    const one = await run[part](isJson);
    isComplete &&= one.isComplete;
    told.push([part, one.data]);
    // What was wrong with the first part, git missing for one, would hide in the second.
    if (!one.isComplete) break;
  }
  if (isJson) process.stdout.write(`${JSON.stringify({ isComplete, ...Object.fromEntries(told) }, null, 2)}\n`);
  return isComplete;
}

try {
  process.exitCode = (await show()) ? 0 : 1;
} catch (error) {
  const said = interrupted.signal.aborted
    ? "interrupted; all that was started has been ended and removed."
    : messageOf(error);
  process.stderr.write(`${said}\n`);
  process.exitCode = 1;
}
