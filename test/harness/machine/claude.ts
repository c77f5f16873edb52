import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { HookEvent } from "#src/contract/hooks.ts";
import { currentState } from "#src/machine/sessions/checkpoints/capture.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import * as checkpoints from "#src/machine/sessions/checkpoints/checkpoints.ts";
import type { Sql } from "#src/shared/sql.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { column } from "#harness/store/store-test.ts";
import { temporaryFolder, write } from "./git-project.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "./temp-runtime.ts";
import { anAssistantLine } from "./transcripts.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";

type Fields = Record<string, unknown>;

type Texts<Name extends string> = Readonly<Partial<Record<Name, string>>>;
type Permission = Texts<"permissionDecision" | "permissionDecisionReason">;
type Specific = Permission & Texts<"additionalContext"> & { readonly hookEventName: string };

/** What a hook printed, parsed; an empty object when it printed nothing. */
export type Printed = Texts<"systemMessage" | "decision" | "reason"> & { readonly hookSpecificOutput?: Specific };

/** A new folder that is a git project on branch `main` with one commit, as far as its files tell. */
export function aProject(): string {
  const folder = temporaryFolder();
  write(folder, { ".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": `${"a1".repeat(20)}\n` });
  return folder;
}

export interface ClaudeOptions {
  readonly pid?: number;
  readonly cwd?: string;
  readonly session?: string;
  /** How often each hook is registered: settings and plugin together make two. */
  readonly hooks?: number;
}

const printedOk = { stdout: "ok", stderr: "", interrupted: false };

/** Claude Code as its hooks show it: inputs of version 2.1.328, one method per thing that happens. */
export class Claude {
  session: string;
  pid: number;
  readonly cwd: string;
  readonly #runtime: TempRuntime;
  readonly #hooks: number;
  #prompts = 0;
  #tools = 0;

  constructor(runtime: TempRuntime, options: ClaudeOptions = {}) {
    this.#runtime = runtime;
    this.#hooks = options.hooks ?? 1;
    this.pid = options.pid ?? 1_000;
    this.session = options.session ?? "20487890-04b4-4fe0-bbd5-6aa531354563";
    this.cwd = options.cwd ?? "/nonexistent/project";
    if (!runtime.processes.facts(this.pid)) runtime.processes.start(this.pid);
  }

  get transcript(): string {
    return join(this.cwd, `${this.session}.jsonl`);
  }

  /** One event; what the first of the registered hooks printed, and the others must print nothing more than it. */
  tell(event: HookEvent, fields: Fields = {}): Printed {
    const printed = Array.from({ length: this.#hooks }, () => this.tellOnce(event, fields));
    return Object.assign({}, ...printed.toReversed()) as Printed;
  }

  tellOnce(event: HookEvent, fields: Fields = {}): Printed {
    this.#runtime.wait(20);
    const text = answerHook(this.#runtime, event, () => JSON.stringify(this.input(event, fields)), this.pid);
    return text === "" ? {} : (JSON.parse(text) as Printed);
  }

  input(event: HookEvent, fields: Fields = {}): Fields {
    const prompt = this.#prompts === 0 ? {} : { prompt_id: `prompt-${this.session}-${this.#prompts}` };
    const about = { session_id: this.session, transcript_path: this.transcript, cwd: this.cwd, ...prompt };
    return { ...about, permission_mode: "default", hook_event_name: event, ...fields };
  }

  /** @returns the context that the chat is given */
  start(source = "startup", fields: Fields = {}): string {
    return this.tell("SessionStart", { source, ...fields }).hookSpecificOutput?.additionalContext ?? "";
  }

  prompt(prompt: string): Printed {
    this.#prompts += 1;
    return this.tell("UserPromptSubmit", { prompt });
  }

  begin(tool: string, input: Fields = {}): string {
    const id = `toolu_${this.session.slice(0, 8)}_${(this.#tools += 1)}`;
    this.tell("PreToolUse", { tool_name: tool, tool_input: input, tool_use_id: id });
    return id;
  }

  done(id: string, tool: string, input: Fields = {}, response: unknown = printedOk): Printed {
    const call = { tool_name: tool, tool_input: input, tool_use_id: id };
    return this.tell("PostToolUse", { ...call, tool_response: response, duration_ms: 12 });
  }

  use(tool: string, input: Fields = {}, response?: unknown): Printed {
    return this.done(this.begin(tool, input), tool, input, response);
  }

  fail(tool: string, input: Fields, error: string): Printed {
    const call = { tool_name: tool, tool_input: input, tool_use_id: this.begin(tool, input) };
    return this.tell("PostToolUseFailure", { ...call, error, is_interrupt: false, duration_ms: 9 });
  }

  write(path: string, content: string): Printed {
    writeFileSync(path, content);
    const response = { type: "create", filePath: path, content, structuredPatch: [], originalFile: null };
    return this.use("Write", { file_path: path, content }, response);
  }

  stop(text = "All done with it."): Printed {
    const nothing = { stop_hook_active: false, background_tasks: [], session_crons: [] };
    return this.tell("Stop", { ...nothing, last_assistant_message: text });
  }

  turn(prompt: string, answer = "Done."): void {
    this.prompt(prompt);
    this.use("Bash", { command: "npm test" });
    this.stop(answer);
  }

  end(reason = "prompt_input_exit"): Printed {
    const printed = this.tell("SessionEnd", { reason });
    if (reason !== "clear" && reason !== "resume") this.kill();
    return printed;
  }

  kill(): void {
    this.#runtime.processes.kill(this.pid);
  }

  resume(): string {
    this.kill();
    this.pid += 10;
    this.#runtime.processes.start(this.pid);
    return this.start("resume");
  }

  transcribe(...lines: readonly string[]): void {
    appendFileSync(this.transcript, lines.map((line) => `${line}\n`).join(""));
  }

  /** Words of the model, which only the transcript has. */
  say(text: string): void {
    const timestamp = new Date(this.#runtime.now()).toISOString();
    this.transcribe(anAssistantLine({ content: [{ type: "text", text }], stop_reason: "tool_use" }, { timestamp }));
  }

  /** /clear: the same process continues with a new session. */
  clear(session: string): string {
    this.tell("SessionEnd", { reason: "clear" });
    this.session = session;
    return this.start("clear");
  }

  /** A compaction in the order of Claude Code's events. @returns the context that the chat is given */
  compact(summary: string, trigger = "auto"): string {
    this.tell("PreCompact", { trigger, custom_instructions: null });
    const text = `<summary>${summary}</summary>`;
    this.tell("SubagentStop", { agent_id: "a3b3", agent_type: "", last_assistant_message: text });
    const context = this.start("compact", { model: "claude-opus-5-5" });
    this.tell("PostCompact", { trigger, compact_summary: `<analysis>thoughts</analysis>${text}` });
    return context;
  }
}

/** Newest first. */
export function listCheckpoints(sql: Sql, filter: checkpoints.CheckpointFilter = {}): checkpoints.Checkpoint[] {
  const found = checkpoints.sessionsWith(sql, { limit: 1_000, ...filter }, 1_000).flatMap(({ newest }) => newest);
  return found.toSorted((one, other) => other.seq - one.seq);
}

export function aChat(options: TempRuntimeOptions & ClaudeOptions = {}): { runtime: TempRuntime; claude: Claude } {
  const runtime = tempRuntime(options);
  return { runtime, claude: new Claude(runtime, { cwd: aProject(), ...options }) };
}

export function anotherClaude(runtime: TempRuntime, like: Claude, overrides: ClaudeOptions = {}): Claude {
  const session = overrides.session ?? `b${like.session.slice(1)}`;
  return new Claude(runtime, { pid: like.pid + 1, cwd: like.cwd, session, ...overrides });
}

export function aLiveClaude(runtime: TempRuntime, prompt = "fix it", options: ClaudeOptions = {}): Claude {
  const claude = new Claude(runtime, { cwd: aProject(), ...options });
  claude.start();
  claude.prompt(prompt);
  return claude;
}

/** A machine with one chat, which works on this prompt. */
export function aChatAtWork(prompt?: string): { runtime: TempRuntime; claude: Claude } {
  const runtime = tempRuntime();
  return { runtime, claude: aLiveClaude(runtime, prompt) };
}

export function aDeadClaude(runtime: TempRuntime, prompt = "fix the parser", options: ClaudeOptions = {}): Claude {
  const claude = new Claude(runtime, { cwd: aProject(), ...options });
  claude.turn(prompt);
  claude.kill();
  return claude;
}

export function storedSession({ store }: Pick<TempRuntime, "store">, id: string): sessions.Session {
  const found = store.read((sql) => sessions.get(sql, id), null);
  if (!found) throw new Error(`no session ${id}`);
  return found;
}

/** Who has a session, by the newest decision about it. */
export function claimOf({ store }: Pick<TempRuntime, "store">, id: string): recoveries.Claim | null {
  return store.read((sql) => recoveries.claimOf(sql, id), null);
}

export function stateOf(runtime: TempRuntime, id: string): WorkState | null {
  return runtime.store.read((sql) => currentState(sql, id), null);
}

export function journalKinds(runtime: TempRuntime, id: string): string[] {
  return runtime.store.read((sql) => journal.list(sql, id, 0), []).map((row) => row.entry.kind);
}

export function rowCount({ store }: Pick<TempRuntime, "store">, table: string): number {
  return store.read((sql) => Number(column(sql, `SELECT count(*) FROM ${table}`)[0]), 0);
}
