import { callsOf } from "#harness/machine/host-rig.ts";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RemainingBudget, Usage } from "#src/contract/budgets.ts";
import type { Ran, Route, TierCounts } from "#src/contract/model-routes.ts";
import type { ClaimedTask, Progress } from "#src/contract/tasks.ts";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { omitUndefined } from "#src/shared/omit-undefined.ts";
import * as executors from "#src/runner/worker/client/claude-executor.ts";
import type { Executor, TaskRun as ExecutorRun } from "#src/runner/worker/executor.ts";
import { aClaim } from "#harness/worker/repository-rig.ts";
import { launchIn } from "#harness/machine/cli-home.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

export interface Part {
  /** Files that it writes where it works; null: deletes. */
  readonly files?: Readonly<Record<string, string | null>>;
  /** Written to stdout as they are, one by one. */
  readonly text: string;
  readonly complaint?: string;
  readonly code?: number;
  /** It works until it is interrupted, and then writes this; null: it ends at neither the interrupt nor a signal. */
  readonly atInterrupt?: string | null;
}

export interface Started {
  readonly args: readonly string[];
  readonly input: string;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

const program = (node: string): string => `#!${node}
const fs = require("node:fs");
if (process.argv[2] === "--version") { console.log("2.1.328 (Claude Code)"); process.exit(); }
const parts = JSON.parse(fs.readFileSync(__dirname + "/parts.json", "utf8"));
const log = __dirname + "/started.jsonl";
const at = fs.existsSync(log) ? fs.readFileSync(log, "utf8").split("\\n").length - 1 : 0;
const part = parts[Math.min(at, parts.length - 1)];
// Claude Code is given lines of JSON; other clients a text and signals.
const isDialog = process.argv.includes("--input-format");
const lines = isDialog ? require("node:readline").createInterface({ input: process.stdin }) : null;
if (lines) lines.once("line", (line) => begin(JSON.parse(line).message.content));
else begin(fs.readFileSync(0, "utf8"));
function begin(input) {
  const env = { ...process.env, FAKE_PID: String(process.pid) };
  fs.appendFileSync(log, JSON.stringify({ args: process.argv.slice(2), input, env, cwd: process.cwd() }) + "\\n");
  process.exitCode = part.code ?? 0;
  // After its last event Claude Code waits for the end of its input; without one it has failed, and ends.
  if (!/"type":"result".*\\n/.test(part.text) && part.atInterrupt === undefined) process.stdin.destroy();
  if (part.atInterrupt !== undefined) {
    const timer = setInterval(() => {}, 1000);
    if (part.atInterrupt === null) for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => {});
    else (lines ?? process).once(lines ? "line" : "SIGINT", (line) => {
      if (lines && JSON.parse(line).request.subtype !== "interrupt") process.exit(9);
      process.stdout.write(part.atInterrupt);
      clearInterval(timer);
    });
  }
  for (const [path, text] of Object.entries(part.files ?? {})) {
    if (text === null) fs.rmSync(path);
    else fs.writeFileSync(path, text);
  }
  // From here on it may be asked to stop.
  process.stdout.write(part.text);
  if (part.complaint) process.stderr.write(part.complaint);
}
`;

export function writeFakeClaude(folder: string, parts: readonly Part[]): string {
  const path = join(folder, "claude");
  writeFileSync(path, program(process.execPath), { mode: 0o755 });
  writeFileSync(join(folder, "parts.json"), JSON.stringify(parts));
  return path;
}

export type TaskRun = Awaited<ReturnType<FakeClaude["run"]>>;

interface RunOptions
  extends
    Partial<Pick<executors.ClaudeExecutorOptions, "monotonic" | "stopTimeouts" | "stoppedAt">>,
    Partial<Pick<ExecutorRun, "signal" | "onOutput" | "onUsage">> {
  readonly settings?: object;
  readonly task?: Partial<ClaimedTask>;
  readonly left?: Partial<RemainingBudget>;
  /** How the tiers have done; null: the coordinator does not answer. */
  readonly counts?: readonly TierCounts[] | null;
  /** The worker of the run before does it, with its settings. */
  readonly isSameWorker?: boolean;
}

/** A program that stands for Claude Code and prints what the test has written down, a folder to work in, and a SHIM of the test's own. */
export class FakeClaude {
  readonly root = temporaryFolder();
  readonly folder = join(this.root, "project");
  readonly runtime: TempRuntime;
  #executor: Executor | null = null;

  /** @param config parts of config.json, for the folder of the stand-in */
  constructor(
    parts: readonly Part[],
    env: NodeJS.ProcessEnv = {},
    config: (root: string) => Record<string, unknown> = () => ({}),
  ) {
    this.runtime = tempRuntime({ env: { PATH: process.env["PATH"], ...env }, config: config(this.root) });
    mkdirSync(this.folder);
    writeFakeClaude(this.root, parts);
  }

  async run(options: RunOptions = {}) {
    const { settings = {}, task, left, onOutput, onUsage, stopTimeouts, stoppedAt } = options;
    const reported = { usage: [] as Usage[], progress: [] as Progress[], checkpoints: [] as unknown[] };
    const seen = { ...reported, routes: [] as Route[], models: [] as Ran[], output: "" };
    if (!options.isSameWorker) this.#executor = null;
    this.#executor ??= executors.claudeExecutor({
      settings: executors.ClaudeSettings.parse({ program: join(this.root, "claude"), ...settings }),
      runtime: this.runtime,
      call: callsOf(this.runtime),
      monotonic: options.monotonic ?? this.runtime.now,
      launch: launchIn(this.root),
      versionOf: () => null,
      ...omitUndefined({ stopTimeouts, stoppedAt }),
    });
    const outcome = await this.#executor.run({
      task: aClaim({ type: "fix", payload: { text: "make the parser accept empty input" }, ...task }),
      folder: this.folder,
      merged: { tasks: [], conflicts: [] },
      base: null,
      signal: options.signal ?? new AbortController().signal,
      budgetLeft: { wallMs: null, tokens: null, costMicros: null, ...left },
      onUsage: (usage) => {
        seen.usage.push(usage);
        onUsage?.(usage);
      },
      onProgress: (progress) => void seen.progress.push(progress),
      onCheckpoint: (checkpoint) => void seen.checkpoints.push(checkpoint),
      onRoute: (route) => void seen.routes.push(route),
      onModel: (ran) => void seen.models.push(ran),
      findRouteCounts: () => Promise.resolve(options.counts ?? null),
      onOutput: (text) => {
        seen.output += text;
        onOutput?.(text);
      },
    });
    return { outcome, ...seen };
  }

  started(): Started[] {
    const path = join(this.root, "started.jsonl");
    if (!existsSync(path)) return [];
    const starts = readFileSync(path, "utf8").trim().split("\n");
    return starts.map((line) => JSON.parse(line) as Started);
  }
}

export const session = "6cc46e21-cb87-468a-aae9-a2c900fa3d8a";

export function lines(...events: readonly object[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}

export function init(change: object = {}): object {
  const model = "claude-opus-5-5";
  return { type: "system", subtype: "init", session_id: session, model, permissionMode: "dontAsk", ...change };
}

/** @param said `api_error`: the kind of an error, which not each has */
export function says(
  said: Partial<Record<"id" | "text" | "error" | "api_error", string> & Record<"input" | "output", number>>,
): object {
  const { id = "msg_1", text = "x", input = 100, output = 1, ...problem } = said;
  const usage = { input_tokens: input, output_tokens: output };
  const model = problem.error ? "<synthetic>" : "claude-opus-5-5";
  const message = { id, model, content: [{ type: "text", text }], usage };
  return { type: "assistant", message, parent_tool_use_id: null, ...problem };
}

export function result(change: object = {}): object {
  const end = { type: "result", subtype: "success", is_error: false, result: "Done.", terminal_reason: "completed" };
  const modelUsage = { "claude-opus-5-5": { inputTokens: 100, outputTokens: 20, costUSD: 0.0132 } };
  const figures = { num_turns: 1, total_cost_usd: 0.0132, modelUsage, model_usage_since_last_result: modelUsage };
  return { ...end, ...figures, permission_denials: [], ...change };
}

/** A session as hooks leave it, of a client that is gone, with a whole transcript. */
export function died(
  claude: FakeClaude,
  change: Readonly<Partial<Record<"cwd" | "first" | "client" | "id", string>>> & { readonly pid?: number } = {},
): void {
  const { runtime, root } = claude;
  const { id = session, client = "claude-code" } = change;
  const transcriptPath = join(root, change.id === undefined ? "transcript.jsonl" : `transcript-${id}.jsonl`);
  const message = { role: "user", content: "make the parser accept empty input" };
  writeFileSync(transcriptPath, `${JSON.stringify({ type: "user", message, sessionId: id })}\n`);
  runtime.store.write((sql) => {
    const cwd = change.cwd ?? claude.folder;
    const owner = change.pid === undefined ? null : runtime.processes.start(change.pid);
    const seen = { id, client, origin: "startup", project: cwd, cwd, transcriptPath };
    sessions.recordSighting(sql, runtime.now(), { ...seen, parentId: null, owner, isAlive: true });
    const text = `${change.first ?? "Do task 7 (fix):"} make the parser accept empty input`;
    journal.append(sql, id, runtime.now(), "k1", { kind: "prompt", text });
    journal.append(sql, id, runtime.now(), "k2", { kind: "assistant", text: "The fault is in one.ts." });
  });
  capture(runtime, { sessionId: id, trigger: "on_demand" });
}
