import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { aCliHome, addSession, type CliHome, failed, printed } from "#harness/machine/cli-home.ts";
import { git, makeRepository } from "#harness/machine/git-project.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import type { EffectNote } from "#src/contract/work-state.ts";

const push: EffectNote = { kind: "push", command: "git push origin main", shows: "all", branch: "main" };
const deploy: EffectNote = { kind: "deployment", command: "fly deploy", shows: "all", check: "fly releases" };
const view = "npm view app@1.2.0 version";
const publish: EffectNote = { kind: "publish", command: "npm publish", shows: "all", check: view };

function addChat(home: CliHome, id: string, effects: readonly EffectNote[], end: "done" | "open" | "failed"): void {
  const call = { id: `c-${id}`, name: "Bash", input: "x" };
  const ends: Record<typeof end, readonly JournalEntry[]> = {
    open: [],
    done: [{ kind: "tool_end", ...call }],
    failed: [{ kind: "tool_error", ...call, text: "Exit code 1\nE403" }],
  };
  const prompt = { kind: "prompt", text: "release" } as const;
  addSession(home, { id, entries: [prompt, { kind: "tool_start", ...call, effects }, ...ends[end]] });
  home.now += 60_000;
}

async function listed(home: CliHome, options = ""): Promise<MachineOutput<"effects.list">["effects"]> {
  const { effects } = (await home.json(`effects ${options}`)) as MachineOutput<"effects.list">;
  return effects;
}

/** What the command prints, with two blanks between its columns. */
async function narrow(home: CliHome, command: string): Promise<string> {
  return (await home.shim(command)).out.replaceAll(/ {2,}/g, "  ");
}

/** A program of this name, which notes that it was asked. */
function addProgram(home: CliHome, name: string, script: string): void {
  const asked = join(home.folder, `${name}-asked`);
  writeFileSync(join(home.folder, "path", name), `#!/bin/sh\necho "$*" >> ${asked}\n${script}\n`, { mode: 0o755 });
}

function asked(home: CliHome, name: string): string[] {
  const file = join(home.folder, `${name}-asked`);
  return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
}

it("lists what chats did that cannot be undone, newest first, with how it ended and how to find out", async () => {
  const home = aCliHome();
  const none = "Nothing that cannot be undone is known.\n";
  expect((await home.shim("effects --check")).out).toBe(none);
  addChat(home, "done", [push], "done");
  addChat(home, "failed", [publish], "failed");
  addChat(home, "open", [deploy], "open");
  expect((await narrow(home, "effects")).split("\n")).toEqual([
    "WHEN  SESSION  KIND  COMMAND  OUTCOME  TO FIND OUT",
    "60 s ago  open  deployment  fly deploy  unknown (no end of it was seen)  fly releases",
    `2 min ago  failed  publish  npm publish  FAILED: Exit code 1 E403  ${view}`,
    "3 min ago  done  push  git push origin main  done  git ls-remote origin main",
    "`shim effects --check` asks the git remotes, the npm registry, and GitHub or GitLab.",
    "",
  ]);
  const one = { session: "done", does: "changes a remote repository", outcome: "done", found: null };
  expect(await listed(home, "done")).toMatchObject([one]);
  expect((await listed(home, "--limit 2")).map(({ session }) => session)).toEqual(["open", "failed"]);
  expect(await home.shim("effects --project", home.other)).toMatchObject(printed(none));
  expect(await home.shim("effects none")).toMatchObject(failed(3, 'there is no session "none"'));
  await home.misuses("effects", [
    ["--limit 0", "limit"],
    ["done failed", "too many arguments"],
  ]);
});

it("what a chat did that this one continues is listed with it, as that one's where it is known here", async () => {
  const home = aCliHome();
  addChat(home, "before", [push], "done");
  const run = { ...publish, call: "c", at: home.now - 30_000, outcome: "done" } as const;
  for (const [id, session] of [
    ["after", "before"],
    ["here", "of-another-machine"],
  ] as const)
    addSession(home, { id, entries: [{ kind: "continues", session, prompts: [], effects: [run] }] });
  addChat(home, "after", [deploy], "done");
  const found = async (id: string) => (await listed(home, id)).map(({ session, kind }) => `${session}: ${kind}`);
  expect(await found("after")).toEqual(["after: deployment", "before: publish"]);
  expect(await found("here")).toEqual(["here: publish"]);
});

it("--check compares a push with its remote, says so, and the timeline has a line of it", async () => {
  const home = aCliHome();
  makeRepository(home.project, { "a.txt": "a" });
  git(home.folder, "init", "-q", "--bare", "-b", "main", "remote");
  git(home.project, "remote", "add", "origin", "../remote");
  addChat(home, "done", [push], "done");
  const row = "60 s ago  done  push  git push origin main  done  ";
  const missing = `WHEN  SESSION  KIND  COMMAND  OUTCOME  CHECKED\n${row}NOT there: origin has no main\n`;
  expect(await narrow(home, "effects --check")).toBe(missing);
  git(home.project, "push", "-q", "origin", "main");
  const head = git(home.project, "rev-parse", "HEAD").slice(0, 12);
  const text = `refs/heads/main of origin is at ${head}, where main is now`;
  expect(await listed(home, "--check")).toMatchObject([{ found: { isThere: true, text } }]);
  expect((await home.shim("effects done --check")).out).toContain(`  there: ${text}\n`);
  git(home.project, "remote", "set-url", "origin", "../gone");
  expect((await home.shim("effects --check")).out).toContain("  open: origin did not answer: ");
  const timeline = printed(/effect +cannot be undone: git push origin main: done/);
  expect(await home.shim("sessions show done")).toMatchObject(timeline);
});

it("--check asks by the commands of SHIM alone, of the newest twenty, and nothing is asked without it", async () => {
  const home = aCliHome();
  addProgram(home, "npm", "echo 1.2.0");
  addProgram(home, "fly", "echo v1");
  addChat(home, "older", [publish], "done");
  const notes = Array.from({ length: 19 }, (_, at) => ({ ...deploy, command: `fly deploy ${at}` }));
  addChat(home, "newer", [...notes, publish], "done");
  await home.shim("effects --limit 21");
  expect(asked(home, "npm")).toEqual([]);
  const effects = await listed(home, "--check --limit 21");
  expect(effects.map(({ found }) => found?.isThere ?? null)).toEqual([...Array(19).fill(null), true, null]);
  expect(effects[19]?.found?.text).toBe(`\`${view}\` ended with 0: 1.2.0`);
  expect([asked(home, "npm"), asked(home, "fly")]).toEqual([["view app@1.2.0 version"], []]);
  expect((await home.shim("effects --check --limit 21")).out).toMatch(/fly deploy 0 +done +-\n/);
  addProgram(home, "npm", "echo 'npm error code E404' >&2; exit 1");
  const gone = printed(`NOT there: \`${view}\` ended with 1: npm error code E404\n`);
  expect(await home.shim("effects older --check")).toMatchObject(gone);
});

it("a command that the user adds is checked, and what is none is refused with its field", async () => {
  const home = aCliHome();
  mkdirSync(home.paths.home, { recursive: true });
  const set = (value: object) => home.shim("config set effects.commands", JSON.stringify([value]));
  expect(await set({ words: "make ship", kind: "deployment", unless: "test" })).toMatchObject({ code: 0 });
  expect(await set({ words: "make ship", kind: "rocket" })).toMatchObject(failed(2, "kind"));
  expect(await set({ words: "make ship", kind: "push", when: "x" })).toMatchObject(failed(2, "when"));
});
