import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codex } from "#src/clients/codex/codex.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { pause } from "#src/store/pause.ts";
import { dismiss } from "#src/machine/recovery/marks.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { init, result, says } from "#harness/claude/fake-claude.ts";
import {
  aRig,
  codexDone,
  codexId,
  codexWorks,
  crash,
  die,
  limitIt,
  live,
  passToRun,
  prints,
  prompt,
  promptOf,
  valueAfter,
} from "#harness/supervisor/claude-runs.ts";
import { aLiveChat, checkpointsOf, sessionOf } from "#harness/supervisor/live-chats.ts";

it("begins with the prompt in a session of SHIM's choice, with its server and hooks, and none of its secrets", async () => {
  const rig = await aRig();
  const { program } = rig.runs[0]!;
  expect([program.command, program.cwd, promptOf(rig, 0)]).toEqual(["claude", join(rig.folder, "project"), prompt]);
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(valueAfter(rig, "--model")).toBe("opus");
  const [mcp, settings] = ["--mcp-config", "--settings"].map((option) =>
    readFileSync(valueAfter(rig, option)!, "utf8"),
  );
  expect([mcp, settings]).toEqual([expect.stringContaining("shim.mjs"), expect.stringContaining("SessionStart")]);
  expect(program.env).toEqual({ PATH: "/bin", SHIM_HOME: rig.runtime.paths.home });
  expect(rig.emitted("started")[0]).toMatchObject({ name: "fix", session: valueAfter(rig, "--session-id") });
});

it("after a crash the session is resumed where its transcript is whole, with its last checkpoint", async () => {
  const rig = await aRig();
  const id = live(rig);
  const { transcriptPath } = sessionOf(rig.runtime, id)!;
  const said = {
    type: "assistant",
    message: { role: "assistant", content: [{ type: "text", text: "It is line 7." }] },
  };
  appendFileSync(transcriptPath!, `${JSON.stringify({ ...said, sessionId: id, uuid: "u1" })}\n`);
  await crash(rig);
  expect(rig.runs).toHaveLength(2);
  expect(valueAfter(rig, "--resume")).toBe(id);
  expect(rig.runs[1]?.program.args).not.toContain("--session-id");
  expect(promptOf(rig, 1)).toMatch(/interrupted.*Continue where you stopped/);
  expect(checkpointsOf(rig.runtime, id)).toEqual([expect.stringMatching(/^detached: .*make the parser/s)]);
});

it("nothing is saved during a pause", async () => {
  const rig = await aRig();
  const id = live(rig);
  rig.runtime.store.write((sql) => pause(sql, rig.runtime.now(), null, null));
  await crash(rig);
  expect(checkpointsOf(rig.runtime, id)).toEqual([]);
  expect(valueAfter(rig, "--resume")).toBe(id);
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
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recovery: "offered", recoveryBy: second });
  // It dies before it began: the next one goes on with the first, too.
  await crash(rig);
  const third = valueAfter(rig, "--session-id");
  expect([first, second]).not.toContain(third);
  expect(promptOf(rig, 2)).toContain(first);
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: third });
});

it("a session that Claude Code does not resume gets a successor @night", async () => {
  for (const last of [
    result({ is_error: true, subtype: "error_during_execution", num_turns: 0 }),
    result({ is_error: true, subtype: "success", terminal_reason: "prompt_too_long" }),
  ]) {
    const rig = await aRig();
    const id = live(rig);
    await crash(rig);
    expect(valueAfter(rig, "--resume")).toBe(id);
    prints(rig, init({ session_id: id }), last);
    await crash(rig, 1);
    expect(valueAfter(rig, "--resume")).toBeUndefined();
    expect(promptOf(rig, 2)).toContain(id);
  }
});

it("at the limit of turns that the settings name it has failed, and is not started again", async () => {
  const rig = await aRig();
  live(rig);
  prints(rig, result({ is_error: true, subtype: "error_max_turns", result: "Reached 2 turns" }));
  await crash(rig, 1);
  expect([rig.runs.length, rig.emitted("ended").at(-1)]).toMatchObject([
    1,
    { phase: "failed", reason: "Reached 2 turns" },
  ]);
});

it("what its user has ended is stopped", async () => {
  for (const [code, end] of [
    [143, null],
    [0, result({ is_error: true, subtype: "error_during_execution", terminal_reason: "aborted_tools", num_turns: 0 })],
  ] as const) {
    const rig = await aRig();
    live(rig);
    if (end) prints(rig, end);
    await crash(rig, code);
    expect([rig.runs.length, rig.emitted("ended").at(-1)?.phase]).toEqual([1, "stopped"]);
  }
});

it("a session that has ended, was continued elsewhere or dismissed is never begun again", async () => {
  const finished = await aRig();
  const id = live(finished);
  finished.runtime.store.write((sql) => sessions.end(sql, finished.runtime.now(), id, "other"));
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
    else rig.runtime.store.write((sql) => sessions.setRecovery(sql, rig.runtime.now(), dead, "recovered", "other"));
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
  rig.runtime.store.write((sql) =>
    sql.run(
      "UPDATE sessions SET owner = json_set(owner, '$.pid', 900, '$.start', ?)",
      rig.runtime.processes.facts(900)!.start,
    ),
  );
  await rig.pass(100_000);
  expect([rig.runs.length, rig.emitted("held")]).toEqual([
    1,
    [{ type: "held", name: "fix", reason: `session ${id} is already running (pid 900)` }],
  ]);
  rig.runtime.processes.kill(900);
  await passToRun(rig, 40_000, 2);
  expect(valueAfter(rig, "--resume")).toBe(id);
});

it("at a usage limit another client continues at once with the brief, and Claude Code takes over again", async () => {
  const rig = await aRig([{ client: "codex", program: "/opt/codex", args: ["--full-auto"] }]);
  const first = live(rig);
  await limitIt(rig);
  expect(rig.emitted("started").at(-1)?.how).toMatch(/^Codex, session .* with the brief of/);
  const { program } = rig.runs[1]!;
  expect(program).toMatchObject({ command: "/opt/codex", cwd: join(rig.folder, "project") });
  expect(program.args).toEqual(["exec", "--json", "--full-auto", "-"]);
  expect(program.input).toMatch(/^Fix the parser\.\n\n.*make the parser/s);
  codexWorks(rig);
  await die(rig, 1);
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: codexId });
  await passToRun(rig, 400_000, 3);
  expect(rig.runs[2]!.program.command).toBe("claude");
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(promptOf(rig, 2)).toContain("Codex is at it");
});

it("the brief in the other client's prompt is no word of the user in the next brief", async () => {
  const rig = await aRig([{ client: "codex" }]);
  const first = live(rig);
  await limitIt(rig);
  await rig.pass(1_000);
  const { input } = rig.runs[1]!.program;
  expect(input).toContain(first);
  codexWorks(rig, input);
  await die(rig, 1);
  await passToRun(rig, 400_000, 3);
  const next = promptOf(rig, 2);
  expect(next).toMatch(
    /^the user's prompts, oldest first:\n- .* ago: make the parser .*\n- .* ago: Fix the parser\.$/m,
  );
  expect(next.split("SHIM: an earlier session")).toHaveLength(2);
  const again = /SHIM: [\s\S]+/.exec(next)?.[0] ?? "";
  rig.runtime.processes.start(900);
  answerHook(rig.runtime, "UserPromptSubmit", () => JSON.stringify({ session_id: "r", prompt: again }), 900, codex);
  const entries = rig.runtime.store.read((sql) => journal.list(sql, "r", 0, 10), []);
  expect(entries.map(({ entry }) => entry)).toEqual([{ kind: "prompt", text: "continue" }]);
});

it("a chat in a process of another environment gets the session by the brief in its prompt, unless the successor has begun", async () => {
  const rig = await aRig([{ client: "codex" }]);
  const first = live(rig);
  await limitIt(rig);
  await rig.pass(1_000);
  const prompt = rig.runs[1]!.program.input;
  const send = (id: string, pid: number, event: string, fields: object): void => {
    rig.runtime.processes.start(pid);
    answerHook(rig.runtime, event, () => JSON.stringify({ session_id: id, ...fields }), pid, codex);
  };
  send("of-daemon", 900, "SessionStart", { source: "startup" });
  send("of-daemon", 900, "UserPromptSubmit", { prompt });
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: "of-daemon" });
  send("pasted", 901, "UserPromptSubmit", { prompt });
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: "of-daemon" });
});

it("what the other client has finished is finished, and without its hooks the session stays on offer", async () => {
  const rig = await aRig([{ client: "codex" }]);
  const first = live(rig);
  await limitIt(rig);
  expect(rig.runs[1]?.program.command).toBe("codex");
  prints(rig, codexDone);
  await rig.end(0);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "finished" });
  expect(sessionOf(rig.runtime, first)?.recovery).toBeNull();
});

it("a limit that it got past is none", async () => {
  const rig = await aRig();
  live(rig);
  prints(rig, says({ error: "rate_limit" }), says({ text: "Go on." }));
  await die(rig);
  const reason = expect.stringContaining("ended with 137") as string;
  expect(rig.emitted("ended").at(-1)).toMatchObject({ reason, againInMs: 1_000 });
});

it("what it says and does is printed, without secrets", async () => {
  const rig = await aRig();
  live(rig);
  prints(rig, says({ text: `Done with ghp_${"a1B2".repeat(9)}.` }));
  expect(rig.emitted("output").at(-1)?.text).toMatch(/^Done with \[redacted:/);
});

it("a store that takes nothing stops no program, and it is reported", async () => {
  const rig = await aRig();
  live(rig);
  const { store } = rig.runtime;
  store.write((sql) =>
    sql.run("CREATE TRIGGER full BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'no room'); END"),
  );
  await crash(rig);
  expect(rig.emitted("problem")).toEqual([
    expect.objectContaining({ message: expect.stringMatching(/^the last checkpoint of/) }),
  ]);
  expect(rig.runs).toHaveLength(2);
});
