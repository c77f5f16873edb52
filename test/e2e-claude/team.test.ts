import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { Store } from "#src/store/store.ts";
import * as files from "#src/machine/team/reservation-table.ts";
import type { Sql } from "#src/shared/sql.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { call, ClaudeRig, endless, endlessTool, kill, received, shimTool } from "#harness/claude/claude-rig.ts";

/** Writes what an MCP process writes when it receives something. */
function receive(rig: ClaudeRig, write: (sql: Sql) => void): void {
  const store = new Store({ path: rig.paths.database, driver: openNodeSqlite, now: Date.now });
  store.write(write);
  store.close();
}

it("Claude Code does not edit a file that another chat has reserved in its checkout", async () => {
  const rig = new ClaudeRig();
  const edit = (name: string) => call("Write", { file_path: rig.path(name), content: "export const a = 1;\n" });
  const chat = await rig.print("fix the parser", {
    steps: [{ hold: "turn", ...edit("src/new.ts") }, edit("other.ts"), { text: "Done." }],
  });
  await chat.model.held("turn");
  receive(rig, (sql) => {
    sql.run("INSERT INTO team_projects (workspace, root, project, at) VALUES ('w', ?, 'parser', 1)", rig.project);
    const one = {
      workspace: "w",
      token: 1,
      holder: "b-chat",
      holderName: "write the lexer",
      machine: "m",
      since: Date.now(),
    };
    files.upsert(sql, Date.now(), { ...one, resource: "file:parser/src/**", checkout: rig.project });
    files.upsert(sql, Date.now(), { ...one, resource: "file:parser/other.ts", checkout: "" });
  });
  chat.model.release("turn");
  expect(await chat.claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(() => readFileSync(rig.path("src/new.ts"))).toThrow("ENOENT");
  expect(received(chat.model, 1)).toContain(
    'src/new.ts is reserved in this checkout by "write the lexer" (chat b-chat)',
  );
  // In another checkout it is only warned.
  expect(readFileSync(rig.path("other.ts"), "utf8")).toBe("export const a = 1;\n");
  expect(received(chat.model, 2)).toContain("other.ts is reserved in another checkout");
  const { id } = rig.sessions()[0]!;
  expect(rig.shown(id).join()).toContain("The edit is allowed");
  const tools = rig.kinds(id).filter((kind) => kind.startsWith("tool"));
  expect(tools).toEqual(["tool_error", "tool_start", "tool_end"]);
});

it("a file that one Claude Code has reserved is not edited by another, until the first is killed @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.print("write the lexer", {
    steps: [shimTool("shim_files", { action: "reserve", paths: ["src/**"] }), endless],
  });
  await endlessTool(first.claude);
  expect(received(first.model, -1)).toContain('"path":"src/**"');
  const edit = call("Write", { file_path: rig.path("src/new.ts"), content: "export const a = 1;\n" });
  const second = await rig.print("fix the parser", { steps: [edit, { hold: "again", ...edit }, { text: "Done." }] });
  await second.model.held("again");
  expect(received(second.model, 1)).toMatch(
    /src\/new\.ts is reserved in this checkout by "write the lexer" \(chat [\w-]+\)/,
  );
  await kill(first);
  second.model.release("again");
  expect(await second.claude.waitForExit()).toEqual({ code: 0, signal: null });
  expect(readFileSync(rig.path("src/new.ts"), "utf8")).toBe("export const a = 1;\n");
});

it("a message that one Claude Code sends by its tool makes another one continue at the end of its turn @night", async () => {
  const rig = new ClaudeRig();
  const steps = [{ hold: "turn", text: "Fixed." }, { text: "Answered." }];
  const second = await rig.typed("fix the parser", { steps });
  const { id } = second;
  await second.model.held("turn");
  await untilFound(() => rig.isInTeam(id), "the second chat in the team");
  const send = shimTool("shim_send", { to: id, text: "Which grammar do you use?" });
  await rig.printed("write the lexer", { steps: [send, { text: "Asked." }] });
  await untilFound(() => rig.news(id)[0], "the message");
  second.model.release("turn");
  await untilFound(() => second.model.requests.filter(({ kind }) => kind === "loop")[1], "the second turn");
  expect(received(second.model, 1)).toMatch(
    /message from "write the lexer" \(chat [\w-]+\): Which grammar do you use\?/,
  );
});

it("real Claude Codes are a team: a killed chat's task continues in the next, from its checkpoint @night", async () => {
  const rig = new ClaudeRig();
  const first = await rig.killed("plan the importer", {
    steps: [
      shimTool("shim_submit", { tasks: [{ type: "build", payload: { part: "the importer" } }] }),
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_force_checkpoint", { goal: "the importer", nextStep: "its tests" }),
      shimTool("shim_report", { outcome: "progress", note: "half of it", percent: 50 }),
    ],
  });
  const [dead] = rig.sessions();
  expect(received(first.model, -1)).toContain("Submitted: 1 (queued).");
  expect(rig.isInTeam(dead!.id)).toBe(true);
  const second = await rig.printed("go on with the importer", {
    steps: [
      shimTool("shim_next"),
      shimTool("shim_files", { action: "reserve", paths: ["one.ts"] }),
      shimTool("shim_report", { outcome: "done", result: "made" }),
      shimTool("shim_chats", { all: true }),
      { text: "Done." },
    ],
  });
  const last = received(second.model, -1);
  expect(last).toMatch(/Taken task 1 \(build, attempt 1 of 3/);
  expect(last).toContain("half of it");
  expect(last).toContain(`"checkpoint":{"session":"${dead!.id}"`);
  expect(last).toContain("Reserved: one.ts.");
  expect(last).toContain("Reported: task 1 is done.");
  expect(last).toContain('"completedTasks":1');
});
