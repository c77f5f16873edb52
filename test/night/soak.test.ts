import { spawn } from "node:child_process";
import { dirname } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import {
  answered,
  built,
  envOf,
  homeWithoutRetention,
  integrityOf,
  nextStepOf,
  setting,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import type { HookEvent } from "#src/contract/hooks.ts";
import { drainInto } from "#src/local-mcp/events/answer-hook.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import type { Message } from "#src/platform/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import type { Store } from "#src/store/store.ts";

const ms = setting("SHIM_SOAK_MS", 10_000);

it(
  `four servers and four clients' hooks on one home for ${ms} ms: no error, nothing lost @night`,
  { timeout: ms + 60_000 },
  async () => {
    const paths = homeWithoutRetention();
    const end = performance.now() + ms;
    const isOver = (): boolean => performance.now() >= end;
    const [servers, hooks] = await Promise.all([
      Promise.all([1, 2, 3, 4].map((n) => serve(paths, n, isOver))),
      Promise.all([1, 2, 3, 4].map((n) => hookLoop(paths, n, isOver))),
    ]);
    const store = storeOf(paths);
    drainAll(paths, store);
    expect(integrityOf(store)).toEqual(["ok"]);
    const saved = servers.flat();
    expect(saved.filter(({ checkpoint, nextStep }) => nextStepOf(store, checkpoint) !== nextStep)).toEqual([]);
    for (const { session, prompts, tools } of hooks) {
      const rows = store.read((sql) => journal.list(sql, session, 0, Number.MAX_SAFE_INTEGER), []);
      const stored = rows.map(({ entry }) => entry);
      const asked = stored.flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
      expect(asked.sort()).toEqual(prompts.toSorted());
      // A start that had to wait and comes after the tool's end is no news any more.
      expect(stored.flatMap((entry) => (entry.kind === "tool_end" ? [entry.id] : [])).sort()).toEqual(tools.toSorted());
      expect(stored.filter(({ kind }) => kind === "turn_end")).toHaveLength(prompts.length);
      expect(stored.at(-1)?.kind).toBe("end");
    }
    expect(Math.min(...servers.map((one) => one.length), ...hooks.map(({ tools }) => tools.length))).toBeGreaterThan(3);
  },
);

/** A client that uses all of the tools but the deleting one, as fast as they answer. */
async function serve(paths: Paths, n: number, isOver: () => boolean) {
  const server = await startServer(paths);
  const random = seededRandom(n);
  const saved: { checkpoint: string; nextStep: string }[] = [];
  for (let turn = 1; !isOver(); turn++) {
    const nextStep = `server ${n}, turn ${turn}`;
    const filler = "x".repeat(20_000 * random());
    const { checkpoint } = await answered(server, "shim_force_checkpoint", { nextStep, state: { turn, filler } });
    saved.push({ checkpoint: String(checkpoint), nextStep });
    const others: [string, Message][] = [
      ["shim_monitor_signals", { contextTokens: turn }],
      ["shim_session_status", { detail: "detailed" }],
      ["shim_auto_checkpoint", {}],
      ["shim_check_recovery", { detail: "detailed" }],
    ];
    const [tool, given] = others[turn % others.length] ?? ["shim_session_status", {}];
    await answered(server, tool, given);
  }
  server.process.stdin.end();
  expect(await server.ended).toEqual({ code: 0, signal: null });
  expect([server.stray, server.errors]).toEqual([[], ""]);
  return saved;
}

interface Hooked {
  readonly session: string;
  /** Of the events whose hook said nothing of trouble. */
  readonly prompts: readonly string[];
  readonly tools: readonly string[];
}

/** A client that works: one hook process after another. */
async function hookLoop(paths: Paths, n: number, isOver: () => boolean): Promise<Hooked> {
  const session = `session-${n}`;
  const [prompts, tools]: [string[], string[]] = [[], []];
  // What hooks belong to: a process that lives.
  const client = spawn("sleep", ["3600"], { stdio: "ignore" });
  onTestFinished(() => void client.kill("SIGKILL"));
  const tell = async (event: HookEvent, fields: Message): Promise<void> => {
    const input = { session_id: session, cwd: dirname(paths.home), hook_event_name: event, ...fields };
    await hook(paths, event, input, String(client.pid));
  };
  await tell("SessionStart", { source: "startup" });
  for (let turn = 1; !isOver(); turn++) {
    await tell("UserPromptSubmit", { prompt: `turn ${turn}`, prompt_id: `p${turn}` });
    prompts.push(`turn ${turn}`);
    for (let call = 1; call <= 2; call++) {
      const id = `t${turn}.${call}`;
      const tool = { tool_name: "Bash", tool_input: { command: `echo ${"y".repeat(500)}` }, tool_use_id: id };
      await tell("PreToolUse", tool);
      await tell("PostToolUse", { ...tool, tool_response: { stdout: "z".repeat(5_000) }, duration_ms: 1 });
      tools.push(id);
    }
    await tell("Stop", { last_assistant_message: `Did turn ${turn}.`, prompt_id: `p${turn}` });
  }
  await tell("SessionEnd", { reason: "prompt_input_exit" });
  return { session, prompts, tools };
}

async function hook(paths: Paths, event: HookEvent, input: Message, client: string): Promise<void> {
  const env = envOf(paths, { CLAUDE_PID: client });
  const child = spawn(process.execPath, [built.hook, event], { env, cwd: dirname(paths.home) });
  const { code, out, err } = await outputOf(child, JSON.stringify(input));
  // A brief of a chat that died may be printed; trouble must not.
  expect([code, /systemMessage|cannot save/.test(out + err) ? out + err : ""], event).toEqual([0, ""]);
}

/** What the next process would do at once with what waits. */
function drainAll(paths: Paths, store: Store): void {
  const runtime = tempRuntime({ paths, now: Date.now() });
  drainInto({ ...runtime, processes: systemProcesses, store });
  expect(runtime.logged.filter((line) => !line.includes('"level":"info"'))).toEqual([]);
}
