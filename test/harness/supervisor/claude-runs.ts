import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { codex } from "#src/clients/codex/codex.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { init, lines, result, says } from "#harness/claude/fake-claude.ts";
import { aLiveChat, type LiveChat } from "#harness/supervisor/live-chats.ts";
import { SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";

export const prompt = "Fix the parser.";
const fix = { kind: "claude", folder: "project", prompt, args: ["--model", "opus"] } as const;

type Order = readonly (object | string)[] | "off" | null;

export interface RuleOptions {
  /** Parts of the rule. */
  readonly rule?: object;
  /** Further parts of config.json. */
  readonly config?: object;
  /** A supervisor of the same machine, which died. */
  readonly after?: SupervisorRig;
}

/** @param order of the rule for usage limits; null: there is none */
export async function aRig(order: Order = null, { rule, config, after }: RuleOptions = {}): Promise<SupervisorRig> {
  const limits = order === "off" ? {} : { mostUsd: null, mostHours: 24, ...rule };
  const atLimit = order === null ? [] : [{ folder: "/", order, ...limits }];
  const env = { PATH: "/bin", SHIM_X_TOKEN: "t", OTHER: "x" };
  const beside = after ? { beside: after.runtime } : {};
  const rig = new SupervisorRig({ watch: { fix } }, { env, config: { ...config, atLimit }, ...beside });
  mkdirSync(join(rig.folder, "project"), { recursive: true });
  await rig.begin();
  if (!after) await rig.until(() => rig.runs.length > 0);
  return rig;
}

export function valueAfter(rig: SupervisorRig, option: string): string | undefined {
  const { args = [] } = rig.runs.at(-1)?.program ?? {};
  return args.includes(option) ? args[args.indexOf(option) + 1] : undefined;
}

/** The prompt of the run with this number, the first being 0. */
export function promptOf(rig: SupervisorRig, run: number): string {
  const { input, args } = rig.runs[run]!.program;
  if (!args.includes("--input-format")) return input;
  return (JSON.parse(input) as { message: { content: string } }).message.content;
}

/** The session of its command has begun. */
export function live(rig: SupervisorRig, change: Partial<LiveChat> = {}): string {
  const id = valueAfter(rig, "--session-id") ?? valueAfter(rig, "--resume") ?? "";
  const folder = join(rig.folder, "project");
  aLiveChat(rig.runtime, { id, pid: 500 + rig.runs.length, folder, ...change });
  prints(rig, init({ session_id: id }));
  return id;
}

export const codexId = "01a2045f-b750-74a3-8d32-75b263a4244d";

export async function die(rig: SupervisorRig, code = 137): Promise<void> {
  rig.runtime.processes.kill(500 + rig.runs.length);
  await rig.end(code);
}

/** It crashes, and what follows at once has happened. */
export async function crash(rig: SupervisorRig, code?: number): Promise<void> {
  const { length } = rig.runs;
  await die(rig, code);
  const isDue = rig.emitted("ended").at(-1)?.phase === "due";
  await rig.pass(10_000);
  if (isDue) await rig.until(() => rig.runs.length > length || rig.emitted("ended").at(-1)?.phase !== "due");
}

export function prints(rig: SupervisorRig, ...events: object[]): void {
  for (const line of lines(...events).split("\n")) rig.runs.at(-1)?.program.onLine(line);
}

/** Its hooks report that Codex has begun, in the process of this run, and has done something. */
export function codexWorks(rig: SupervisorRig, prompt = "Fix the parser. Codex is at it."): void {
  const { env, cwd } = rig.runs.at(-1)!.program;
  const pid = 500 + rig.runs.length;
  rig.runtime.processes.start(pid);
  const runtime = { ...rig.runtime, env };
  const send = (event: string, fields: object): void => {
    const input = { session_id: codexId, cwd, ...fields };
    answerHook(runtime, event, () => JSON.stringify(input), pid, codex);
  };
  send("SessionStart", { source: "startup" });
  send("UserPromptSubmit", { prompt });
  send("PreToolUse", { tool_name: "Bash", tool_use_id: "c1", tool_input: { command: "npm test" } });
  prints(rig, { type: "thread.started", thread_id: codexId });
}

/** Time passes until the run with this number, the first being 1, has begun. */
export async function passToRun(rig: SupervisorRig, ms: number, run: number): Promise<void> {
  await rig.pass(ms);
  await rig.until(() => rig.runs.length >= run);
}

/** @param resetsInMs absent: the end of the limit is not reported */
export function limitIt(rig: SupervisorRig, resetsInMs?: number): Promise<void> {
  const resetsAt = Math.floor((rig.runtime.now() + (resetsInMs ?? 0)) / 1_000);
  const limit = { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt } };
  prints(
    rig,
    ...(resetsInMs === undefined ? [] : [limit]),
    says({ error: "rate_limit", api_error: "usage_limit_reached" }),
    result({ is_error: true, result: "You've hit your limit" }),
  );
  return die(rig, 1);
}
