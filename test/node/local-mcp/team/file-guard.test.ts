import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it, onTestFinished } from "vitest";
import { overlap } from "#src/contract/resource-paths.ts";
import * as files from "#src/local-mcp/team/reservation-table.ts";
import { aProject, anotherClaude, Claude, journalKinds, type Printed, aChat } from "#harness/machine/claude.ts";
import { heardOf, joinTeam, nameProject } from "#harness/team/team-rows.ts";
import { tempRuntime, type TempRuntime, type TempRuntimeOptions } from "#harness/machine/temp-runtime.ts";

interface Team {
  readonly runtime: TempRuntime;
  /** Who edits. */
  readonly a: Claude;
  /** Who has reserved, in the same checkout unless another folder is given. */
  readonly b: Claude;
}

function aTeam(options: TempRuntimeOptions & { readonly folderOfB?: string } = {}): Team {
  const { runtime, claude: a } = aChat(options);
  const b = anotherClaude(runtime, a, options.folderOfB === undefined ? {} : { cwd: options.folderOfB });
  for (const chat of [a, b]) {
    chat.start();
    joinTeam(runtime, chat);
  }
  return { runtime, a, b };
}

function reserve({ runtime, b }: Team, path: string): void {
  heardOf(runtime, { resource: `file:parser/${path}`, holder: b.session, machine: "here" });
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

it("[FI3] an edit of a file that a living chat has reserved in the same checkout is refused: by whom, since when", () => {
  const team = aTeam();
  reserve(team, "src/**");
  team.runtime.wait(300_000);
  const { hookSpecificOutput, systemMessage } = edit(team.a, join(team.a.cwd, "src", "lexer.ts"));
  expect(systemMessage).toBeUndefined();
  expect(hookSpecificOutput).toEqual({
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason: `SHIM: src/lexer.ts is reserved in this checkout by "write the lexer" (chat ${team.b.session.slice(0, 13)}), since 5 min (src/**). Do not edit it by other means, either. Ask with shim_send to "${team.b.session}"; shim_files list shows what is reserved.`,
  });
});

it("[FI3] [FI25] all tools that write a file are checked, others are not; its holder edits it", () => {
  const team = aTeam();
  reserve(team, "one.ts");
  const path = join(team.a.cwd, "one.ts");
  for (const tool of ["Edit", "MultiEdit", "Write", "NotebookEdit"])
    expect(isRefused(edit(team.a, path, tool))).toBe(true);
  for (const tool of ["Read", "Bash", "mcp__other__Edit"]) expect(edit(team.a, path, tool)).toEqual({});
  expect(edit(team.b, path)).toEqual({});
  expect(edit(team.a, join(team.a.cwd, "two.ts"))).toEqual({});
  expect(edit(team.a, "/elsewhere/one.ts")).toEqual({});
});

it("[FI26] whatever a tool is given for a path, the hook refuses nothing that it cannot determine", () => {
  const team = aTeam();
  reserve(team, "**");
  const given = fc.oneof(
    fc.anything({ withNullPrototype: false }),
    fc.record({ file_path: fc.oneof(fc.string(), fc.jsonValue()) }),
  );
  fc.assert(
    fc.property(given, (tool_input) => {
      const printed = team.a.tell("PreToolUse", {
        tool_name: "Edit",
        tool_input,
        tool_use_id: `t${(calls += 1)}`,
        cwd: "/",
      });
      expect(printed).toEqual({});
    }),
    { numRuns: 50 },
  );
  expect(team.runtime.logged.join()).not.toContain("TypeError");
});

it("[FI27] with the team switched off nothing is refused", () => {
  const team = aTeam({ config: { team: { isEnabled: false } } });
  reserve(team, "**");
  expect(edit(team.a, join(team.a.cwd, "one.ts"))).toEqual({});
});

it("[FI1] a reservation stands for a file, for the files of a folder, or for all below it: as the coordinator sees it", () => {
  const team = aTeam();
  const part = fc.constantFrom("a", "b", "c.ts");
  const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  const pattern = fc.tuple(path, fc.constantFrom("", "/*", "/**")).map((parts) => parts.join(""));
  fc.assert(
    fc.property(path, pattern, (file, reserved) => {
      team.runtime.store.write((sql) => files.replaceAll(sql, team.runtime.now(), []));
      reserve(team, reserved);
      expect(isRefused(edit(team.a, join(team.a.cwd, file)))).toBe(
        overlap(`file:parser/${file}`, `file:parser/${reserved}`),
      );
    }),
    { numRuns: 60 },
  );
});

it("[FI2] a file belongs to the work tree that it stands in, whichever the chat works in: links, relative paths, files yet to be made", () => {
  const team = aTeam();
  reserve(team, "src/new/**");
  const { cwd } = team.a;
  const link = join(aProject(), "link");
  symlinkSync(cwd, link);
  mkdirSync(join(cwd, "src"));
  for (const path of [
    "src/new/a.ts",
    join(link, "src", "new", "a.ts"),
    join(cwd, "lib", "..", "src", "new", "x", "y.ts"),
  ])
    expect(isRefused(edit(team.a, path))).toBe(true);
  const outsider = anotherClaude(team.runtime, team.b, { cwd: aProject(), session: "c-session" });
  outsider.start();
  joinTeam(team.runtime, outsider, "other");
  expect(isRefused(edit(outsider, join(cwd, "src", "new", "a.ts")))).toBe(true);
  expect(edit(outsider, join(outsider.cwd, "src", "new", "a.ts"))).toEqual({});
});

it("[FI2] a linked work tree in which no chat has been is of the project that it was made from", () => {
  const team = aTeam();
  reserve(team, "one.ts");
  const tree = aProjectLinkedTo(team.a.cwd);
  expect(edit(team.a, join(tree, "one.ts")).systemMessage).toContain("in another checkout");
  expect(edit(team.a, join(tree, "two.ts"))).toEqual({});
});

/** As `git worktree add` leaves it. */
function aProjectLinkedTo(main: string): string {
  const tree = join(aProject(), "linked");
  mkdirSync(tree);
  const own = join(main, ".git", "worktrees", "linked");
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, "commondir"), "../..\n");
  writeFileSync(join(tree, ".git"), `gitdir: ${own}\n`);
  return tree;
}

it("[FI2] outside of git a file belongs to the nearest folder above it in which a chat works", () => {
  const team = aTeam();
  reserve(team, "src/deep/**");
  const bare = join(team.a.cwd, "..", `bare-${process.pid}`);
  for (const [root, isBare] of [
    [bare, true],
    [join(bare, "src"), false],
  ] as const) {
    mkdirSync(join(root, "src", "deep"), { recursive: true });
    onTestFinished(() => rmSync(bare, { recursive: true, force: true }));
    nameProject(team.runtime, realpathSync(root), isBare ? "parser" : "other");
    const warned = edit(team.a, join(bare, "src", "deep", "a.ts")).systemMessage;
    expect(warned === undefined).toBe(!isBare);
  }
});

it("[FI4] in another checkout the chat is warned, and the edit goes on: once an hour for each holder and file", () => {
  const team = aTeam({ folderOfB: aProject() });
  reserve(team, "src/*");
  const { a, runtime } = team;
  const path = (name: string): string => join(a.cwd, "src", name);
  const first = edit(a, path("one.ts"));
  expect(isRefused(first)).toBe(false);
  expect(first.systemMessage).toMatch(
    /^SHIM: src\/one.ts is reserved in another checkout \("here"\) by .*The edit is allowed/,
  );
  expect(first.hookSpecificOutput?.additionalContext).toBe(first.systemMessage);
  expect(edit(a, path("one.ts"))).toEqual({});
  expect(edit(a, path("two.ts")).systemMessage).toContain("src/two.ts");
  runtime.wait(3_590_000);
  expect(edit(a, path("one.ts"))).toEqual({});
  runtime.wait(10_000);
  expect(edit(a, path("one.ts")).systemMessage).toContain("src/one.ts");
});

it("[FI4] what a chat of another machine has reserved is in another checkout", () => {
  const { runtime, a } = aTeam();
  heardOf(runtime, { resource: "file:parser/one.ts", checkout: "9d1f" });
  expect(edit(a, join(a.cwd, "one.ts")).systemMessage).toContain('another checkout ("other-machine")');
});

it("[FI4] what the command line has reserved counts for the checkout that it names", () => {
  const { runtime, a } = aTeam();
  heardOf(runtime, { resource: "file:parser/one.ts", holder: "cli-here", checkout: a.cwd });
  // Told of again by one who knows less.
  heardOf(runtime, { resource: "file:parser/one.ts", holder: "cli-here", checkout: "" });
  expect(isRefused(edit(a, join(a.cwd, "one.ts")))).toBe(true);
});

it("[FI4] where the setting is strict the other checkout is refused, too", () => {
  const team = aTeam({ folderOfB: aProject(), config: { team: { strictFiles: true } } });
  reserve(team, "one.ts");
  const path = join(team.a.cwd, "one.ts");
  for (const round of [1, 2]) expect([round, isRefused(edit(team.a, path))]).toEqual([round, true]);
});

it("[FI5] a holder that is proved dead has reserved nothing, and what it had is forgotten; one out of sight counts as alive", () => {
  const team = aTeam();
  reserve(team, "one.ts");
  const path = join(team.a.cwd, "one.ts");
  team.b.kill();
  expect(edit(team.a, path)).toEqual({});
  team.runtime.processes.start(team.b.pid);
  expect(edit(team.a, path)).toEqual({});
  expect(team.runtime.store.read((sql) => files.list(sql), [])).toEqual([]);

  const far = aTeam();
  reserve(far, "one.ts");
  far.runtime.store.write((sql) =>
    sql.run("UPDATE team_chats SET process = ? WHERE session_id = ?", '["boot-1 pid:[2]",77,"100"]', far.b.session),
  );
  expect(isRefused(edit(far.a, join(far.a.cwd, "one.ts")))).toBe(true);
});

it("[FI7] a refused call never begins: it is recorded as failed, with the reason", () => {
  const team = aTeam();
  reserve(team, "one.ts");
  const before = journalKinds(team.runtime, team.a.session);
  edit(team.a, join(team.a.cwd, "one.ts"));
  expect(journalKinds(team.runtime, team.a.session)).toEqual([...before, "tool_error"]);
  edit(team.a, join(team.a.cwd, "two.ts"));
  expect(journalKinds(team.runtime, team.a.session)).toEqual([...before, "tool_error", "tool_start"]);
});

it("[FI8] the table holds what was heard last: grants, ends, and a whole list that replaces it", () => {
  const runtime = tempRuntime();
  nameProject(runtime, "/p");
  heardOf(runtime, { resource: "file:p/a", since: 50 });
  heardOf(runtime, { resource: "file:p/a", since: 70, holderName: "renamed" });
  const list = (): files.Reservation[] => runtime.store.read((sql) => files.list(sql), []);
  expect(list()).toMatchObject([{ resource: "file:p/a", since: 50, holderName: "renamed" }]);
  runtime.store.write((sql) => files.remove(sql, "file:p/a", "somebody else"));
  expect(list()).toHaveLength(1);
  heardOf(runtime, { resource: "file:p/a", holder: "c", since: 80 });
  expect(list()).toMatchObject([{ holder: "c", since: 80 }]);
  const b = {
    resource: "file:p/b",
    workspace: "w",
    holder: "d",
    holderName: "n",
    machine: "m",
    checkout: "",
    since: 1,
  };
  runtime.store.write((sql) => files.replaceAll(sql, 5, [b]));
  expect(list()).toEqual([b]);
  runtime.store.write((sql) => files.remove(sql, "file:p/b"));
  expect(list()).toEqual([]);
});
