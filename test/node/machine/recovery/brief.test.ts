import { anEnding } from "#harness/store/an-ending.ts";
import { expect, it } from "vitest";
import { brief, type Occasion } from "#src/machine/recovery/brief/brief.ts";
import { type Restoration, restore, restoreById } from "#src/machine/recovery/incomplete/restoration.ts";
import { aLife, aRestoration, aSession, prompts, T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import type { WorkState } from "#src/contract/work-state.ts";
import { score } from "#src/machine/recovery/brief/score.ts";
import { effectKey } from "#src/machine/sessions/effects.ts";
import { absentReason } from "#src/snapshots/file-state.ts";
import { join } from "node:path";
import { renderBrief, toDelivered, toStoredOffer } from "#src/machine/recovery/offers.ts";
import { storedSession, aChat, aProject, anotherClaude, type Claude } from "#harness/machine/claude.ts";
import { rmSync, statSync, utimesSync, writeFileSync, mkdirSync } from "node:fs";
import { capture } from "#src/machine/sessions/checkpoints/capture.ts";
import { changesIn } from "#src/snapshots/changed-files.ts";
import { commitAll, git, GIT_ENV, makeRepository, temporaryFolder } from "#harness/machine/git-project.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { buildSessionContent } from "#src/machine/sharing/record-contents.ts";
import { type TeamRig, twoChats } from "#harness/team/team-rig.ts";

const now = T0 + 360_000;
const snapshot = { repository: null, checkpointId: "cp_1", state: "done", reason: null, commit: "c" };

const ofBash = (input: string, ms: number) => ({ name: "Bash", input, at: T0 + ms });
const todo = <Status extends string>(text: string, status: Status) => ({ text, status });

/** A session with something of everything. */
const whole: Parameters<typeof aRestoration>[0] = {
  prompts: prompts("fix the parser", "and the lexer"),
  words: [{ text: "I write\nthe lexer now.", at: T0 + 5_000 }],
  goal: "a parser without faults",
  done: ["read it"],
  inProgress: ["write it"],
  nextStep: "test it",
  decisions: ["no regex, for it is slow"],
  openQuestions: ["which version?"],
  state: { port: 8080 },
  statedAt: { goal: T0, todos: T0, summary: T0 },
  clientGoal: { text: "all tests pass", at: T0 },
  plan: { text: "# Parser\n1. lexer\n\n2. grammar", at: T0, path: "/plans/parser.md" },
  answers: [{ question: "Which colour?", answer: "Green", at: T0 }],
  compactSummary: "Earlier: the plan.",
  todos: [todo("one", "completed"), todo("two", "in_progress"), todo("three", "pending")],
  calls: [ofBash("ls", 0), { ...ofBash("make", 6_000), error: "Exit code 2" }],
  life: aLife({
    calls: [{ id: "a", name: "Bash", input: "npm test", startedAt: T0 + 50_000 }],
    over: { at: T0 + 6_000, how: "failed", text: "overloaded" },
  }),
  git: { branch: "main", commit: "a1b2c3d4e5f6a7b8" },
};

it("its parts stand in one order: how it died and stood, what was saved, the prompts, the words, the work, the files", () => {
  const files = [{ path: "/p/a.ts", hash: "h", action: "edited", now: "same" }] as const;
  const parts = [
    "why it died: killed (Its process vanished.)",
    "how it stood (5 min ago): in mid-turn, running Bash npm test (begun 10 s before; no result was seen; it may still run, or have finished)",
    "/goal (6 min ago): all tests pass",
    "saved by the chat with SHIM's tools:\n- goal (6 min ago): a parser without faults\n- done: read it",
    "- in progress: write it\n- next step: test it\n- decisions: no regex, for it is slow",
    '- open questions: which version?\n- state: {"port":8080}',
    "plan (/plans/parser.md, approved 6 min ago; 3 lines):\n  # Parser\n  1. lexer\n  2. grammar",
    "the user's answers to questions of the chat:\n- Which colour? -> Green (6 min ago)",
    "of the client's own summary of what it compacted (6 min ago), perhaps outdated (prompts since then: 1):",
    "- Earlier: the plan.",
    "the user's prompts, oldest first:\n- 6 min ago: fix the parser\n- 5 min ago: and the lexer",
    "the chat's last words:\n- 5 min ago: I write the lexer now.",
    "open to-dos of the chat's list (6 min ago), 2 of 3 are open:\n- in progress: two\n- three",
    "its last calls, as its client recorded them:\n- Bash ls\n- Bash make FAILED: Exit code 2",
    "the client failed (5 min ago): overloaded",
    "files, newest first (compared now, by content unless a line says otherwise):",
    "- a.ts (edited): unchanged since the checkpoint\ngit: was main at a1b2c3d4e5f6; cannot be read now",
    "last checkpoint: none; all of this comes from the journal\nof the session: 2 of 2 prompts quoted; the chat's newest words are there, the end of its turn is not; 1 of 1 files as left (compared: 1 by content). Not verified: ",
  ];
  expect(brief(aRestoration(whole, { files }), now, "brief")).toContain(parts.join("\n"));
});

it("each reader is instructed what to do with it", () => {
  const readers: Occasion[] = ["ask", "brief", "resume", "resumed"];
  const openings = readers.map((occasion) => brief(aRestoration(), now, occasion));
  expect(openings[0]).toMatch(/^SHIM: .*Ask the user whether to continue it/);
  expect(openings[1]).toContain("Tell the user in one sentence that you have it");
  expect(openings[2]).toContain("Continue this work now from where it stood");
  expect(openings[3]).toMatch(/^SHIM: this session died 5 min ago and was resumed/);
  expect(openings.map((text) => text.includes("--undo"))).toEqual([false, false, true, false]);
  expect(openings.map((text) => text.includes("take true"))).toEqual([true, true, false, false]);
});

it("a session that ended well or that lives is not said to have died", () => {
  const ended = aRestoration(
    {},
    { cause: null, session: aSession({ ending: anEnding({ how: "ended", isOpen: false }) }) },
  );
  expect(brief(ended, now, "brief")).toMatch(/^SHIM: an earlier session ended 5 min ago\./);
  const alive = aRestoration({ life: whole.life ?? aLife({}) }, { cause: null });
  const text = brief(alive, now, "brief");
  expect(text).toMatch(/^SHIM: an earlier session is still open\./);
  expect(text).toContain("running Bash npm test (begun 10 s before; no result was seen)");
});

const there = {
  machine: "desk",
  root: "/p",
  isCertain: true,
  hasCommit: true,
  syncedUntil: T0,
  unsaved: 0,
  lost: null,
  uncommitted: { at: T0, missingCommit: "abc", notThere: null },
};

it.each<[string, Partial<Restoration>]>([
  ["git: main at a, the same commit now", { head: { branch: "main", commit: "a" } }],
  ["git: was main at a, is now detached at no commit (CHANGED)", { head: { branch: null, commit: null } }],
  ["`shim restore cp_1`", { snapshot }],
  ["the snapshot is GONE (commit c is not in SHIM's repository)", { snapshot, isSnapshotThere: false }],
  ["(they are based on commit abc, which is NOT HERE: `git fetch` first)", { elsewhere: there }],
  ["(deleted): there AGAIN", { files: [{ path: "/p/a", hash: null, action: "deleted", now: "changed" }] }],
  ["no snapshot (git is too old)", { snapshot: { ...snapshot, state: "failed", reason: "git is too old" } }],
])("git and the saved files are compared with then: %s", (line, overrides) => {
  const state = { git: { branch: "main", commit: "a" } };
  expect(brief(aRestoration(state, overrides), now, "brief")).toContain(line);
});

it.each([
  ["claude-code", "; 3 tool calls, 1 failed"],
  ["codex", "; 3 tool calls"],
] as const)("failed calls are counted only of a client whose records name each of them: %s", (client, end) => {
  const about = brief(aRestoration({}, { session: aSession({ client }) }), now, "ask").match(/^client: .*$/m)?.[0];
  expect(about?.slice(-end.length)).toBe(end);
});

const words = [{ text: "Painted.", at: T0 + 9_000 }];

it("it counts prompts quoted of prompts made, the end of the conversation, and files as left; the total is their mean; parts that could not be read lower it", () => {
  const state = {
    prompts: prompts("one", "two", "three"),
    droppedPrompts: 1,
    words,
    life: aLife({ over: { at: T0 + 9_000, how: "done" } }),
  };
  const files = [
    { path: "/p/a", now: "same", action: "edited", hash: "h" },
    { path: "/p/a", now: "deleted", action: "created", hash: null },
    { path: "/p/a", now: "changed", action: "edited", hash: "h" },
    { path: "/p/a", now: "unknown", action: "noted", hash: null },
  ] as const;
  expect(score(aRestoration(state, { files }), new Set([0, 2]))).toEqual({
    total: 67,
    parts: [
      { name: "prompts", share: 0.5, text: "2 of 4 prompts quoted" },
      { name: "end", share: 1, text: "the end of the conversation is there" },
      { name: "files", share: 0.5, text: expect.stringContaining("2 by content, 1 by existence), 1 not verified") },
    ],
  });
  const damaged = { parts: [{ at: null, bytes: 9 }], count: 2, isAtEnd: true } as const;
  const { parts } = score(aRestoration({ prompts: prompts("one", "two"), words, damaged }), new Set([0, 1]));
  expect(parts.map(({ share }) => share)).toEqual([0.5, 0]);
});

const asked = { prompts: prompts("one", "two"), words };
const over = { ...asked, life: aLife({ over: { at: T0 + 9_000, how: "done" } }) };
const lost = (at: number | null) => ({ damaged: { parts: [{ at, bytes: 9 }], count: 1 } });
const storeLost = (ms: number) => ({ storeDamagedAt: T0 + ms });
const edited = { path: "/p/a", hash: "h", action: "edited", now: "same" } as const;
const unknown = { ...edited, now: "unknown" } as const;
const left: Restoration["files"] = [
  { ...edited, action: "read" },
  { ...edited, isCommitted: true },
  { ...edited, stamp: { bytes: 1, modifiedMs: 1 } },
  { ...edited, hash: null, skipped: absentReason, now: "changed" },
  { ...edited, isByDate: true },
  { ...edited, isByDate: true },
  { ...edited, hash: null },
];

it.each<[string, Partial<WorkState>, Partial<Restoration>?]>([
  ["nothing of the conversation is known", {}],
  ["0 of 3 prompts quoted", { droppedPrompts: 3 }],
  ["2 of 2 prompts quoted; no words of the chat are known", { ...asked, words: [] }],
  [
    "2 of 2 prompts quoted; the end of the conversation is there",
    { ...asked, life: aLife({ over: { at: T0 + 10_000, how: "interrupted" } }) },
  ],
  ["2 of at least 2 prompts quoted; the chat's newest words are there", { ...asked, ...lost(T0 + 999) }],
  ["2 of at least 2 prompts quoted; the store may have lost the end of the conversation", over, storeLost(9_500)],
  ["2 of at least 2 prompts quoted; the end of the conversation is there", over, storeLost(500)],
  ["2 of at least 2 prompts quoted; the end of the conversation could not be read", { ...asked, ...lost(T0 + 1_000) }],
  ["2 of at least 2 prompts quoted; the chat", asked, { session: aSession({ origin: "resume" }) }],
  ["2 of 2 prompts quoted; the chat", asked, { session: aSession({ origin: "resume", startedAt: T0 + 1 }) }],
  [
    "2 of at least 2 prompts quoted (no transcript was read); the chat",
    asked,
    { session: aSession({ transcriptOffset: 0 }) },
  ],
  [
    "2 of 2 prompts quoted; the chat",
    asked,
    { session: aSession({ transcriptOffset: 0, origin: "import", owner: null }) },
  ],
  ["1 of at least 1 prompts quoted; the end of", { prompts: [{ text: "one", at: 1 }], words, ...lost(null) }],
  ["2 files not verified", {}, { files: [unknown, unknown] }],
  ["4 of 5 files as left (compared: 2 by date, 1 by size and time, 1 by existence, 1 by content)", {}, { files: left }],
])("its figures say what it has of the session: %s", (line, state, more = {}) => {
  expect(brief(aRestoration(state, more), now, "ask")).toContain(`\nof the session: ${line}`);
});

it("files that are not as they were stand first, those beyond the room by name, those only read last; what most are is said once", () => {
  const files: Restoration["files"] = [
    { ...edited, path: "/p/gone.ts", now: "missing" },
    { ...edited, path: "/q/other.ts" },
    { ...edited, path: "/p/seen.ts", action: "read" },
    ...Array.from({ length: 14 }, (_, n) => ({ ...edited, path: `/p/${n}.ts` })),
  ];
  const text = brief(aRestoration({}, { files }), now, "ask");
  expect(text).toContain('; "same": unchanged since the checkpoint):\n- gone.ts (edited): MISSING\n');
  expect(text).toContain('\n- 13.ts (edited): "same"\n');
  expect(text).toContain("\n- and 1 more\n- of those: /q/other.ts\n- read: seen.ts\n");
});

it("tests count only for all files of the newest snapshot, those that failed with more of their output, and the answer of a remote only for what was done before", () => {
  const push = { kind: "push", command: "git push", call: "c", at: T0 + 10 } as const;
  const ran = { at: T0, command: "npm test", exitCode: 0, trouble: null, ms: 1, output: "", commit: "c" };
  const remotes = [{ key: effectKey(push), text: "it is there" }];
  const textOf = (missingFiles: number, at: number, commit = "c"): string => {
    const verification = { at, tests: { ...ran, missingFiles, commit }, remotes };
    return brief(aRestoration({ effects: [push] }, { snapshot, verification }), now, "ask");
  };
  const isCovered = [0, 1].map((missing) => textOf(missing, T0).includes("what these tests do not cover"));
  expect(isCovered).toEqual([true, false]);
  expect([T0, T0 + 20].map((at) => textOf(0, at).includes("it is there"))).toEqual([false, true]);
  const printed = [0, 1].map((exitCode) => {
    const tests = { ...ran, exitCode, missingFiles: 0, output: "hull bow mast ".repeat(100) };
    const text = brief(aRestoration({}, { snapshot, verification: { at: T0, tests, remotes } }), now, "ask");
    return /; printed last: (.*)$/m.exec(text)?.[1]?.length;
  });
  expect(printed).toEqual([120, 500]);
  const tests = { ...ran, missingFiles: 0, output: "No test files found, exiting with code 0" };
  const empty = brief(aRestoration({}, { snapshot, verification: { at: T0, tests, remotes } }), now, "ask");
  expect(empty).toContain("`npm test` ran no tests, and ended with exit code 0");
  expect(empty).not.toContain("what these tests do not cover");
  const isOlder = ["c", "before"].map((commit) => textOf(0, T0, commit).includes("tests of an OLDER snapshot"));
  expect(isOlder).toEqual([false, true]);
});

/** A chat in a real repository with one commit, made before the session. */
function aChatInRepository(now = T0): { runtime: TempRuntime; claude: Claude; path: (name: string) => string } {
  const cwd = aRepository();
  return { ...aChat({ now, cwd }), path: (name) => join(cwd, name) };
}

function aRepository(): string {
  const cwd = temporaryFolder();
  const writeBefore = (name: string): void => {
    writeFileSync(join(cwd, name), "one\n");
    utimesSync(join(cwd, name), T0 / 1_000 - 3_600, T0 / 1_000 - 3_600);
  };
  for (const name of ["old.txt", "kept.txt"]) writeBefore(name);
  makeRepository(cwd);
  commitAll(cwd, "one");
  writeBefore("before.txt");
  return cwd;
}

/** The brief that the next chat of the project gets. */
function briefAfter(runtime: TempRuntime, dead: Claude): string {
  dead.kill();
  runtime.wait(120_000);
  return anotherClaude(runtime, dead).start();
}

it("the brief of an offer from another machine has the ages of the moment it is delivered", () => {
  const { runtime, claude } = aChat();
  claude.turn("Count the stars");
  claude.kill();
  const from = restore(runtime, storedSession(runtime, claude.session));
  if (!from) throw new Error("no restoration");
  const stored = JSON.parse(JSON.stringify(toStoredOffer(from, "rig", "brief"))) as ReturnType<typeof toStoredOffer>;
  expect(renderBrief(stored, runtime.now() + 600_000)).toContain("died 10 min ago");
  const { brief } = toDelivered(stored, runtime.now() + 7_200_000) as { brief: string };
  expect(brief).toContain("died 2 h ago");
});

it("what was changed before the session is not its own, and nothing is written; without git, or its answer, nothing is known", () => {
  const project = aRepository();
  writeFileSync(join(project, "new.txt"), "new");
  const index = statSync(join(project, ".git", "index")).mtimeMs;
  const from = { project, commit: null, knownHead: null, startedAt: T0, edited: [join(project, "kept.txt")] };
  const changes = changesIn(process.env, from);
  expect(changes?.open.map(({ path }) => path)).toEqual([join(project, "new.txt")]);
  expect([...(changes?.clean ?? [])]).toEqual([join(project, "kept.txt")]);
  expect(statSync(join(project, ".git", "index")).mtimeMs).toBe(index);
  expect(changesIn({}, { ...from, project: aProject() })).toBeNull();
  expect(changesIn({ PATH: "/nonexistent" }, from)).toBeNull();
});

it("what another chat of the project has edited is not named as a change of this one", () => {
  const { runtime, claude, path } = aChatInRepository(Date.now());
  const other = anotherClaude(runtime, claude);
  claude.start();
  claude.prompt("Tidy up the files");
  other.start();
  other.prompt("Write the songs");
  const writers = { "mine.txt": [claude], "song.txt": [other], "both.txt": [claude, other], "later.txt": [other] };
  for (const [name, chats] of Object.entries(writers))
    for (const chat of chats) {
      chat.write(path(name), `by ${chat.session}`);
      // On a busy machine the disk's clock is seconds ahead of the chats'.
      utimesSync(path(name), runtime.now() / 1_000, runtime.now() / 1_000);
    }
  const later = runtime.now() / 1_000 + 60;
  utimesSync(path("later.txt"), later, later);
  claude.kill();
  const from = restore(runtime, storedSession(runtime, claude.session));
  const names = from?.files.map((file) => file.path.slice(claude.cwd.length + 1));
  expect(names?.toSorted()).toEqual(["both.txt", "later.txt", "mine.txt"]);
});

it("a file that another chat has edited since the chat's last event says so", () => {
  const { runtime, claude, path } = aChatInRepository(Date.now());
  const other = anotherClaude(runtime, claude);
  claude.start();
  claude.prompt("Tidy up the files");
  other.start();
  other.prompt("Write the songs");
  other.write(path("b.txt"), "before it");
  for (const name of ["a.txt", "b.txt"]) claude.write(path(name), "mine");
  capture(runtime, { sessionId: claude.session, trigger: "on_demand" });
  claude.kill();
  runtime.wait(60_000);
  other.write(path("a.txt"), "theirs");
  writeFileSync(path("b.txt"), "by hand");
  runtime.wait(120_000);
  const from = restore(runtime, storedSession(runtime, claude.session));
  const text = from && brief(from, runtime.now(), "brief");
  const changed = "CHANGED since the checkpoint";
  expect(text).toContain(`- a.txt (created): ${changed}; another chat edited it 2 min ago\n`);
  expect(text).toContain(`- b.txt (created): ${changed}\n`);
});

it.each(Object.entries({ "was only offered": false, "continued @night": true }))(
  "files of a dead chat are inherited where its successor continues it, not by an offer alone: %s",
  (_, isContinued) => {
    const { runtime, claude: first, path } = aChatInRepository(Date.now());
    first.start();
    first.prompt("Tidy up the files");
    for (const name of ["parser.ts", "done.ts", "named.ts", "lexer.ts"]) first.write(path(name), name);
    first.stop();
    git(first.cwd, "add", "done.ts");
    git(first.cwd, "commit", "-q", "-m", "two");
    first.kill();
    runtime.wait(600_000);
    const second = anotherClaude(runtime, first, { session: "second-session" });
    second.start();
    second.prompt(isContinued ? "go on" : "write the songs");
    if (isContinued) second.write(path("parser.ts"), "longer");
    if (isContinued) second.use("Read", { file_path: path("lexer.ts") }, {});
    const notes = { files: [path("named.ts")] };
    if (isContinued) capture(runtime, { sessionId: second.session, trigger: "on_demand", notes });
    second.write(path("song.txt"), "la");
    second.stop();
    second.kill();
    runtime.wait(600_000);
    const from = restore(runtime, storedSession(runtime, second.session));
    const names = from?.files.filter((one) => !one.isCommitted).map(({ path: of }) => of.slice(first.cwd.length + 1));
    expect(names).toEqual(isContinued ? ["named.ts", "lexer.ts", "parser.ts", "song.txt"] : ["song.txt"]);
    const brief = anotherClaude(runtime, second, { session: "third-session" }).start();
    expect(brief.includes('- lexer.ts (created): "same"\n')).toBe(isContinued);
    expect(brief.includes("- committed or unchanged, by git: done.ts\n")).toBe(isContinued);
  },
);

const printed = (stdout: string): object => ({ stdout, stderr: "", interrupted: false });

it("of the newest three commands a brief has the last line that each printed, also where reading followed", () => {
  const { runtime, claude } = aChat();
  claude.prompt("test the hull");
  for (const name of ["mast", "bow", "keel", "stern"])
    claude.use("Bash", { command: `npm test -- ${name}` }, printed(`PASS a\nPASS b\n${name}: 3 of 4 are tight\n\n`));
  for (const name of ["a", "b", "c", "d", "e", "f"]) claude.use("Read", { file_path: `/p/${name}.ts` }, {});
  const text = briefAfter(runtime, claude);
  expect(text).toContain("- Bash npm test -- keel printed: PASS a / PASS b / keel: 3 of 4 are tight\n");
  expect(["mast", "bow", "stern"].map((name) => text.includes(`${name}: 3 of 4`))).toEqual([false, true, true]);
  claude.use("Bash", { command: "env" }, printed(`${"x ".repeat(400)}\nDB_PASSWORD=hunter2hunter2 is set`));
  expect(briefAfter(runtime, claude)).not.toContain("hunter2");
});

it("of a command whose end was not seen the brief names the processes that run it now, or says that none was found", () => {
  const { runtime, claude } = aChat();
  const standing = (): string => {
    const from = restoreById(runtime, claude.session);
    return (from && /^how it stood.*$/m.exec(brief(from, runtime.now(), "brief"))?.[0]) ?? "";
  };
  claude.prompt("serve it");
  const about = { ...printed(""), backgroundTaskId: "b1" };
  claude.use("Bash", { command: "npm run 'serve'", run_in_background: true }, about);
  claude.tell("PreToolUse", { tool_name: "Bash", tool_use_id: "call_2", tool_input: { command: "make all" } });
  runtime.processes.start(3_001, 1, "zsh -c eval 'npm run serve' < /dev/null");
  runtime.processes.start(3_002, 3_001, "npm run serve");
  claude.kill();
  expect(standing()).toMatch(/running Bash make all .*it may still run, or have finished\); in the background/);
  runtime.processes.areInFolder = true;
  expect(standing()).toMatch(
    /Bash make all \(begun \d+ s before; no result was seen; it may still run, or have finished: no process has that command line\)/,
  );
  expect(standing()).toMatch(/Bash npm run 'serve' \(begun \d+ s before; it runs now, pid 3002\)$/);
  runtime.processes.kill(3_002);
  expect(standing()).toContain("it runs now, pid 3001)");
});

it("what runs in the background stands beside how the chat stood until its end is seen", () => {
  const { runtime, claude } = aChat();
  const standing = (): string | undefined => {
    const from = restoreById(runtime, claude.session);
    return from ? /^how it stood.*$/m.exec(brief(from, runtime.now(), "brief"))?.[0] : undefined;
  };
  claude.prompt("serve it");
  for (const [id, command] of Object.entries({ b1: "npm run serve", b2: "npm run watch" }))
    claude.use("Bash", { command, run_in_background: true }, { ...printed(""), backgroundTaskId: id });
  claude.stop("It is served.");
  expect(standing()).toMatch(
    /: the turn was over, and the chat waited for the user; in the background, with no end seen: Bash npm run serve \(begun \d+ s before\); Bash npm run watch \(begun \d+ s before\)$/,
  );
  const parts = ["<task-id>b1</task-id>", "<status>completed</status>", "<summary>done</summary>"];
  claude.prompt(`<task-notification>\n${parts.join("\n")}\n</task-notification>`);
  expect(standing()).not.toContain("npm run serve");
  claude.use("TaskStop", { task_id: "b2" }, { task_id: "b2", message: "stopped" });
  expect(standing()).not.toContain("background");
});

it("a file that the chat itself took away by a command is said to be deleted by it; one that others took is missing", () => {
  const { runtime, claude, path } = aChatInRepository();
  claude.prompt("tidy up");
  mkdirSync(path("old"));
  for (const name of ["a.md", "b.md", "kept.md", "old/c.md", "moved.md", "draft-1.md"]) claude.write(path(name), name);
  git(claude.cwd, "add", ".");
  const removed = "rm -f a.md draft-*.md && git rm -rf old && mv moved.md new.md; test -f b.md || rm kept.md";
  claude.use("Bash", { command: `cd ${claude.cwd} && ${removed}` });
  for (const name of ["a.md", "b.md", "old", "moved.md", "draft-1.md"]) rmSync(path(name), { recursive: true });
  const text = briefAfter(runtime, claude);
  const lines = text.matchAll(/^- (\S+) \((?:created|edited)\): (.*)$/gm);
  const states = new Map([...lines].map(([, name, state]) => [name, state]));
  const deleted = "deleted, as the chat left it";
  for (const name of ["a.md", "old/c.md", "moved.md", "draft-1.md"]) expect(states.get(name)).toBe(deleted);
  expect(states.get("b.md")).toBe("MISSING");
  expect(states.get("kept.md")).not.toMatch(/AGAIN|deleted|MISSING/);
});

it("a file that a command wrote is verified against the snapshot: as it was, changed since, or not known", async () => {
  const now = Date.now();
  const { runtime, claude, path } = aChatInRepository(now);
  const write = (name: string, content: string, at: number): void => {
    writeFileSync(path(name), content);
    utimesSync(path(name), at / 1_000, at / 1_000);
  };
  claude.start();
  claude.prompt("Generate the tables");
  for (const name of ["same.txt", "later.txt", "odd.txt"]) write(name, "made by a command", now);
  claude.use("Bash", { command: "make tables" });
  capture(runtime, { sessionId: claude.session, trigger: "on_demand" });
  const host = { ...runtime, env: GIT_ENV, processes: systemProcesses };
  await takePending(host, [claude.session], new AbortController().signal);
  for (const name of ["unsaved.txt", "odd.txt"]) write(name, "made after the snapshot", now);
  claude.use("Bash", { command: "make more" });
  claude.kill();
  write("later.txt", "by hand, after its death", now + 60_000);
  const brief = briefAfter(runtime, claude);
  const [since, open] = ["since the checkpoint", "not verified"];
  const states = { same: `unchanged ${since}`, unsaved: open, odd: open, later: `CHANGED ${since}` };
  for (const [name, state] of Object.entries(states))
    expect(brief).toContain(`- ${name}.txt (by a command or by hand): ${state}`);
});

function briefOf({ base }: TeamRig, id: string): string {
  const from = restore(base, storedSession(base, id));
  return from ? brief(from, base.now(), "brief") : "";
}

it("the brief of a session names its task, and what other machines get of it does, also when its server outlived the client and saw another chat take it", async () => {
  const { rig, one, other } = await twoChats();
  const { session } = one.claude;
  rig.call("tasks.submit", { tasks: [{ type: "tests" }], requestId: "r1" });
  await one.ask("shim_next", { types: ["tests"] });
  one.claude.kill();
  expect(briefOf(rig, session)).toContain("its task 1 (tests) was not finished then");
  await rig.time.until(other.ask("shim_next", { types: ["tests"], waitMs: 40_000 }));
  await one.team.end("client_gone");
  expect(briefOf(rig, session)).toMatch(/its task 1 \(tests\) .*`shim task show 1` says whether another chat has done/);
  const row = storedSession(rig.base, session);
  const shared = rig.base.store.read((sql) => buildSessionContent(sql, row, rig.base.now()), null);
  expect(shared?.tasks).toEqual([{ task: 1, type: "tests" }]);
});
