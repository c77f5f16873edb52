import { expect, it } from "vitest";
import type { Usage } from "#src/contract/budgets.ts";
import type { Json } from "#src/contract/values.ts";
import type { RunOutcome } from "#src/runner/worker/executor.ts";
import { died, FakeClaude, init, lines, result, says, session } from "#harness/claude/fake-claude.ts";
import type { Part, TaskRun } from "#harness/claude/fake-claude.ts";
import { recordedSession } from "#harness/clients/recorded-client.ts";
import { T0 } from "#harness/machine/temp-runtime.ts";
import { claimOf } from "#harness/machine/claude.ts";

const ended = async (...events: object[]): Promise<TaskRun> =>
  new FakeClaude([{ text: lines(init(), ...events) }]).run();

async function failed(problem: string, change: object): Promise<RunOutcome> {
  const end = result({ is_error: true, terminal_reason: "api_error", ...change });
  return (await ended(says({ error: problem }), end)).outcome;
}

const spent = (inputTokens: number, costUSD: number): object => ({ "claude-opus-5-5": { inputTokens, costUSD } });
const turn = (part: object, whole: object): object =>
  result({ model_usage_since_last_result: part, modelUsage: whole, total_cost_usd: 9 });

const lastUsage = async (...events: object[]): Promise<Usage | undefined> => (await ended(...events)).usage.at(-1);
const saying = async (text: string): Promise<RunOutcome> => (await ended(result({ result: text }))).outcome;

it("each response of a recorded run counts once, and the last figures replace the sum", async () => {
  const { usage, outcome } = await new FakeClaude([{ text: recordedSession("claude-code") }]).run();
  const tokens = usage.map((one) => one.tokens);
  expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
  // Four of the chat with 1,887 each, two of the sub-agent as far as they are reported.
  expect(tokens.findLast((count) => count < 11_322)).toBe(4 * 1_887 + 2 * 1_111);
  expect(usage.at(-1)).toMatchObject({ tokens: 11_322, costMicros: 97_140 });
  expect(outcome).toMatchObject({ result: { tokens: 11_322, costMicros: 97_140, cost: "measured" } });
});

it("the turns before a resume are not counted again, and those of one run are added up @night", async () => {
  const turns = [turn(spent(100, 0.5), spent(5_100, 5.5)), init(), turn(spent(30, 0.25), spent(5_130, 5.75))];
  expect(await lastUsage(...turns)).toMatchObject({ tokens: 130, costMicros: 750_000 });
  const older = { model_usage_since_last_result: undefined };
  const old = [spent(70, 0.5), spent(90, 0.75)].map((modelUsage) => result({ ...older, modelUsage }));
  expect(await lastUsage(...old)).toMatchObject({ tokens: 90, costMicros: 750_000 });
  const oldest = result({ ...older, modelUsage: undefined, total_cost_usd: 0.5 });
  expect(await lastUsage(says({ input: 40, output: 2 }), oldest)).toMatchObject({ tokens: 42, costMicros: 500_000 });
});

it("trouble of the machine or the service is tried again, what the API will never take is not @night", async () => {
  const reason = "Prompt refused.";
  for (const [problem, wanted] of Object.entries({
    server_error: { isRetryable: true },
    unknown: { isRetryable: true },
    authentication_failed: { isRetryable: true, delayMs: 60_000 },
    model_not_found: { isRetryable: true, delayMs: 60_000 },
    invalid_request: { isRetryable: false },
  }))
    expect(await failed(problem, { result: reason })).toEqual({ kind: "failed", reason, ...wanted });
});

it("a full session is not resumed, and a run without a result has failed", async () => {
  const terms = { is_error: true, terminal_reason: "prompt_too_long", result: "Prompt is too long" };
  const full = await ended(says({ error: "invalid_request" }), result(terms));
  expect(full.outcome).toMatchObject({ kind: "failed", isRetryable: true });
  expect(full.checkpoints.at(-1)).toMatchObject({ claude: { session, isFull: true } });
  const broken = new FakeClaude([{ text: "", complaint: "error: unknown option\n", code: 1 }]);
  const reason = "the client ended with 1 and no result. error: unknown option";
  expect((await broken.run()).outcome).toEqual({ kind: "failed", reason, isRetryable: true });
  const silent = (await new FakeClaude([{ text: "", code: 1 }]).run()).outcome;
  expect(silent).toMatchObject({ reason: "the client ended with 1 and no result" });
  const missing = await new FakeClaude([]).run({ settings: { program: "/nonexistent/claude" } });
  const why = expect.stringContaining("ENOENT") as string;
  expect(missing.outcome).toMatchObject({ kind: "failed", isRetryable: true, reason: why });
});

it("the model's last line decides where it is one of the two forms, and nothing else does @night", async () => {
  const failure = '{"shim":"failed","reason":"there is no\\nparser","isRetryable":true}';
  for (const text of [failure, `I looked.\n\n${failure}\n`, `No.\n\`\`\`json\n${failure}\n\`\`\``])
    expect(await saying(text)).toEqual({ kind: "failed", reason: "there is no parser", isRetryable: true });
  expect(await saying('{"shim":"failed","isRetryable":"yes"}')).toMatchObject({ kind: "failed", isRetryable: false });
  const done = await saying('Counted.\n{"shim":"done","result":{"n":3}}');
  expect(done).toMatchObject({ kind: "done", result: { value: { n: 3 } } });
  for (const text of [`${failure}\nBut then it went well.`, '{"shim":"failed"', "failed", '{"shim":"other"}', ""]) {
    const outcome = await saying(text);
    expect([text, outcome.kind]).toEqual([text, "done"]);
    expect(outcome).not.toHaveProperty("result.value");
  }
});

it("a limit stops the run in mid-work, and what has nothing left is not started", async () => {
  const text = lines(init(), says({ input: 600 }), says({ id: "msg_2", input: 600 }));
  const claude = new FakeClaude([{ text, atInterrupt: lines(result()) }]);
  const { outcome, usage } = await claude.run({ left: { tokens: 1_000 } });
  expect(outcome).toEqual({ kind: "over_budget", reason: "1202 of 1000 tokens were used" });
  // The coordinator ends a task as soon as it knows that a limit is passed: the cost has to come with it.
  expect(usage.filter(({ tokens }) => tokens > 1_000)).toMatchObject([{ tokens: 1_202, costMicros: 13_200 }]);
  const idle = new FakeClaude([{ text }]);
  for (const left of [{ tokens: 0 }, { costMicros: 0 }, { wallMs: 0 }])
    expect((await idle.run({ left })).outcome.kind).toBe("over_budget");
  expect(idle.started()).toEqual([]);
});

it("time is used while nothing is said, and also between two turns @night", async () => {
  const over = { kind: "over_budget", reason: "5000 of 5000 ms of time were used" };
  const silent = new FakeClaude([{ text: lines(init()), atInterrupt: "" }]);
  const onOutput = (): void => silent.runtime.wait(5_000);
  expect((await silent.run({ left: { wallMs: 5_000 }, onOutput })).outcome).toEqual(over);
  const waiting = new FakeClaude([{ text: lines(init(), says({}), result()), atInterrupt: "" }]);
  let hasWaited = false;
  const onUsage = ({ costMicros }: Usage): void => {
    if (costMicros > 0 && !hasWaited) waiting.runtime.wait(5_000);
    hasWaited = costMicros > 0;
  };
  expect((await waiting.run({ left: { wallMs: 5_000, tokens: 110 }, onUsage })).outcome).toEqual(over);
});

it("a limit on cost or turns that Claude Code has held itself is the same, and a result that crosses one counts", async () => {
  for (const subtype of ["error_max_budget_usd", "error_max_turns"]) {
    const over = { subtype, is_error: true, result: undefined, errors: ["Reached the most"] };
    expect((await ended(says({}), result(over))).outcome).toEqual({ kind: "over_budget", reason: "Reached the most" });
  }
  const claude = new FakeClaude([{ text: lines(init(), result()) }]);
  expect((await claude.run({ left: { tokens: 50, costMicros: 50 } })).outcome.kind).toBe("done");
});

it("a stop interrupts first, is no result, and leaves no process behind", async () => {
  const claude = new FakeClaude([{ text: lines(init(), says({})), atInterrupt: lines(result()) }]);
  const stop = new AbortController();
  const onOutput = (text: string): void => void (text.includes("session") && stop.abort(new Error("cancelled")));
  const { outcome, usage } = await claude.run({ signal: stop.signal, onOutput });
  expect([outcome, usage.at(-1)?.costMicros]).toEqual([{ kind: "stopped" }, 13_200]);
  expect((await claude.run({ signal: AbortSignal.abort() })).outcome).toEqual({ kind: "stopped" });
  expect(claude.started()).toHaveLength(1);
});

it("secrets are taken out of what is reported, and long texts are cut", async () => {
  const secret = `ghp_${"a1B2c3D4e5".repeat(4).slice(0, 36)}`;
  const text = `The token is ${secret} ${"word ".repeat(2_000)}`;
  const last = `${text}\n{"shim":"done","result":{"token":"${secret}","password":"hunter2-and-more"}}`;
  const { output, progress, outcome } = await ended(says({ text }), result({ result: last }));
  expect(JSON.stringify([output, progress, outcome])).not.toMatch(new RegExp(`${secret}|hunter2`));
  for (const { note = "" } of progress) expect(note.length).toBeLessThan(500);
  expect(output.length).toBeLessThan(3_000);
  const failure = await failed("unknown", { result: text });
  expect(failure).toMatchObject({ reason: expect.stringMatching(/^The token is \[redacted:[\w-]+\] word/) });
  for (const part of ["word ", "\u0001", "\ud83d\ude00"]) {
    const large = await ended(result({ result: part.repeat(200_000) }));
    expect(JSON.stringify(large.outcome).length).toBeLessThan(262_144);
  }
});

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
const aWorker = (...parts: readonly Part[]): FakeClaude => new FakeClaude(parts, env);

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
  const run = await claude.run({ task: { checkpoint: { claude: { session: other, folder: claude.folder } } } });
  const [{ args, input } = { args: [], input: "" }] = claude.started();
  expect(run.output).toContain(`session ${other} is not resumed: it was Codex's`);
  expect(args).not.toContain("--resume");
  expect(input).toContain("The fault is in one.ts.");
  expect(claimOf(claude.runtime, other)).toBeNull();
});
