import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { overlap } from "#src/contract/resource-paths.ts";
import * as files from "#src/machine/team/reservation-table.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import type { Connection, OpenOptions } from "#src/store/driver.ts";
import { aProject, anotherClaude, Claude, type Printed, aChat } from "#harness/machine/claude.ts";
import { reservationReceived, joinTeam } from "#harness/team/team-rig.ts";
import { type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";

/** Chat `a` edits; chat `b` has reserved, in the same checkout unless another folder is given. */
function aTeam({ folderOfB, ...options }: TempRuntimeOptions & { readonly folderOfB?: string } = {}) {
  const { runtime, claude: a } = aChat(options);
  const b = anotherClaude(runtime, a, folderOfB === undefined ? {} : { cwd: folderOfB });
  for (const chat of [a, b]) {
    chat.start();
    joinTeam(runtime, chat);
  }
  const reserve = (path: string): void =>
    reservationReceived(runtime, { resource: `file:parser/${path}`, holder: b.session, machine: "here" });
  return { runtime, a, b, reserve, path: (...names: string[]) => join(a.cwd, ...names) };
}

let calls = 0;

function edit(chat: Claude, path: string, tool = "Edit"): Printed {
  const name = tool === "NotebookEdit" ? "notebook_path" : "file_path";
  const fields = { tool_name: tool, tool_input: { [name]: path }, tool_use_id: `toolu_${(calls += 1)}` };
  return chat.tell("PreToolUse", fields);
}

function isRefused({ hookSpecificOutput }: Printed): boolean {
  return hookSpecificOutput?.permissionDecision === "deny";
}

it("an edit of a file that a living chat has reserved in the same checkout is refused: by whom, since when", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("src/**");
  runtime.wait(300_000);
  const { hookSpecificOutput, systemMessage } = edit(a, path("src", "lexer.ts"));
  expect(systemMessage).toBeUndefined();
  expect(hookSpecificOutput).toEqual({
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason: `SHIM: src/lexer.ts is reserved in this checkout by "write the lexer" (chat ${b.session.slice(0, 13)}), since 5 min (src/**). Do not edit it by other means, either. Ask with shim_send to "${b.session}"; shim_files list shows what is reserved.`,
  });
});

it("all tools that write a file are checked, others are not; its holder edits it", () => {
  const { a, b, reserve, path } = aTeam();
  reserve("one.ts");
  for (const tool of ["Edit", "MultiEdit", "Write", "NotebookEdit"])
    expect(isRefused(edit(a, path("one.ts"), tool))).toBe(true);
  for (const tool of ["Read", "Bash", "mcp__other__Edit"]) expect(edit(a, path("one.ts"), tool)).toEqual({});
  expect([edit(b, path("one.ts")), edit(a, path("two.ts")), edit(a, "/elsewhere/one.ts")]).toEqual([{}, {}, {}]);
});

it("for any path that a tool is given the hook refuses nothing that it cannot determine", () => {
  const { runtime, a, reserve } = aTeam();
  reserve("**");
  const given = fc.oneof(
    fc.anything({ withNullPrototype: false }),
    fc.record({ file_path: fc.oneof(fc.string(), fc.jsonValue()) }),
  );
  fc.assert(
    fc.property(given, (tool_input) => {
      const call = { tool_name: "Edit", tool_input, tool_use_id: `t${(calls += 1)}`, cwd: "/" };
      expect(a.tell("PreToolUse", call)).toEqual({});
    }),
    { numRuns: 50 },
  );
  expect(runtime.logged.join()).not.toContain("TypeError");
});

it("a reservation counts for a file, for the files of a folder, or for all below it: as the coordinator sees it", () => {
  const { runtime, a, reserve, path: pathOf } = aTeam();
  const part = fc.constantFrom("a", "b", "c.ts");
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const pattern = fc.tuple(path, fc.constantFrom("", "/*", "/**")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(path, pattern, (file, reserved) => {
      runtime.store.write((sql) => files.replaceAll(sql, runtime.now(), []));
      reserve(reserved);
      const isOverlap = overlap(`file:parser/${file}`, `file:parser/${reserved}`);
      expect(isRefused(edit(a, pathOf(file)))).toBe(isOverlap);
    }),
    { numRuns: 60 },
  );
});

it("a file belongs to its work tree, not to the one in which the chat works: links, relative paths, files yet to be made", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("src/new/**");
  const link = join(aProject(), "link");
  symlinkSync(a.cwd, link);
  mkdirSync(path("src"));
  const files = ["src/new/a.ts", join(link, "src", "new", "a.ts"), path("lib", "..", "src", "new", "x", "y.ts")];
  for (const file of files) expect(isRefused(edit(a, file)), file).toBe(true);
  const outsider = anotherClaude(runtime, b, { cwd: aProject(), session: "c-session" });
  outsider.start();
  joinTeam(runtime, outsider, "other");
  expect(isRefused(edit(outsider, path("src", "new", "a.ts")))).toBe(true);
  expect(edit(outsider, join(outsider.cwd, "src", "new", "a.ts"))).toEqual({});
});

it("a linked work tree in which no chat has been is of the project that it was made from", () => {
  const { a, reserve, path } = aTeam();
  reserve("one.ts");
  // As `git worktree add` leaves it.
  const [tree, own] = [join(aProject(), "linked"), path(".git", "worktrees", "linked")];
  for (const folder of [tree, own]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(own, "commondir"), "../..\n");
  writeFileSync(join(tree, ".git"), `gitdir: ${own}\n`);
  expect(edit(a, join(tree, "one.ts")).systemMessage).toContain("in another checkout");
  expect(edit(a, join(tree, "two.ts"))).toEqual({});
});

it("in another checkout the chat is warned, and the edit is allowed: once an hour for each holder and file", () => {
  const { runtime, a, reserve, path } = aTeam({ folderOfB: aProject() });
  reserve("src/*");
  const { systemMessage, hookSpecificOutput } = edit(a, path("src", "one.ts"));
  expect(systemMessage).toMatch(
    /^SHIM: src\/one.ts is reserved in another checkout \("here"\) by .*The edit is allowed/,
  );
  expect(hookSpecificOutput).toEqual({ hookEventName: "PreToolUse", additionalContext: systemMessage });
  expect(edit(a, path("src", "one.ts"))).toEqual({});
  expect(edit(a, path("src", "two.ts")).systemMessage).toContain("src/two.ts");
  runtime.wait(3_590_000);
  expect(edit(a, path("src", "one.ts"))).toEqual({});
  runtime.wait(10_000);
  expect(edit(a, path("src", "one.ts")).systemMessage).toContain("src/one.ts");
});

it("where the setting is strict the other checkout is refused, too", () => {
  const { a, reserve, path } = aTeam({ folderOfB: aProject(), config: { team: { strictFiles: true } } });
  reserve("one.ts");
  for (const round of [1, 2]) expect([round, isRefused(edit(a, path("one.ts")))]).toEqual([round, true]);
});

it("a holder that is proved dead has reserved nothing, also when another process gets its number", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("one.ts");
  b.kill();
  expect(edit(a, path("one.ts"))).toEqual({});
  runtime.processes.start(b.pid);
  expect(edit(a, path("one.ts"))).toEqual({});
});

it.each(["SQLITE_BUSY", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "none of SQLite's"])(
  "while writes fail with %s a reserved file is guarded, also beside rows of a dead chat, and a warning is given",
  (code) => {
    const disk = { isBroken: false };
    const driver = (options: OpenOptions): Connection => {
      const connection = openBetterSqlite3(options);
      const run: Connection["run"] = (query, ...values) => {
        // Only a transaction that reads can begin and end.
        if (disk.isBroken && !["BEGIN", "COMMIT", "ROLLBACK"].includes(query))
          throw Object.assign(new Error("refused"), { code });
        return connection.run(query, ...values);
      };
      return { ...connection, run };
    };
    const { runtime, a, b, reserve, path } = aTeam({ driver, busyMs: 10 });
    const dead = anotherClaude(runtime, a, { session: "c-session", pid: 3_000 });
    dead.start();
    joinTeam(runtime, dead);
    reservationReceived(runtime, { resource: "file:parser/src/*", holder: dead.session, machine: "here" });
    reservationReceived(runtime, { resource: "file:parser/far.ts", checkout: "9d1f" });
    reserve("src/**");
    dead.kill();
    disk.isBroken = true;
    expect(isRefused(edit(a, path("src", "lexer.ts")))).toBe(true);
    expect(edit(a, path("far.ts")).systemMessage).toContain('another checkout ("other-machine")');
    expect(edit(a, path("free.ts"))).toEqual({});
    b.kill();
    expect(edit(a, path("src", "lexer.ts"))).toEqual({});
    disk.isBroken = false;
  },
);

it("a holder out of sight counts as alive", () => {
  const { runtime, a, b, reserve, path } = aTeam();
  reserve("one.ts");
  const far = '["boot-1 pid:[2]",77,"100"]';
  runtime.store.write((sql) => sql.run("UPDATE team_chats SET process = ? WHERE session = ?", far, b.session));
  expect(isRefused(edit(a, path("one.ts")))).toBe(true);
});
