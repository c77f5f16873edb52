import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { currentState } from "#src/local-mcp/checkpoints/capture.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import * as notices from "#src/store/notices.ts";
import * as spool from "#src/store/spool.ts";
import { aDeadClaude, anotherClaude, aProject, Claude, journalKinds, rowCount } from "#harness/machine/claude.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

it("[HO8] a prompt that had to wait in the spool stays before the next one: the newest request is the last", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const claude = new Claude(runtime);
  claude.start();
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  expect(claude.prompt("fix the parser")).toEqual({});
  writer.run("COMMIT");
  claude.prompt("write the changelog");
  const state = runtime.store.read((sql) => currentState(sql, claude.session), null);
  expect(state).toMatchObject({ firstPrompt: "fix the parser", lastPrompt: "write the changelog" });
});

it("[HO8] while another process applies the spool, an event waits behind it, except a start, which is answered", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime);
  claude.start();
  claude.prompt("fix the parser");
  mkdirSync(runtime.paths.spool, { recursive: true });
  const taken = join(runtime.paths.spool, `waiting.jsonl${spool.claimSuffix(systemProcesses, process.ppid)}`);
  writeFileSync(taken, "");
  claude.begin("Bash", { command: "ls" });
  expect(journalKinds(runtime, claude.session)).not.toContain("tool_start");
  anotherClaude(runtime, claude).start();
  expect(rowCount(runtime, "sessions")).toBe(2);
  rmSync(taken);
  claude.done(`toolu_${claude.session.slice(0, 8)}_1`, "Bash");
  expect(journalKinds(runtime, claude.session).slice(-2)).toEqual(["tool_start", "tool_end"]);
});

it("[HO14] a start that found the store locked is answered with the next prompt, once", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const dead = aDeadClaude(runtime);
  const next = anotherClaude(runtime, dead);
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  expect(next.start()).toBe("");
  writer.run("COMMIT");
  const told = next.prompt("go on");
  expect(told.hookSpecificOutput).toMatchObject({
    hookEventName: "UserPromptSubmit",
    additionalContext: expect.stringContaining("goal: fix the parser") as string,
  });
  expect(next.prompt("and now?")).toEqual({});
});

it("[HO14] a compaction that found the store locked is answered with the next prompt, too", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.start();
  claude.turn("fix the parser");
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  expect(claude.start("compact")).toBe("");
  writer.run("COMMIT");
  const told = claude.prompt("go on").hookSpecificOutput?.additionalContext;
  expect(told).toContain("this conversation was compacted");
});

it("[ST22] a hook leaves the repair of a large store to others: the user is told, and nothing is lost", () => {
  const runtime = tempRuntime();
  const claude = new Claude(runtime, { cwd: aProject() });
  claude.turn("fix the parser");
  runtime.store.close();
  writeFileSync(runtime.paths.database, Buffer.alloc(8_192, 0xff));
  const small = new Claude(tempRuntime({ beside: runtime, maxUpkeepBytes: 4_096 }), { cwd: claude.cwd });
  const told = small.prompt("and its tests").systemMessage;
  expect(told).toMatch(
    /^SHIM cannot save: .*shim\.db \(1 MB\) must be repaired first.* Events wait in the spool until it can\./,
  );
  expect(runtime.store.read((sql) => notices.list(sql), [])).toMatchObject([{ kind: "store_damaged" }]);
  small.stop();
  expect(journalKinds(runtime, claude.session)).toEqual(expect.arrayContaining(["prompt", "assistant", "turn_end"]));
});
