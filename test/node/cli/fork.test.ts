import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Fork } from "#src/contract/machine/forks.ts";
import { failed, printed } from "#harness/machine/cli-home.ts";
import { ForkRig } from "#harness/machine/cli-rigs.ts";
import { git, write } from "#harness/machine/git-project.ts";

/** Three turns that write a.txt and b.txt, with a hand edit between the second and the third. */
async function threeTurns(): Promise<ForkRig> {
  const rig = new ForkRig();
  rig.prompt("Write the parser");
  await rig.edit("a.txt", "1\n");
  rig.say("The parser is there.");
  await rig.turnEnd();
  rig.prompt("Now the lexer");
  await rig.edit("b.txt", "2\n");
  rig.say("The lexer is there.");
  await rig.turnEnd();
  write(rig.home.project, { "by-hand.txt": "mine\n" });
  rig.prompt("Write the docs");
  await rig.edit("a.txt", "3\n", "before_tool");
  rig.say("Done.");
  await rig.turnEnd();
  return rig;
}

async function forked(rig: ForkRig, ...args: string[]): Promise<Fork> {
  return (await rig.home.json("fork", ...args)) as unknown as Fork;
}

function answering(reply: string): () => Promise<string> {
  return async () => reply;
}

function filesIn(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name.endsWith(".txt"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

it("prompts are listed by number, and --at takes a number, the beginning of the words, or last", async () => {
  const rig = await threeTurns();
  expect(await rig.home.shim("fork --list")).toMatchObject(
    printed(
      /1 .*not saved +Write the parser/,
      /2 .*saved 1 s before +Now the lexer/,
      /3 .*saved 1 s after +Write the docs/,
    ),
  );
  expect((await forked(rig, rig.id.slice(0, 8), "--at", "now  the LEX")).prompt.number).toBe(2);
  expect((await forked(rig, "--at", "last")).prompt.number).toBe(3);
  expect(await rig.home.shim("fork", "--at", "write the")).toMatchObject(
    failed(2, "several prompts begin with", "1  Write the parser", "3  Write the docs"),
  );
  expect(await rig.home.shim("fork --at 9")).toMatchObject(
    failed(3, "there is no prompt 9: the newest is 3. `shim fork --list`"),
  );
  expect(await rig.home.shim("fork --at never")).toMatchObject(failed(3, 'no prompt begins with "never"'));
  expect(await rig.home.shim("fork")).toMatchObject(failed(2, "name the prompt with --at; --list shows all."));
  expect(await rig.home.shim("fork --at 2 --list")).toMatchObject(failed(2, "give one of --at and --list."));
});

it("the files are those saved before the turn's first change, else those saved before the prompt", async () => {
  const rig = await threeTurns();
  const { folder, prompt, base, branch } = await forked(rig, "--at", "3");
  expect(filesIn(folder)).toEqual({ "a.txt": "1\n", "b.txt": "2\n", "by-hand.txt": "mine\n" });
  expect([prompt.files.isBefore, base, branch]).toEqual([
    false,
    git(rig.home.project, "rev-parse", "HEAD").trim(),
    `shim/fork-${rig.id.slice(0, 8)}-1`,
  ]);
  const second = await forked(rig, "--at", "2");
  expect(filesIn(second.folder)).toEqual({ "a.txt": "1\n" });
  expect([second.prompt.files.isBefore, second.branch]).toEqual([true, `shim/fork-${rig.id.slice(0, 8)}-2`]);
  expect(filesIn(rig.home.project)).toEqual({ "a.txt": "3\n", "b.txt": "2\n", "by-hand.txt": "mine\n" });
  expect(git(rig.home.project, "symbolic-ref", "--short", "HEAD").trim()).toBe("main");
});

it("a prompt whose files no snapshot has for certain is refused with the nearest prompts, and nothing is made", async () => {
  const rig = await threeTurns();
  expect(await rig.home.shim("fork --at 1")).toMatchObject(
    failed(1, "no saved files are certain to be those of prompt 1", "The nearest prompts with saved files: 2."),
  );
  expect(existsSync(join(rig.home.paths.home, "work"))).toBe(false);
  expect(git(rig.home.project, "branch", "--list", "shim/*")).toBe("");
});

it("the brief is that of the moment, and its files are compared with those of the fork", async () => {
  const rig = await threeTurns();
  const { brief, folder } = await forked(rig, "--at", "2");
  for (const text of [
    `SHIM: this chat is a fork of session ${rig.id.slice(0, 8)} at its prompt 2 of 3, sent `,
    "Write the parser",
    "Now the lexer",
    "The parser is there.",
    "- a.txt (edited): unchanged since the checkpoint",
    "- Write a.txt",
    `git: shim/fork-${rig.id.slice(0, 8)}-1 at `,
    `project: ${folder}`,
    "files of this folder: as saved 1 s before that prompt",
    "the user's last prompt had no answer yet",
  ])
    expect(brief).toContain(text);
  for (const text of ["Write the docs", "The lexer is there.", "b.txt", "CHANGED since the checkpoint", "shim restore"])
    expect(brief).not.toContain(text);
  const third = await forked(rig, "--at", "3");
  expect(third.brief).toContain("- by-hand.txt (by a command or by hand)");
  expect(third.brief).not.toContain("Done.");
});

it("the client starts in the fork with the brief, as a chat that succeeds nobody", async () => {
  const rig = await threeTurns();
  const inTerminal = { isTty: true, isInteractive: true };
  const stderr: string[] = [];
  const own = { ...inTerminal, ask: answering("2"), stderr: (text: string) => void stderr.push(text) };
  expect(await rig.home.shimWith(own, "fork --in codex")).toMatchObject({ code: 0 });
  expect(stderr.join("")).toMatch(
    /2 .*Now the lexer[\s\S]*Fork of \w+ at prompt 2 of 3: Now the lexer[\s\S]*Branch: shim\/fork-/,
  );
  const [start] = rig.home.started;
  expect(start).toMatchObject({
    command: "codex",
    cwd: join(rig.home.paths.home, "work", `fork-${rig.id.slice(0, 8)}-1`, "project"),
  });
  expect(start?.args[0]).toContain("this chat is a fork of session");
  expect(start?.env?.["SHIM_SUCCESSOR"]).toBeUndefined();
  expect((await rig.home.json("sessions show", rig.id))["session"]).toMatchObject({ offer: null });
  expect(await rig.home.shimWith(own, "fork --at 2 --print")).toMatchObject(
    printed("Folder: ", "Branch: ", "git worktree remove --force", "<shim-recovered-session-"),
  );
  expect(rig.home.started).toHaveLength(1);
  expect((await rig.home.shimWith({ ...own, ask: answering("") }, "fork")).code).toBe(2);
});
