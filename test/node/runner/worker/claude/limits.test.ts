import type { Json } from "#src/contract/values.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { expect, it } from "vitest";
import { T0 } from "#harness/machine/temp-runtime.ts";
import { died, FakeClaude, init, lines, result, says, type Part } from "#harness/claude/fake-claude.ts";

const hourMs = 3_600_000;
const other = "01a2045f-b750-74a3-8d32-75b263a4244d";
const words = "You've hit your session limit";
const wait = { kind: "waiting", isOfType: true } as const;
const noRule = `Claude Code has reached its usage limit: ${words}; no rule of this folder (\`atLimit\`) says to go on`;

const reached = { error: "rate_limit", api_error: "usage_limit_reached" };

/** Claude Code ends at its limit. @param resetsAt in seconds */
function atLimit(resetsAt?: unknown, problem: object = reached, text = words): Part {
  const rejected = { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt } };
  const end = [says(problem), result({ is_error: true, terminal_reason: "api_error", result: text })];
  return { text: lines(init(), ...(resetsAt === undefined ? [] : [rejected]), ...end), code: 1 };
}

const answer = 'I made it.\n{"shim":"done","result":7}';

/** What Codex prints that does the task. */
function codexDoes(text = answer): Part {
  const events = [
    { type: "thread.started", thread_id: other },
    { type: "item.started", item: { type: "command_execution", command: "npm test" } },
    { type: "item.completed", item: { type: "agent_message", text } },
    { type: "turn.completed", usage: { input_tokens: 2_000, cached_input_tokens: 500, output_tokens: 40 } },
  ];
  return { text: lines(...events) };
}

const env = { ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o", CODEX_THREAD_ID: "outer", EXTRA: "e" };

function aWorker(...parts: readonly Part[]): FakeClaude {
  return new FakeClaude(parts, env);
}

/** The other way is the same stand-in, started after Claude Code. */
function withCodex(...parts: readonly Part[]): FakeClaude {
  return new FakeClaude(parts, env, (folder) => {
    const codex = { client: "codex", program: `${folder}/claude`, args: ["--sandbox", "workspace-write"] };
    return { atLimit: [{ folder, order: [codex], mostUsd: null, mostHours: 200 }] };
  });
}

const settings = { env: ["EXTRA"] };

it("at a usage limit a task waits for the reset, at most a day at a time, and costs no attempt", async () => {
  const delays = [hourMs + 2_000, 24 * hourMs, 300_000];
  for (const [at, resetsInMs] of [hourMs, 9 * 24 * hourMs, -5_000].entries()) {
    const { outcome } = await aWorker(atLimit((T0 + resetsInMs) / 1_000)).run();
    expect(outcome).toEqual({ ...wait, reason: noRule, delayMs: delays[at] });
  }
  const billing = await aWorker(atLimit(undefined, { error: "billing_error" }, "Credit balance is too low")).run();
  expect(billing.outcome).toMatchObject({ ...wait, delayMs: 300_000 });
});

it("a wait for a reset that is not known doubles up to five hours, until a task is done @night", async () => {
  const claude = aWorker(...Array.from({ length: 9 }, () => atLimit()), { text: lines(init(), result()) }, atLimit());
  const delays: unknown[] = [];
  for (let at = 0; at < 11; at++) {
    const { outcome } = await claude.run({ isSameWorker: true });
    delays.push("delayMs" in outcome ? outcome.delayMs : outcome.kind);
    claude.runtime.wait(24 * hourMs);
  }
  const doubled = [5, 10, 20, 40, 80, 160, 300, 300, 300].map((minutes) => minutes * 60_000);
  expect(delays).toEqual([...doubled, "done", 300_000]);
});

it("until the reset Claude Code is not started again for another task", async () => {
  const claude = aWorker(atLimit(), { text: lines(init(), result()) });
  await claude.run();
  claude.runtime.wait(100_000);
  const { outcome } = await claude.run({ isSameWorker: true, task: { task: 8 } });
  expect([outcome, claude.started().length]).toEqual([{ ...wait, reason: noRule, delayMs: 200_000 }, 1]);
  claude.runtime.wait(200_000);
  expect((await claude.run({ isSameWorker: true })).outcome).toMatchObject({ kind: "done" });
});

it("a worker that is started again knows from the task's checkpoint which ways have failed, on this machine", async () => {
  const claude = withCodex(atLimit((T0 + hourMs) / 1_000), { text: "", code: 1 }, atLimit());
  died(claude);
  const { checkpoints } = await claude.run({ settings });
  const checkpoint = Object.assign({}, ...checkpoints) as { limit: Record<string, Json> };
  expect((await claude.run({ settings, task: { checkpoint } })).outcome).toMatchObject(wait);
  expect(claude.started()).toHaveLength(2);
  const elsewhere = { ...checkpoint, limit: { ...checkpoint.limit, boot: "another" } };
  await claude.run({ settings, task: { checkpoint: elsewhere } });
  expect(claude.started()).toHaveLength(4);
});

it("by the rule another client does it at once in the same folder, with the brief, and each task until the reset @night", async () => {
  const claude = withCodex(atLimit(), codexDoes(), codexDoes("Again."));
  died(claude);
  const run = await claude.run({ settings });
  const codex = claude.started()[1]!;
  expect([codex.args, codex.cwd]).toEqual([["exec", "--json", "--sandbox", "workspace-write", "-"], claude.folder]);
  expect(codex.input).toMatch(/^Do task 7 \(fix\):\n<shim-task-/);
  for (const text of ["an earlier session ", "The fault is in one.ts.", '{"shim":"done","result":...}'])
    expect(codex.input).toContain(text);
  expect(codex.env).toMatchObject({ OPENAI_API_KEY: "o", EXTRA: "e", SHIM_TASK: "7" });
  for (const name of ["ANTHROPIC_API_KEY", "CODEX_THREAD_ID"]) expect(codex.env).not.toHaveProperty(name);
  const facts = { text: answer, value: 7, session: other, turns: 1, refused: 0, client: "Codex" };
  const used = { tokens: 120 + 2_040, costMicros: 13_200, cost: "unknown" };
  expect(run.outcome).toEqual({ kind: "done", result: { ...facts, ...used } });
  expect(run.checkpoints.at(-1)).toMatchObject({ claude: { session: other, folder: claude.folder } });
  expect(run.progress).toContainEqual({ note: "Claude Code has reached its usage limit; Codex continues" });
  expect(run.models.at(-1)).toMatchObject({ model: "Codex" });
  expect(run.output).toContain("> command_execution npm test");
  const next = await claude.run({ isSameWorker: true, task: { task: 8 } });
  expect([next.outcome, claude.started().length]).toMatchObject([{ result: { text: "Again." } }, 3]);
});

it("Claude Code takes over again with the brief of what the other client did", async () => {
  const claude = aWorker({ text: lines(init(), result()) });
  died(claude, { client: "codex", id: other });
  const checkpoint = { claude: { session: other, folder: claude.folder } };
  const run = await claude.run({ task: { checkpoint } });
  const [{ args, input } = { args: [], input: "" }] = claude.started();
  expect(run.output).toContain(`session ${other} is not resumed: it was Codex's`);
  expect(args).not.toContain("--resume");
  expect(input).toContain("The fault is in one.ts.");
  const taken = claude.runtime.store.read((sql) => sessions.get(sql, other), null);
  expect(taken).toMatchObject({ recovery: null });
});
