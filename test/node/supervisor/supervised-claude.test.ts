import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codex } from "#src/clients/codex.ts";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { pause } from "#src/store/pause.ts";
import { dismiss } from "#src/local-mcp/recovery/local-source.ts";
import * as journal from "#src/local-mcp/sessions/journal.ts";
import * as sessions from "#src/local-mcp/sessions/sessions.ts";
import { init, lines, result, says } from "#harness/claude/fake-claude.ts";
import {
  aRig,
  codexWorks,
  crash,
  die,
  limitIt,
  live,
  prints,
  prompt,
  valueAfter,
} from "#harness/supervisor/claude-runs.ts";
import { aLiveChat, checkpointsOf, sessionOf } from "#harness/supervisor/live-chats.ts";

it("[SU7] begins with the prompt in a session of SHIM's choice, with its server and hooks, and none of its secrets", async () => {
  const rig = await aRig();
  const { program } = rig.runs[0]!;
  expect([program.command, program.cwd, program.input]).toEqual(["claude", join(rig.folder, "project"), prompt]);
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(valueAfter(rig, "--model")).toBe("opus");
  const [mcp, settings] = ["--mcp-config", "--settings"].map((option) =>
    readFileSync(valueAfter(rig, option)!, "utf8"),
  );
  expect([mcp, settings]).toEqual([expect.stringContaining("shim.mjs"), expect.stringContaining("SessionStart")]);
  expect(program.env).toEqual({ PATH: "/bin", SHIM_HOME: rig.runtime.paths.home });
  expect(rig.emitted("started")[0]).toMatchObject({ name: "fix", session: valueAfter(rig, "--session-id") });
});

it("[SU6] [SU35] after a crash the session is resumed where its transcript is whole, with its last checkpoint", async () => {
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
  expect(rig.runs[1]?.program.input).toMatch(/interrupted.*Continue where you stopped/);
  expect(checkpointsOf(rig.runtime, id)).toEqual([expect.stringMatching(/^detached: .*make the parser/s)]);
});

it("[SU6] nothing is saved during a pause", async () => {
  const rig = await aRig();
  const id = live(rig);
  rig.runtime.store.write((sql) => pause(sql, rig.runtime.now(), null, null));
  await crash(rig);
  expect(checkpointsOf(rig.runtime, id)).toEqual([]);
  expect(valueAfter(rig, "--resume")).toBe(id);
});

it("[SU36] [SU39] where its transcript is not whole a new session begins with the prompt and the brief", async () => {
  const rig = await aRig();
  const first = live(rig, { transcript: '{"type":"user","ses' });
  await crash(rig);
  const second = valueAfter(rig, "--session-id");
  expect(second).not.toBe(first);
  const { input } = rig.runs[1]!.program;
  expect(input.startsWith(`${prompt}\n\n`)).toBe(true);
  expect(input).toContain(first);
  expect(input).toContain("make the parser accept empty input");
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recovery: "offered", recoveryBy: second });
  // It dies before it began: the next one goes on with the first, too.
  await crash(rig);
  const third = valueAfter(rig, "--session-id");
  expect([first, second]).not.toContain(third);
  expect(rig.runs[2]?.program.input).toContain(first);
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: third });
});

it("[SU36] a session that Claude Code does not resume gets a successor @night", async () => {
  for (const last of [
    result({ is_error: true, subtype: "error_during_execution", num_turns: 0 }),
    result({ is_error: true, subtype: "success", terminal_reason: "prompt_too_long" }),
  ]) {
    const rig = await aRig();
    const id = live(rig);
    await crash(rig);
    expect(valueAfter(rig, "--resume")).toBe(id);
    prints(rig, init(), last);
    await crash(rig, 1);
    expect(valueAfter(rig, "--resume")).toBeUndefined();
    expect(rig.runs[2]?.program.input).toContain(id);
  }
});

it("[SU1] [SU37] a session that has ended, was continued elsewhere or dismissed is never begun again", async () => {
  const finished = await aRig();
  const id = live(finished);
  finished.runtime.store.write((sql) => sessions.end(sql, finished.runtime.now(), id, "other"));
  await crash(finished, 1);
  expect([finished.runs.length, finished.emitted("ended").at(-1)?.phase]).toEqual([1, "finished"]);
  // The user wants it again: that is another session.
  finished.state.requestRestart("fix");
  await finished.pass(2_000);
  expect([finished.runs.length, finished.runs[1]?.program.input]).toEqual([2, prompt]);
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

it("[SU38] a session that another process runs is waited for", async () => {
  const rig = await aRig();
  const id = live(rig);
  await die(rig);
  aLiveChat(rig.runtime, { id, pid: 900 });
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
  await rig.pass(40_000);
  expect(valueAfter(rig, "--resume")).toBe(id);
});

it("[SU5] a usage limit is waited for, as reported by the stream or by the client's record", async () => {
  const limited = await aRig(["wait"]);
  live(limited);
  const resetsAt = Math.floor(limited.runtime.now() / 1_000) + 3_600;
  const limit = { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt } };
  const end = result({ is_error: true, result: "You've hit your limit" });
  prints(limited, init(), limit, says({ error: "rate_limit" }), end);
  await die(limited, 1);
  expect(limited.emitted("ended").at(-1)).toMatchObject({ phase: "due", reason: "a usage limit was reached" });
  await limited.pass(3_500_000);
  expect(limited.runs).toHaveLength(1);
  await limited.pass(200_000);
  expect(limited.runs).toHaveLength(2);
  const hooked = await aRig(["wait"]);
  const id = live(hooked);
  const failure = { kind: "failure", text: "usage limit", limit: { resetsAtMs: null } } as const;
  hooked.runtime.store.write((sql) => journal.append(sql, id, hooked.runtime.now(), "f", failure));
  await die(hooked, 1);
  expect(hooked.emitted("ended").at(-1)).toMatchObject({ phase: "due", againInMs: 300_000 });
});

it("[CA51] at a usage limit another client continues at once with the brief, and Claude Code takes over again", async () => {
  const rig = await aRig([{ client: "codex", program: "/opt/codex", args: ["--json"] }]);
  const first = live(rig);
  await limitIt(rig);
  const reason = "a usage limit was reached; Codex continues";
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "due", reason });
  await rig.pass(1_000);
  const { program } = rig.runs[1]!;
  expect(program).toMatchObject({ command: "/opt/codex", cwd: join(rig.folder, "project") });
  expect(program.args).toEqual(["exec", "--json", "-"]);
  expect(program.input).toMatch(/^Fix the parser\.\n\n.*make the parser/s);
  codexWorks(rig);
  await die(rig, 1);
  expect(sessionOf(rig.runtime, first)).toMatchObject({ recoveryBy: "codex-1" });
  await rig.pass(400_000);
  expect(rig.runs).toHaveLength(3);
  const { input, command } = rig.runs[2]!.program;
  expect(command).toBe("claude");
  expect(valueAfter(rig, "--session-id")).toMatch(/^[0-9a-f-]{36}$/);
  expect(input).toContain("Codex is at it");
});

it("[RE122] the brief in the other client's prompt is no word of the user in the next brief", async () => {
  const rig = await aRig([{ client: "codex" }]);
  const first = live(rig);
  await limitIt(rig);
  await rig.pass(1_000);
  const { input } = rig.runs[1]!.program;
  expect(input).toContain(first);
  codexWorks(rig, input);
  await die(rig, 1);
  await rig.pass(400_000);
  const next = rig.runs[2]!.program.input;
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

it("[CA52] a chat in a process of another environment gets the session by the brief in its prompt, unless the successor has begun", async () => {
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

it("[CA51] after the other client has failed Claude Code waits for the reset that it has reported", async () => {
  const rig = await aRig([{ client: "codex" }]);
  live(rig);
  const resetsAt = Math.floor(rig.runtime.now() / 1_000) + 7_200;
  prints(rig, { type: "rate_limit_event", rate_limit_info: { status: "rejected", resetsAt } });
  await limitIt(rig);
  await rig.pass(1_000);
  await rig.end(1);
  await rig.pass(7_000_000);
  expect(rig.runs).toHaveLength(2);
  await rig.pass(400_000);
  expect(rig.runs[2]?.program.command).toBe("claude");
});

it("[CA51] what the other client has finished is finished, and without its hooks the session stays on offer", async () => {
  const rig = await aRig([{ client: "codex" }]);
  const first = live(rig);
  await limitIt(rig);
  await rig.pass(1_000);
  expect(rig.runs[1]?.program.command).toBe("codex");
  await rig.end(0);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ phase: "finished" });
  expect(sessionOf(rig.runtime, first)?.recovery).toBeNull();
});

it("[SU5] a limit that it got past is none", async () => {
  const rig = await aRig();
  live(rig);
  prints(rig, init(), says({ error: "rate_limit" }), says({ text: "Go on." }));
  await die(rig);
  expect(rig.emitted("ended").at(-1)).toMatchObject({ reason: "it was ended by signal 9", againInMs: 1_000 });
});

it("[SU40] the last answer is printed, without secrets", async () => {
  const rig = await aRig();
  live(rig);
  const token = `ghp_${"a1B2".repeat(9)}`;
  rig.runs[0]?.program.onLine(lines(result({ result: `Done with ${token}.` })).trim());
  expect(rig.emitted("output").map(({ text }) => text)).toEqual([expect.stringMatching(/^Done with \[redacted:/)]);
});

it("[SU6] [SU52] a store that takes nothing stops no program, and it is reported", async () => {
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
