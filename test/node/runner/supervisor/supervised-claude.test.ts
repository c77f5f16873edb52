import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import { timeline } from "#src/machine/recovery/session-view.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { readContent } from "#src/machine/sessions/session-content.ts";
import { pause, resume } from "#src/store/pause.ts";
import { usageMessages } from "#src/store/machine-tables.ts";
import { result, says } from "#harness/claude/fake-claude.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { storedSession, claimOf } from "#harness/machine/claude.ts";
import { aLiveChat, aRig, checkpointsOf, crash, die } from "#harness/supervisor/supervisor-rig.ts";
import { live, prints, prompt, valueAfter } from "#harness/supervisor/supervisor-rig.ts";
import type { Order, RuleOptions, SupervisorRig } from "#harness/supervisor/supervisor-rig.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const hourMs = 3_600_000;
const toCodex = { client: "codex" };

function promptOf(rig: SupervisorRig, run: number): string {
  const { input, args } = rig.runs[run]!.program;
  if (!args.includes("--input-format")) return input;
  return (JSON.parse(input) as { message: { content: string } }).message.content;
}

const codexId = "01a2045f-b750-74a3-8d32-75b263a4244d";

/** Its hooks report that Codex has begun, in the process of this run, and has done something. */
function codexWorks(rig: SupervisorRig, prompt = "Fix the parser. Codex is at it."): void {
  const { env, cwd } = rig.runs.at(-1)!.program;
  const chat = new RecordedClient({ ...rig.runtime, env }, "codex", 500 + rig.runs.length);
  const send = (event: string, fields: object) => chat.report(event, { session_id: codexId, cwd, ...fields });
  send("SessionStart", { source: "startup" });
  send("UserPromptSubmit", { prompt });
  send("PreToolUse", { tool_name: "Bash", tool_use_id: "c1", tool_input: { command: "npm test" } });
  prints(rig, { type: "thread.started", thread_id: codexId });
}

/** Time passes until the run with this number, the first being 1, has begun. */
async function passToRun(rig: SupervisorRig, ms: number, run: number): Promise<void> {
  await rig.pass(ms);
  await rig.until(() => rig.runs.length >= run);
}

/** @param resetsInMs absent: the end of the limit is not reported */
function limitIt(rig: SupervisorRig, resetsInMs?: number): Promise<void> {
  const resetsAt = Math.floor((rig.runtime.now() + (resetsInMs ?? 0)) / 1_000);
  const limit = { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt } };
  if (resetsInMs !== undefined) prints(rig, limit);
  prints(rig, says({ error: "rate_limit", api_error: "usage_limit_reached" }));
  prints(rig, result({ is_error: true, result: "You've hit your limit" }));
  return die(rig, 1);
}

/** Claude Code has worked, and has reached its limit. */
async function limited(order: Order, resetsInMs?: number, options: RuleOptions = {}) {
  const rig = await aRig(order, options);
  const first = live(rig);
  await limitIt(rig, resetsInMs);
  return { rig, first };
}

/** The limit ends in two hours, and Codex works. */
async function handedOver(options: RuleOptions = {}, prompt?: string) {
  const { rig, first } = await limited([toCodex], 2 * hourMs, options);
  await rig.pass(1_000);
  codexWorks(rig, prompt);
  return { rig, first };
}

it("begins with the prompt in a session of SHIM's choice, with its server and hooks, and none of its secrets", async () => {
  const rig = await aRig();
  const { program } = rig.runs[0]!;
  expect([program.command, program.cwd, promptOf(rig, 0)]).toEqual(["claude", join(rig.folder, "project"), prompt]);
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(valueAfter(rig, "--model")).toBe("opus");
  expect(readFileSync(valueAfter(rig, "--mcp-config")!, "utf8")).toContain("shim.mjs");
  expect(readFileSync(valueAfter(rig, "--settings")!, "utf8")).toContain("SessionStart");
  expect(program.env).toEqual({ PATH: "/bin", SHIM_HOME: rig.runtime.paths.home });
  expect(rig.emitted("started")[0]).toMatchObject({ name: "fix", session: valueAfter(rig, "--session-id") });
});

it("after a crash the session is resumed where its transcript is whole, with its last checkpoint", async () => {
  const rig = await aRig();
  const id = live(rig);
  const { transcriptPath } = storedSession(rig.runtime, id);
  const message = { role: "assistant", content: [{ type: "text", text: "It is line 7." }] };
  appendFileSync(transcriptPath!, `${JSON.stringify({ type: "assistant", message, sessionId: id, uuid: "u1" })}\n`);
  await crash(rig);
  expect([rig.runs.length, valueAfter(rig, "--resume")]).toEqual([2, id]);
  expect(rig.runs[1]?.program.args).not.toContain("--session-id");
  expect(promptOf(rig, 1)).toMatch(/interrupted.*Continue where you stopped/);
  expect(checkpointsOf(rig.runtime, id)).toEqual([expect.stringMatching(/^detached: .*make the parser/s)]);
});

it("where its transcript is not whole a new session begins with the prompt and the brief", async () => {
  const rig = await aRig();
  const first = live(rig, { transcript: '{"type":"user","ses' });
  await crash(rig);
  const second = valueAfter(rig, "--session-id");
  expect(second).not.toBe(first);
  const input = promptOf(rig, 1);
  expect(input.startsWith(`${prompt}\n\n`)).toBe(true);
  expect(input).toContain(first);
  expect(input).toContain("make the parser accept empty input");
  expect(claimOf(rig.runtime, first)).toMatchObject({ is: "taken", by: second });
  // It dies before it began: the next one goes on with the first, too.
  await crash(rig);
  const third = valueAfter(rig, "--session-id");
  expect([first, second]).not.toContain(third);
  expect(promptOf(rig, 2)).toContain(first);
  expect(claimOf(rig.runtime, first)).toMatchObject({ by: third });
});

it("what its user has ended is stopped", async () => {
  const subtype = "error_during_execution";
  const aborted = result({ is_error: true, subtype, terminal_reason: "aborted_tools", num_turns: 0 });
  for (const code of [143, 0]) {
    const rig = await aRig();
    live(rig);
    if (code === 0) prints(rig, aborted);
    await crash(rig, code);
    expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, "stopped"]);
  }
});

it("wrong arguments are no crash: it is not started again until the user asks for it", async () => {
  const rig = await aRig();
  rig.runs.at(-1)?.program.onStderr?.("error: unknown option '--permision-mode'\n");
  await crash(rig, 1);
  expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, "failed"]);
  expect(rig.emitted("ended").at(-1)?.reason).toContain("unknown option");
});

it("a session that has ended, was continued elsewhere or dismissed is never begun again", async () => {
  const finished = await aRig();
  const id = live(finished);
  finished.runtime.store.write((sql) => reportEnd(sql, finished.runtime, id, "other"));
  await crash(finished, 1);
  expect([finished.runs.length, finished.emitted("ended").at(-1)?.phase]).toEqual([1, "finished"]);
  // The user wants it again: that is another session.
  finished.state.requestRestart("fix");
  await passToRun(finished, 2_000, 2);
  expect([finished.runs.length, promptOf(finished, 1)]).toEqual([2, prompt]);
  for (const take of ["recovered", "dismissed"] as const) {
    const rig = await aRig();
    const dead = live(rig);
    await die(rig);
    if (take === "dismissed") dismiss(rig.runtime, dead);
    else
      rig.runtime.store.write((sql) =>
        recoveries.add(sql, { at: rig.runtime.now(), session: dead, action: "recovered", by: "other" }),
      );
    await rig.pass(10_000);
    expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, "finished"]);
  }
});

it("a session that another process runs is waited for", async () => {
  const rig = await aRig();
  const id = live(rig);
  await die(rig);
  aLiveChat(rig.runtime, { id, pid: 900, folder: join(rig.folder, "project") });
  // By the user, in a terminal.
  const owner = "UPDATE sessions SET owner = json_set(owner, '$.pid', 900, '$.start', ?)";
  rig.runtime.store.write((sql) => sql.run(owner, rig.runtime.processes.facts(900)!.start));
  await rig.pass(100_000);
  expect(rig.runs).toHaveLength(1);
  expect(rig.emitted("held")).toMatchObject([{ reason: `session ${id} is already running (pid 900)` }]);
  rig.runtime.processes.kill(900);
  await passToRun(rig, 40_000, 2);
  expect(valueAfter(rig, "--resume")).toBe(id);
});

it("at a usage limit another client continues at once with the brief, and Claude Code takes over again", async () => {
  const { rig, first } = await limited([{ client: "codex", program: "/opt/codex", args: ["--full-auto"] }]);
  expect(rig.emitted("started").at(-1)?.how).toMatch(/^Codex, session .* with the brief of/);
  const { program } = rig.runs[1]!;
  expect(program).toMatchObject({ command: "/opt/codex", cwd: join(rig.folder, "project") });
  expect(program.args).toEqual(["exec", "--json", "--full-auto", "-"]);
  expect(program.input).toMatch(/^Fix the parser\.\n\n.*make the parser/s);
  codexWorks(rig);
  await die(rig, 1);
  expect(claimOf(rig.runtime, first)).toMatchObject({ by: codexId });
  await passToRun(rig, 400_000, 3);
  expect(rig.runs[2]!.program.command).toBe("claude");
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(promptOf(rig, 2)).toContain("Codex is at it");
});

it("the brief in the other client's prompt is no word of the user in the next brief", async () => {
  const { rig, first } = await limited([toCodex]);
  await rig.pass(1_000);
  const { input } = rig.runs[1]!.program;
  expect(input).toContain(first);
  codexWorks(rig, input);
  await die(rig, 1);
  await passToRun(rig, 400_000, 3);
  const next = promptOf(rig, 2);
  const prompts =
    /^the user's prompts, oldest first:\n- .* ago: \(to session \w+, which it continues\) make the parser .*\n- .* ago: Fix the parser\.$/m;
  expect(next).toMatch(prompts);
  expect(next.split("SHIM: an earlier session")).toHaveLength(2);
  const again = /SHIM: [\s\S]+/.exec(next)?.[0] ?? "";
  const other = new RecordedClient(rig.runtime, "codex", 900);
  other.report("UserPromptSubmit", { session_id: "r", prompt: again });
  expect(other.entries("r")).toEqual([{ kind: "prompt", text: "continue" }]);
});

it("a chat in a process of another environment gets the session by the brief in its prompt, unless the successor has begun", async () => {
  const { rig, first } = await limited([toCodex]);
  await rig.pass(1_000);
  const prompt = rig.runs[1]!.program.input;
  const daemon = new RecordedClient(rig.runtime, "codex", 900);
  daemon.report("SessionStart", { session_id: "of-daemon", source: "startup" });
  daemon.report("UserPromptSubmit", { session_id: "of-daemon", prompt });
  expect(claimOf(rig.runtime, first)).toMatchObject({ by: "of-daemon" });
  new RecordedClient(rig.runtime, "codex", 901).report("UserPromptSubmit", { session_id: "pasted", prompt });
  expect(claimOf(rig.runtime, first)).toMatchObject({ by: "of-daemon" });
});

/** What has run, in order: a model named by the rule, or the program. */
const ran = (rig: SupervisorRig): string[] =>
  rig.runs.map(({ program: { command, args } }) => (args.includes("haiku") ? "haiku" : command));

/** Time passes, and what runs then ends. */
async function passToEnd(rig: SupervisorRig, ms: number): Promise<object | undefined> {
  const before = rig.emitted("ended").length;
  await rig.pass(ms);
  await rig.until(() => rig.emitted("ended").length > before);
  return lastEnd(rig);
}

const lastEnd = (rig: SupervisorRig): object | undefined => rig.emitted("ended").at(-1);

/** A response of Codex as its transcript reports it. */
function codexUses(rig: SupervisorRig, tokens: number): void {
  const at = rig.runtime.now();
  const counts = { input: tokens, output: 0, cacheRead: 0, cacheWrite: 0 };
  const row = { key: `m${tokens}`, session: codexId, at, day: new Date(at).toISOString().slice(0, 10) };
  const about = { model: "gpt-x", isSubagent: false };
  rig.runtime.store.write((sql) => usageMessages.insert(sql, { ...row, ...about, ...counts }));
}

const reached = "Claude Code has reached its usage limit: You've hit your limit";

it("without a rule, and with `off`, nothing goes on by itself after a usage limit", async () => {
  for (const order of [null, "off"] as const) {
    const { rig } = await limited(order, hourMs);
    const reason = `${reached}; no rule of this folder (\`atLimit\`) says to go on`;
    expect(lastEnd(rig)).toMatchObject({ phase: "stopped", reason });
    await rig.pass(2 * hourMs);
    expect(rig.runs).toHaveLength(1);
    rig.state.requestRestart("fix");
    await passToRun(rig, 3_000, 2);
    expect(ran(rig)).toEqual(["claude", "claude"]);
  }
});

it("with `wait` Claude Code starts again when the limit ends, and in no other way before", async () => {
  const { rig } = await limited(["wait"], hourMs);
  expect(lastEnd(rig)).toMatchObject({ phase: "due", reason: reached });
  await rig.pass(hourMs - 10_000);
  expect(rig.runs).toHaveLength(1);
  await passToRun(rig, 20_000, 2);
  expect(ran(rig)).toEqual(["claude", "claude"]);
});

it("another model goes on in a new session with the brief, and the usual one takes over after the limit", async () => {
  const { rig, first } = await limited([{ model: "haiku" }, "wait"], hourMs);
  const { args } = rig.runs[1]!.program;
  expect(args.filter((arg) => arg === "--model")).toHaveLength(1);
  expect([valueAfter(rig, "--model"), args.includes("opus")]).toEqual(["haiku", false]);
  expect(promptOf(rig, 1)).toContain("make the parser");
  const second = live(rig);
  expect(claimOf(rig.runtime, first)).toMatchObject({ by: second });
  await limitIt(rig, hourMs);
  await passToRun(rig, hourMs + 10_000, 3);
  expect(ran(rig)).toEqual(["claude", "haiku", "claude"]);
  // Begun by another model, so it is not resumed.
  expect([valueAfter(rig, "--resume"), valueAfter(rig, "--model")]).toEqual([undefined, "opus"]);
});

it("the ceiling of hours ends what the rule does, and what it would wait for", async () => {
  const { rig: running } = await handedOver({ rule: { mostHours: 1 } });
  await running.pass(hourMs - 10_000);
  expect(running.emitted("ended")).toEqual([]);
  const reason = expect.stringContaining("; the rule of this folder goes on for at most 1 h after the limit") as string;
  expect(await passToEnd(running, 20_000)).toMatchObject({ phase: "stopped", reason });
  const { rig: waiting } = await limited(["wait"], 2 * hourMs, { rule: { mostHours: 1 } });
  expect(lastEnd(waiting)).toMatchObject({ phase: "stopped", reason });
});

it("the ceiling of money counts what the rule's chats have used, and usage without a price, and ends them", async () => {
  const prices = { "gpt-x": { input: 10, output: 10, cacheRead: 1, cacheWrite: 1 } };
  for (const [config, first, second, why] of [
    [{ usage: { prices } }, 400_000, 200_000, "allows at most 5.00 USD, and 6.00 USD were spent"],
    [{}, 0, 1, "at most 5.00 USD, and 1 token has no price (`usage.prices`)"],
  ] as const) {
    const { rig } = await handedOver({ rule: { mostUsd: 5 }, config });
    codexUses(rig, first);
    await rig.pass(3_000);
    expect(rig.emitted("ended")).toEqual([]);
    codexUses(rig, second);
    const reason = expect.stringContaining(why) as string;
    expect(await passToEnd(rig, 3_000)).toMatchObject({ phase: "stopped", reason });
    await rig.pass(3 * hourMs);
    expect(rig.runs).toHaveLength(2);
  }
});

it("Enter and a pause stop what the rule has started, and nothing of it starts again", async () => {
  for (const why of ["you stopped the rule for usage limits", "`shim pause` stopped the rule of this folder"]) {
    const { rig, first } = await handedOver();
    const now = rig.runtime.now();
    if (why.startsWith("you")) rig.stoppedAt = now;
    else rig.runtime.store.write((sql) => pause(sql, now, null, null));
    const reason = expect.stringContaining(why) as string;
    expect(await passToEnd(rig, 3_000)).toMatchObject({ phase: "stopped", reason });
    expect(claimOf(rig.runtime, first)).toMatchObject({ by: codexId });
    rig.runtime.store.write((sql) => resume(sql, rig.runtime.now(), null));
    await rig.pass(3 * hourMs);
    expect(rig.runs).toHaveLength(2);
  }
  const { rig: waiting } = await limited(["wait"], hourMs);
  waiting.stoppedAt = waiting.runtime.now();
  await waiting.pass(2 * hourMs);
  expect([waiting.runs.length, lastEnd(waiting)]).toMatchObject([1, { phase: "stopped" }]);
});

it("a supervisor that dies in a hand-over leaves one successor: the next continues that one, or begins it", async () => {
  // After the hand-over, before Codex began.
  const { rig: early, first } = await limited([toCodex], hourMs);
  await early.pass(1_000);
  early.runtime.processes.kill(502);
  const afterEarly = await aRig([toCodex], { after: early });
  await passToRun(afterEarly, 0, 1);
  expect(ran(afterEarly)).toEqual(["codex"]);
  expect(promptOf(afterEarly, 0)).toContain(first);
  // While Codex worked.
  const { rig: late, first: source } = await handedOver({}, "Codex has fixed the lexer.");
  late.runtime.processes.kill(502);
  const afterLate = await aRig([toCodex], { after: late });
  await passToRun(afterLate, 0, 1);
  expect(ran(afterLate)).toEqual(["codex"]);
  expect(promptOf(afterLate, 0)).toContain("Codex has fixed the lexer.");
  expect(claimOf(late.runtime, source)).toMatchObject({ by: codexId });
});

it("a successor that still lives is waited for", async () => {
  const { rig } = await handedOver();
  const next = await aRig([toCodex], { after: rig });
  expect(next.runs).toEqual([]);
  expect(next.emitted("held")).toMatchObject([{ reason: `session ${codexId} is already running (pid 502)` }]);
});

it("a hand-over is in the timeline of both sessions and in a notification, with reason and cost", async () => {
  const { rig, first } = await handedOver();
  const { store } = rig.runtime;
  const linesOf = (id: string): string[] =>
    store.read((sql) => timeline(readContent(sql, id)).map(({ text }) => text), []);
  const why = "Codex, because a usage limit was reached; 0.00 USD spent for this limit so far";
  expect(linesOf(first)).toContainEqual(`taken by session ${codexId}, restore score 50 of 100: ${why}`);
  expect(linesOf(codexId)).toContainEqual(`continues session ${first} of Claude Code: ${why}`);
  const texts = store.read((sql) => dueNotifications(sql, rig.runtime).map(({ text }) => text), []);
  const notified = "reached a usage limit; Codex continues by your rule (0.00 USD spent for this limit so far)";
  expect(texts).toContainEqual(expect.stringContaining(notified));
});
