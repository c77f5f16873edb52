import { mkdirSync, writeFileSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, dirname } from "node:path";
import {
  aDeadClaude,
  anotherClaude,
  journalKinds,
  aChat,
  stateOf,
  storedSession,
  claimOf,
} from "#harness/machine/claude.ts";
import { tempRuntime, storedBytes, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { launchIn } from "#harness/machine/cli-home.ts";
import { insert } from "#harness/store/store-test.ts";
import { expect, it, vi } from "vitest";
import { claudeCode } from "#src/clients/claude-code/claude-code.ts";
import { answerHook, drainInto } from "#src/local-mcp/events/answer-hook.ts";
import type { HookClient } from "#src/contract/clients.ts";
import { pause } from "#src/store/pause.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as spool from "#src/store/spool.ts";
import { spoolEvent, spoolGiven, spoolUnanswered } from "#src/local-mcp/events/spool-event.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";

/** Another process holds the store. @returns it lets go */
function lock(runtime: TempRuntime): () => void {
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  return () => void writer.run("COMMIT");
}

it("a prompt that had to wait in the spool stays before the next one: the newest request is the last", () => {
  const { runtime, claude } = aChat({ busyMs: 10 });
  claude.start();
  const unlock = lock(runtime);
  expect(claude.prompt("fix the parser")).toEqual({});
  unlock();
  claude.prompt("write the changelog");
  const prompts = stateOf(runtime, claude.session)?.prompts.map(({ text }) => text);
  expect(prompts).toEqual(["fix the parser", "write the changelog"]);
});

it("a budget at its limit denies tool calls while the store is locked, and none in a pause", () => {
  const { runtime, claude } = aChat({ busyMs: 10 });
  claude.start();
  const row = { session: claude.session, task: 7, claim: 1, startedAt: 0, exceeded: "1,000 tokens" };
  runtime.store.write((sql) => insert(sql, "task_spending", { ...row, tokens: 0, costMicros: 0 }));
  const decision = (tool_name: string): string | undefined => {
    const call = { tool_name, tool_input: {}, tool_use_id: `toolu_${tool_name}` };
    return claude.tell("PreToolUse", call).hookSpecificOutput?.permissionDecision;
  };
  const unlock = lock(runtime);
  expect([decision("Bash"), decision("mcp__shim__shim_report")]).toEqual(["deny", undefined]);
  unlock();
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  const unlockAgain = lock(runtime);
  expect(decision("Read")).toBeUndefined();
  unlockAgain();
});

const unreadable = (): never => {
  throw new Error("unreadable");
};

it("a call is not refused where nothing can be read", () => {
  const { runtime, claude } = aChat();
  claude.start();
  for (const way of ["read", "write"] as const) vi.spyOn(runtime.store, way).mockImplementation(unreadable);
  const answer = claude.tell("PreToolUse", { tool_name: "Bash", tool_input: {}, tool_use_id: "toolu_1" });
  vi.restoreAllMocks();
  expect(answer.hookSpecificOutput?.permissionDecision).toBeUndefined();
});

it("a start that found the store locked is answered with the next prompt, once", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const next = anotherClaude(runtime, aDeadClaude(runtime));
  const unlock = lock(runtime);
  expect(next.start()).toBe("");
  unlock();
  const { hookSpecificOutput: given } = next.prompt("go on");
  expect(given?.hookEventName).toBe("UserPromptSubmit");
  expect(given?.additionalContext).toContain("s ago: fix the parser");
  expect(next.prompt("and now?")).toEqual({});
});

const token = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

it("no half of a secret that a limit cuts in two is in the spool", () => {
  const runtime = tempRuntime();
  for (let before = 31_960; before < 32_000; before += 8) {
    const input = { session_id: "s", prompt: `${"x ".repeat(before / 2)}${token} and more` };
    spoolEvent(runtime, { client: claudeCode, event: "UserPromptSubmit", input, clientPid: 1 });
  }
  expect(spooled(runtime)).toContain("x x x");
  expect(spooled(runtime)).not.toContain("ghp_");
});

function spooled({ paths }: TempRuntime): string {
  return readdirSync(paths.spool)
    .map((name) => readFileSync(join(paths.spool, name), "utf8"))
    .join("");
}

/** A chat on a machine whose store fails while `error` is set. */
function aFailingDisk(cwd?: string) {
  const disk: { error: Error | null } = { error: null };
  const driver = (options: OpenOptions): Connection => {
    const connection = openBetterSqlite3(options);
    const run: Connection["run"] = (query, ...values) => {
      if (disk.error && query.startsWith("BEGIN IMMEDIATE")) throw disk.error;
      return connection.run(query, ...values);
    };
    return { ...connection, run };
  };
  return { disk, ...aChat({ driver, ...(cwd ? { cwd } : {}) }) };
}

const sqliteError = (code: string): Error => Object.assign(new Error("refused"), { code });

it("an event that the store does not take waits in the spool, redacted, and is applied at its time", () => {
  const { disk, runtime, claude } = aFailingDisk();
  claude.start();
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt(`use the token ${token}`)).toEqual({});
  const at = runtime.now();
  claude.tell("PreToolUse", { tool_name: "Bash", tool_use_id: "t1", tool_input: { command: `curl -u x:${token}` } });
  expect(spooled(runtime) + storedBytes(runtime.paths)).not.toContain("ghp_");
  runtime.wait(60_000);
  disk.error = null;
  expect(drainInto(runtime)).toBe(2);
  const rows = runtime.store.read((sql) => journal.list(sql, claude.session, 0), []);
  expect(rows.slice(-2)).toMatchObject([{ at, entry: { kind: "prompt" } }, { entry: { kind: "tool_start" } }]);
  expect(drainInto(runtime)).toBe(0);
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  disk.error = sqliteError("SQLITE_BUSY");
  expect([claude.prompt("a secret plan"), spool.isEmpty(runtime.paths.spool)]).toEqual([{}, true]);
});

it("in a pause an event does not wait in the spool either, where others have taken up its time", () => {
  const { runtime, claude } = aChat();
  claude.start();
  const input = { session_id: claude.session };
  for (let n = 0; n < 2; n++)
    spool.append(runtime.paths.spool, { at: runtime.now(), event: "Stop", client: null, input });
  runtime.store.write((sql) => pause(sql, runtime.now(), null, claude.cwd));
  vi.spyOn(runtime, "now").mockImplementation(() => (runtime.clock.now += 400));
  expect(claude.prompt("a secret plan")).toEqual({});
  vi.restoreAllMocks();
  expect([spool.isEmpty(runtime.paths.spool), spooled(runtime).includes("a secret plan")]).toEqual([false, false]);
});

it("an event from the spool opens no ended session, makes no offer, and starts no tool that has ended", () => {
  const { disk, runtime, claude: first } = aFailingDisk();
  first.turn("fix the parser");
  first.kill();
  const second = anotherClaude(runtime, first);
  disk.error = sqliteError("SQLITE_BUSY");
  second.start();
  const id = second.begin("Bash", { command: "sleep 1" });
  disk.error = null;
  second.done(id, "Bash");
  second.end();
  const { ending } = storedSession(runtime, second.session);
  drainInto(runtime);
  expect(storedSession(runtime, second.session)).toMatchObject({ ending });
  expect(claimOf(runtime, first.session)).toBeNull();
  const kinds = journalKinds(runtime, second.session);
  expect(kinds.indexOf("tool_start")).toBeLessThan(kinds.indexOf("tool_end"));
  expect(stateOf(runtime, second.session)?.life.calls).toEqual([]);
});

it("a process that got the client's number since, also after a reboot, is not taken for it", () => {
  for (const isRebooted of [false, true]) {
    const { disk, runtime, claude } = aFailingDisk();
    claude.turn("one");
    const { owner } = storedSession(runtime, claude.session);
    disk.error = sqliteError("SQLITE_BUSY");
    claude.prompt("two");
    disk.error = null;
    if (isRebooted) runtime.processes.reboot();
    runtime.processes.start(claude.pid);
    drainInto(runtime);
    expect(storedSession(runtime, claude.session).owner).toEqual(owner);
  }
});

it("an entry of the spool that is no event, or fails for another reason than the store, stops nothing", () => {
  const { runtime, claude } = aChat();
  const input = { session_id: claude.session, prompt: "kept", prompt_id: "p1" };
  const wait = (event: string, fields: object): void =>
    spool.append(runtime.paths.spool, { at: runtime.now(), clientPid: 1, event, ...fields });
  wait("Nonsense", { input });
  wait("Stop", { input: { session_id: 7 } });
  wait("UserPromptSubmit", { input, clientPid: "none" });
  expect([drainInto(runtime), journalKinds(runtime, claude.session)]).toEqual([3, ["prompt"]]);
  expect(runtime.logged).toHaveLength(2);
});

it("a bug in one event does not keep the others in the spool", () => {
  const { disk, runtime, claude } = aFailingDisk();
  claude.start();
  const wait = (event: string, fields: object): void => {
    const input = { session_id: claude.session, ...fields };
    spool.append(runtime.paths.spool, { at: runtime.now(), clientPid: 1, event, input });
  };
  for (const prompt_id of ["p1", "p2"]) wait("UserPromptSubmit", { prompt: "kept", prompt_id });
  disk.error = new TypeError("a bug");
  expect(drainInto(runtime)).toBe(2);
  disk.error = sqliteError("SQLITE_FULL");
  wait("Stop", {});
  expect(() => drainInto(runtime)).toThrow(/disk is full/);
  disk.error = null;
  expect(drainInto(runtime)).toBe(1);
});

it("the user is notified when nothing can be saved, once a turn; a short lock is not reported", () => {
  const { disk, claude } = aFailingDisk();
  claude.start();
  disk.error = sqliteError("SQLITE_FULL");
  expect(claude.prompt("one").systemMessage).toMatch(/SHIM cannot save: .*disk is full.*\)\. Events .*shim doctor/s);
  expect([claude.use("Bash"), claude.stop()]).toEqual([{}, {}]);
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt("two")).toEqual({});
});

it("an event that not even the spool takes is lost, and reported as such", () => {
  const { disk, runtime, claude } = aFailingDisk();
  claude.start();
  mkdirSync(dirname(runtime.paths.spool), { recursive: true });
  writeFileSync(runtime.paths.spool, "a file where the folder should be");
  disk.error = sqliteError("SQLITE_BUSY");
  expect(claude.prompt("one").systemMessage).toContain("SHIM cannot save");
  expect(runtime.logged.join()).toContain("is lost");
});

it("without a host an event waits in the spool, and a prompt says why, also where it is lost; a slow host is not reported", () => {
  const { paths } = tempRuntime();
  const host = { home: paths.home, env: {}, launch: launchIn(paths.home) };
  const input = JSON.stringify({ session_id: "s", cwd: "/p", prompt: "fix it" });
  const tell = (event: string, problem: string | null, client: HookClient = "claude-code"): unknown => {
    const said = spoolUnanswered(host, { client, event, input, process: "", problem });
    return said && (JSON.parse(said) as { systemMessage: string }).systemMessage.replace(/ Run `.*$/, "");
  };
  const names = (): number => readdirSync(paths.spool).length;
  const waits = "SHIM cannot save: no host starts. Events wait in the spool until it can.";
  expect([tell("UserPromptSubmit", "no host starts"), names()]).toEqual([waits, 1]);
  expect([tell("Stop", "no host starts"), tell("UserPromptSubmit", null), names()]).toEqual(["", "", 3]);
  expect([tell("Stop", null, "none" as HookClient), names()]).toEqual(["", 3]);
  rmSync(paths.spool, { recursive: true });
  writeFileSync(paths.spool, "a file where the folder should be");
  // What the hook itself has seen is the reason, also where a host that does not start has not said why.
  for (const problem of [null, "no host starts"])
    expect(tell("UserPromptSubmit", problem)).toMatch(/^SHIM cannot save: .*EEXIST.* Events are lost until it can\.$/);
  const cut = { client: claudeCode, env: {}, clientPid: 7, id: "e1", event: "Stop", input: "no json" };
  const runtime = tempRuntime({ paths });
  spoolGiven(runtime, cut);
  expect(runtime.logged.join()).toContain("an input that could not be read is lost: it could not be spooled");
});

it("an event that is recorded is not recorded again, sent a second time or read from the spool, in any order", () => {
  const { runtime, claude } = aChat();
  const input = { session_id: claude.session, tool_name: "Bash", tool_input: { command: "make" } };
  const send = (id: string): string =>
    answerHook(runtime, "PreToolUse", () => JSON.stringify(input), claude.pid, claudeCode, id);
  const wait = (id: string): void => {
    const call = { client: claudeCode, event: "PreToolUse", input, clientPid: claude.pid } as const;
    spoolEvent(runtime, { ...call, id: `${id}.0` });
  };
  send("first");
  wait("first");
  expect(drainInto(runtime)).toBe(1);
  send("first");
  expect(journalKinds(runtime, claude.session)).toEqual(["tool_start"]);
  for (let n = 0; n < 2; n++) wait("second");
  drainInto(runtime);
  send("second");
  expect(journalKinds(runtime, claude.session)).toEqual(["tool_start", "tool_start"]);
});

it("an event that was recorded is not recorded again from the spool, however many came between", () => {
  const { runtime, claude } = aChat();
  claude.start();
  const input = { session_id: claude.session, cwd: claude.cwd, prompt: "fix the parser" };
  const tell = (prompt: string, id: string): string =>
    answerHook(runtime, "UserPromptSubmit", () => JSON.stringify({ ...input, prompt }), claude.pid, claudeCode, id);
  tell(input.prompt, "first");
  claude.stop("It is fixed.");
  for (let n = 0; n < 130; n++) tell("go on", `later${n}`);
  const event = "UserPromptSubmit";
  spoolEvent(runtime, { client: claudeCode, event, input, clientPid: claude.pid, id: "first.0" });
  drainInto(runtime);
  const prompts = stateOf(runtime, claude.session)?.prompts.map(({ text }) => text) ?? [];
  expect(prompts.filter((text) => text === input.prompt)).toEqual([input.prompt]);
  expect(prompts.at(-1)).toBe("go on");
});
