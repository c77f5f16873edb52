import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { commitAll, git, write } from "#harness/machine/git-project.ts";
import { outputOf } from "#harness/machine/programs.ts";
import { MachineHome } from "#harness/machine/real-machine.ts";
import { install } from "#harness/transform/transform-rig.ts";

const patience = { timeout: 120_000, interval: 50 };

/** A project whose codemod writes a file and never ends. */
function aMachine(): MachineHome {
  const machine = new MachineHome();
  const hangs = 'module.exports = () => { require("node:fs").writeFileSync("begun", ""); for (;;); };\n';
  write(machine.project, { "a.ts": "var a = 1;\n", "hangs.cjs": hangs, ".gitignore": "node_modules/\n" });
  write(machine.project, {
    "rule.yml": "id: r\nlanguage: TypeScript\nrule: { pattern: 'var $A = $B' }\nfix: 'let $A = $B'\n",
  });
  commitAll(machine.project, "project");
  install(machine.project);
  return machine;
}

function worktrees({ paths }: MachineHome): string[] {
  const work = join(paths.home, "work");
  return existsSync(work) ? readdirSync(work).map((name) => join(work, name)) : [];
}

it.each(["SIGINT", "SIGKILL"] as const)(
  "%s in the middle of a transform leaves no branch, and no worktree once the next one has begun @night",
  async (signal) => {
    const machine = aMachine();
    const child = machine.spawn(["code", "transform", "hangs.cjs", "a.ts", "--trust", "--branch", "--no-tests"]);
    const output = outputOf(child);
    const hasBegun = () => worktrees(machine).some((folder) => existsSync(join(folder, "tree", "begun")));
    await vi.waitFor(() => expect(hasBegun()).toBe(true), patience);
    child.kill(signal);
    const { code } = await output;
    if (signal === "SIGINT") expect([code, worktrees(machine)]).toEqual([130, []]);
    const ended = await machine.shim("code", "transform", "rule.yml", "--branch", "--no-tests");
    expect(ended).toMatchObject({
      code: 0,
      out: expect.stringMatching(/It is on the branch shim\/transform-ast-grep-\w{12}/),
    });
    expect(worktrees(machine)).toEqual([]);
    expect(git(machine.project, "worktree", "list").trim().split("\n")).toHaveLength(1);
    expect(git(machine.project, "branch", "--list", "shim/*").trim().split("\n")).toHaveLength(1);
    expect(git(machine.project, "status", "--porcelain")).toBe("");
  },
);
