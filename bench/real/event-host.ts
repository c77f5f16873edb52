import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as pause } from "node:timers/promises";
import { clientHeader, eventRequest } from "../../src/clients/adapter/hook-program.ts";
import type { HookClient } from "../../src/contract/clients.ts";
import { hostSocket, markedHost } from "../../src/platform/host-socket.ts";
import { type HostRequest, requestHost } from "../../src/platform/local-http.ts";
import { systemProcesses } from "../../src/platform/processes.ts";
import { codeOf, messageOf } from "../../src/shared/error.ts";
import { parseJson, type JsonObject } from "../../src/shared/json-fields.ts";
import type { EventOf, RecordedSession, SessionClient, SessionEvent } from "./session-events.ts";

const program = join(import.meta.dirname, "..", "..", "dist", "mcp-host.cjs");
/** Ten times the bound: what takes longer is taken for a hang, and ended. */
const hangMs = 10_000;
const checkMs = 500;
const maxAnswerMs = 60_000;
const retryMs = 15;
/** The host joins for 250 ms what a chat's events leave to do after their answers. */
const settleMs = 400;

export interface SentEvent {
  readonly cpuMs: number;
  /** Null: the event was ended, because it hung. */
  readonly answer: unknown;
}

/** The built host of a home, which answers one event after the other. */
export class EventHost {
  readonly #home: string;
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;

  /** @param env names the home */
  constructor(home: string, env: NodeJS.ProcessEnv) {
    this.#home = home;
    this.#env = env;
  }

  /** @param statement by which the client's process describes itself */
  async send(client: HookClient, statement: string, event: string, payload: object): Promise<SentEvent> {
    const child = await this.start();
    const before = cpuMs(child);
    const watch = setInterval(() => {
      if (cpuMs(child) - before > hangMs) child.kill("SIGKILL");
    }, checkMs);
    try {
      const input = JSON.stringify(payload);
      const sender = { [clientHeader]: statement };
      const posted = { client, event, input, sender, signal: AbortSignal.timeout(maxAnswerMs) };
      const request = eventRequest(this.#home, this.#env, posted);
      // Its clock is put on between two events: a host that ends as idle just then is started again.
      const given = await this.#answerTo(request).catch((error: unknown) => {
        if (codeOf(error) !== "ECONNRESET" || cpuMs(child) - before > hangMs) throw error;
        this.#child = null;
        return this.start().then(() => this.#answerTo(request));
      });
      if (given === null) throw new Error("the host has ended");
      return { cpuMs: cpuMs(child) - before, answer: parseJson(given) ?? {} };
    } catch (error) {
      process.stderr.write(`${event}: ${messageOf(error)}\n`);
      this.#child = null;
      return { cpuMs: hangMs, answer: null };
    } finally {
      clearInterval(watch);
    }
  }

  /** Also one that a command has started since. */
  async end(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child !== null && child.exitCode === null && child.signalCode === null) {
      child.kill();
      await once(child, "exit");
    }
    const other = markedHost(this.#home, systemProcesses.boot());
    if (other === null || systemProcesses.facts(other.pid)?.start !== other.start) return;
    process.kill(other.pid, "SIGTERM");
    while (systemProcesses.facts(other.pid)?.start === other.start) await pause(retryMs);
  }

  async start(): Promise<ChildProcess> {
    // Its clock leaps with the session: it may have ended after ten minutes without a connection.
    if (this.#child?.exitCode === null) return this.#child;
    mkdirSync(this.#home, { recursive: true, mode: 0o700 });
    const child = spawn(process.execPath, [program], { env: this.#env, stdio: ["ignore", "ignore", "inherit"] });
    while ((await this.#status()) === null) await pause(retryMs);
    this.#child = child;
    return child;
  }

  /** Resolves once the host has done what follows its last answer, such as a checkpoint. */
  async settle(): Promise<void> {
    if (this.#child === null) return;
    await pause(settleMs);
    await this.#status();
  }

  #status(): Promise<string | null> {
    return this.#answerTo({ method: "GET", path: "/status", signal: AbortSignal.timeout(maxAnswerMs) });
  }

  /** @returns the answer; null while no host listens */
  async #answerTo(request: HostRequest): Promise<string | null> {
    const answer = await requestHost(hostSocket(this.#home, systemProcesses.boot()), request);
    return answer && (await text(answer));
  }
}

/** Time on a processor, by the scheduler's own count of each thread (Linux). */
function cpuMs({ pid }: ChildProcess): number {
  const spent = tasksOf(pid).map(nanosecondsOf);
  return spent.reduce((total, ns) => total + ns / 1e6, 0);
}

/** Of a thread that has ended since it was listed, none. */
function nanosecondsOf(path: string): number {
  try {
    return Number(readFileSync(path, "utf8").split(" ")[0]);
  } catch {
    return 0;
  }
}

function tasksOf(pid: number | undefined): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/schedstat`);
  } catch {
    return [];
  }
}

/** An event that the client reports to its hooks, after it has written so many units of its transcript. */
export interface HookStep {
  readonly unit: number;
  readonly event: string;
  readonly fields: JsonObject;
}

type HookEvent = readonly [name: string, fields: JsonObject];

/** No hook is run for a call that the user refused. */
const refused = /^The user doesn't want to/;

/** Codex reports a failed call like any other. */
const clientsWithFailures: ReadonlySet<SessionClient> = new Set(["claude-code"]);

/** What Claude Code and Codex send while they write this transcript. A prompt typed during a turn and an interruption have no event. */
export class HookSteps {
  readonly #calls = new Map<string, EventOf<"call">>();
  readonly #client: SessionClient;
  #prompts = 0;
  #words = "";

  constructor(client: SessionClient) {
    this.#client = client;
  }

  start(): HookStep {
    return { unit: 0, event: "SessionStart", fields: { source: "startup" } };
  }

  of(event: SessionEvent): HookStep[] {
    return this.#fieldsOf(event).map(([name, fields]) => ({
      unit: event.unit,
      event: name,
      fields: { ...(this.#prompts === 0 ? {} : { prompt_id: `prompt-${this.#prompts}` }), ...fields },
    }));
  }

  #fieldsOf(event: SessionEvent): readonly HookEvent[] {
    if (event.kind === "answer" && event.isPlan === undefined) this.#words = event.text;
    if (event.kind === "call") this.#calls.set(event.id, event);
    if (event.kind === "prompt") return this.#prompted(event);
    if (event.kind === "call") return [["PreToolUse", fieldsOf(event)]];
    if (event.kind === "end") return this.#ended(event);
    if (event.kind === "turnEnd") return [["Stop", { last_assistant_message: this.#words }]];
    return aboutCompaction(event);
  }

  #prompted({ text, typed, isQueued }: EventOf<"prompt">): readonly HookEvent[] {
    if (isQueued) return [];
    this.#prompts += 1;
    this.#words = "";
    return [["UserPromptSubmit", { prompt: typed ?? text }]];
  }

  #ended({ id, error, response }: EventOf<"end">): readonly HookEvent[] {
    const call = this.#calls.get(id);
    if (call === undefined || (error !== null && refused.test(error))) return [];
    const fields = fieldsOf(call);
    if (error === null || !clientsWithFailures.has(this.#client))
      return [["PostToolUse", { ...fields, tool_response: response }]];
    return [["PostToolUseFailure", { ...fields, error }]];
  }
}

function aboutCompaction(event: SessionEvent): readonly HookEvent[] {
  if (event.kind === "compacting") return [["PreCompact", { trigger: "auto" }]];
  if (event.kind !== "compaction") return [];
  return [
    ["PostCompact", { trigger: "auto", compact_summary: event.summary }],
    ["SessionStart", { source: "compact" }],
  ];
}

function fieldsOf({ id, name, input }: EventOf<"call">): JsonObject {
  return { tool_use_id: id, tool_name: name, tool_input: input };
}

/** All of a session, up to its end. */
export function hookSteps({ client, events }: RecordedSession): HookStep[] {
  const steps = new HookSteps(client);
  const all = [steps.start(), ...events.flatMap((event) => steps.of(event))];
  return [...all, { unit: events.at(-1)?.unit ?? 0, event: "SessionEnd", fields: { reason: "other" } }];
}
