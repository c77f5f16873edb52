import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { given } from "#harness/coordinator/peers.ts";
import { aCliHome, addSession, addSnapshot, aSeededHome, type CliHome } from "#harness/machine/cli-home.ts";
import { checkpointOf, failed, filesWith, holding, ids, printed } from "#harness/machine/cli-home.ts";
import { aChat } from "#harness/machine/cli-rigs.ts";
import { someReadings } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine } from "#harness/machine/transcripts.ts";
import { submitPlan, Worker } from "#harness/worker/worker-rig.ts";
import { stateText, type ShownState } from "#src/contract/chat-state.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { shortIds } from "#src/contract/short-id.ts";
import { offer } from "#src/machine/recovery/offers.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { record } from "#src/machine/sessions/signals/crashes.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import { backUp } from "#src/store/copy-store.ts";
import * as notices from "#src/store/notices.ts";
import { isPaused, pause } from "#src/store/pause.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

function statesOf(json: Record<string, unknown>): Record<string, string> {
  const list = json["sessions"] as (ShownState & { id: string })[];
  return Object.fromEntries(list.map((one) => [one.id, stateText(one)]));
}

it("a line break or another control character in a project's path is escaped, so that a session stays one row", async () => {
  const home = aCliHome();
  const project = join(home.folder, "two\nlines \u001b[31mred\t");
  addSession(home, { id: ids.dead, pid: 200, project });
  const shown = String.raw`two\nlines \u001b[31mred\t`;
  for (const command of ["sessions", "up"])
    expect(await home.shim(command)).toMatchObject(printed(`/${shown}  work of bbbb`));
  expect(await home.json("sessions")).toMatchObject({ sessions: [{ project }] });
});

it("each session has one state, with why", async () => {
  const home = aSeededHome();
  addSession(home, { id: "dddd", pid: 500, entries: [] });
  addSession(home, { id: "eeee", pid: 600 });
  home.runtime.store.write((sql) =>
    recoveries.add(sql, { at: home.now, session: "eeee", action: "recovered", by: ids.alive }),
  );
  expect(statesOf((await home.shim("sessions --json")).json())).toEqual({
    [ids.alive]: "works",
    [ids.dead]: "died (killed)",
    [ids.elsewhere]: "died (killed)",
    [ids.finished]: "ended (finished)",
    dddd: "ended (nothing to keep)",
    eeee: "ended (continued by chat aaaa1111)",
  });
  const dead = await home.shim("sessions --incomplete --json");
  expect(Object.keys(statesOf(dead.json())).toSorted()).toEqual([ids.dead, ids.elsewhere]);
});

it("a time that a clock which was ahead has stored is unknown, not now", async () => {
  const home = aSeededHome();
  home.now -= 86_400_000;
  for (const command of ["sessions", `sessions show ${ids.dead}`, `resume ${ids.dead} --print`, "up --once"]) {
    const { out } = await home.shim(command);
    expect([command, out]).toEqual([command, expect.stringContaining("at an unknown time")]);
    expect([command, out]).toEqual([command, expect.not.stringContaining("0 s ago")]);
  }
});

it("what a client did not report of a chat's end is seen before anything has stored it", async () => {
  const home = aCliHome();
  const turn: JournalEntry[] = [{ kind: "prompt", text: "say hello" }, { kind: "turn_end" }];
  const detachments = { over: "stdin_end", gone: null, killed: "client_gone", working: "stdin_end" };
  for (const [at, [id, reason]] of Object.entries(detachments).entries()) {
    addSession(home, { id, client: "qwen", pid: 500 + at, entries: id === "working" ? turn.slice(0, 1) : turn });
    if (reason !== null) home.runtime.store.write((sql) => reportEnd(sql, home.runtime, id, reason));
  }
  const incomplete = {
    working: "died (cause unknown)",
    gone: "ended (closed with nothing open)",
    killed: "ended (closed with nothing open)",
  };
  expect(statesOf(await home.json("sessions"))).toEqual({ over: "ended (finished)", ...incomplete });
  expect(statesOf(await home.json("sessions --incomplete"))).toEqual(incomplete);
  expect((await home.json("sessions show over"))["session"]).toMatchObject({ state: "ended", detail: "finished" });
  expect(await home.json("up --once --json")).toMatchObject({ sessions: [{ id: "working" }, { id: "over" }] });
  expect(home.runtime.store.read((sql) => sessions.get(sql, "gone"), null)).toMatchObject({ ending: null });
});

it("`sessions show` gives one timeline of journal, signals, checkpoints, snapshots, crash and recovery in the order of time, and with --stored every row that is stored, with its texts in full", async () => {
  const home = aSeededHome();
  const { runtime } = home;
  addSnapshot(home, { reason: "no space" });
  runtime.store.write((sql) => {
    const readings = someReadings({ contextFill: 0.8, toolCalls: 1 }, home.now);
    sessions.update(sql, ids.dead, { readings });
    record(sql, home.now, ids.dead, readings, { score: 0.3, level: "warning", reasons: [] });
    const client = { boot: "boot-1", pid: 200, start: "s200" };
    clients.moveTo(sql, home.now, client, { givenId: ids.dead, session: ids.dead });
  });
  home.now += 1_000;
  expect(offer(runtime, ids.alive, { project: home.project })?.brief.from.session.id).toBe(ids.dead);
  const entries = (await home.json("sessions show", ids.dead))["timeline"] as { source: string; kind: string }[];
  const journal = "journal:prompt journal:tool_start journal:tool_error journal:assistant checkpoint:on_demand";
  expect(entries.map(({ source, kind }) => `${source}:${kind}`)).toEqual(
    `${journal} crash:killed signal:warning snapshot:failed recovery:offered`.split(" "),
  );
  const lines = ["tool failed: Bash npm test (1200 ms): one test failed", `offered to session ${ids.alive}, `];
  expect(await home.shim("sessions show", ids.dead)).toMatchObject(printed(...lines));
  const long = "word ".repeat(1_000).trim();
  addSession(home, { id: "eeee", entries: [{ kind: "prompt", text: long }] });
  const ran = await home.json("sessions show --stored", ids.dead);
  const counts = { journal: 4, checkpoints: 1, snapshots: 1, signals: 1, crashes: 1, recoveries: 1, clients: 1 };
  for (const [name, n] of Object.entries(counts)) expect([name, (ran[name] as unknown[]).length]).toEqual([name, n]);
  const others = ["killed", "offered", '"pid":200', '"contextFill":{"value":0.8', "one test failed", "no space"];
  expect((await home.shim("sessions show bbbb2 --stored")).out).toEqual(holding(ids.dead, ...others));
  expect((await home.shim("sessions show eeee --stored")).out).toContain(long);
});

it("in a timeline what was read late of a life comes before its death, and its next life after it", async () => {
  const home = aSeededHome();
  offer(home.runtime, ids.alive, { project: home.project });
  const late: JournalEntry[] = [
    { kind: "assistant", text: "late" },
    { kind: "start", source: "resume" },
    { kind: "assistant", text: "next life" },
  ];
  home.runtime.store.write((sql) =>
    late.forEach((entry, at) => journal.append(sql, ids.dead, home.now - 50_000 + at, `late${at}`, entry)),
  );
  const { timeline } = await home.json("sessions show", ids.dead);
  const shown = (timeline as { source: string; text: string }[]).map(({ source, text }) => `${source} ${text}`);
  expect(shown.slice(-5, -1)).toEqual([
    "journal assistant: late",
    "crash died: killed. Its process vanished; no orderly end was seen. At its death: last checkpoint 0 s before, 0 events and 0 tool calls after it.",
    "journal started (resume)",
    "journal assistant: next life",
  ]);
});

const anEffect = { kind: "push", command: "git push", shows: "all", subject: "a".repeat(40) } as const;
const aPush = { id: "p1", name: "Bash", input: "git push" };
const damage = { kind: "damaged", parts: [{ at: null, bytes: 9 }] } as const;

const told: readonly (readonly [JournalEntry, line: string])[] = [
  [{ kind: "start", source: "startup" }, "started (startup)"],
  [{ kind: "continues", session: "s0", prompts: [] }, "continues session s0 of another machine"],
  [{ kind: "prompt", text: `two\nlines ${"x".repeat(200)}` }, `prompt 1, user: two lines ${"x".repeat(147)}...`],
  [{ kind: "assistant", text: "It is done." }, "assistant: It is done."],
  [{ kind: "subagent_end", text: "found it" }, "subagent ended: found it"],
  [{ kind: "exited", id: "t1", exitCode: 2 }, "call t1 had ended with exit code 2"],
  [{ kind: "background_end", id: "b1" }, "background task ended: b1"],
  [{ kind: "recap", text: "half of it" }, "the client's account: half of it"],
  [{ kind: "named", names: ["ABC-1", "worktree ../w"] }, "linked by the client: ABC-1, worktree ../w"],
  [{ kind: "failure", text: "overloaded" }, "failed: overloaded"],
  [{ kind: "unread", of: "Stop", text: "{}" }, "not interpreted, since it took too long (Stop): {}"],
  [{ ...damage, count: 0, isBranched: true }, "the transcript goes on along two branches"],
  [{ ...damage, count: 1 }, "1 part of the transcript could not be read or is missing"],
  [
    { ...damage, count: 2, isBranched: true },
    "2 parts of the transcript could not be read or are missing; the transcript goes on along two branches",
  ],
  [{ kind: "turn_end" }, "answer complete"],
  [{ kind: "interrupted" }, "interrupted by the user"],
  [{ kind: "plan", text: "first the parser" }, "user approved a plan: first the parser"],
  [
    {
      kind: "answers",
      answers: [
        { question: "Which?", answer: "both" },
        { question: "Now?", answer: "no" },
      ],
    },
    "user chose: Which? -> both; Now? -> no",
  ],
  [{ kind: "compacting", trigger: "auto" }, "compaction begins (auto)"],
  [{ kind: "compacted", summary: "" }, "compacted"],
  [{ kind: "compacted", summary: "the parser" }, "compacted: the parser"],
  [{ kind: "given_back", text: "the goal" }, "SHIM gave back: the goal"],
  [
    {
      kind: "todos",
      todos: [
        { text: "lex", status: "completed" },
        { text: "parse", status: "pending" },
      ],
    },
    "tasks: lex (completed); parse (pending)",
  ],
  [{ kind: "todo", todo: { id: "7", text: "parse", status: "in_progress" } }, "task 7: parse, in_progress"],
  [{ kind: "todo", todo: { id: "7", status: "completed" } }, "task 7: completed"],
  [{ kind: "todo_removed", id: "7" }, "task 7 removed"],
  [{ kind: "tool_start", ...aPush, effects: [anEffect] }, "tool began: Bash git push"],
  [{ kind: "tool_error", ...aPush, text: "rejected", durationMs: 3.4 }, "tool failed: Bash git push (3 ms): rejected"],
  [{ kind: "tool_end", id: "e1", name: "Edit", input: "a.ts", path: "a.ts" }, "tool ended: Edit a.ts [noted a.ts]"],
  [{ kind: "detached", reason: "stdin_end" }, "cut off (stdin_end)"],
  [{ kind: "end", reason: "logout" }, "ended (logout)"],
  [{ kind: "of a newer SHIM" } as unknown as JournalEntry, "of a newer SHIM"],
];

it("`sessions show` has a line for each kind of journal entry, and one for each command that cannot be undone", async () => {
  const home = aCliHome();
  addSession(home, { id: ids.dead, pid: 200, entries: told.map(([entry]) => entry) });
  const { out } = await home.shim("sessions show", ids.dead);
  const lines = out.split("\n").flatMap((line) => /^.{19}  (\w+) +(.+)$/.exec(line)?.slice(1, 3).join(": ") ?? []);
  const undone = "effect: cannot be undone: git push (commit aaaaaaaaaaaa): FAILED: rejected";
  expect(lines.slice(0, told.length + 1)).toEqual([...told.map(([, line]) => `journal: ${line}`), undone]);
});

it("checkpoints are searched by words, session, project and time; `sessions show` of one prints the whole state, and says when it is damaged", async () => {
  const home = aSeededHome();
  const found = async (command: string, ...args: string[]): Promise<string[]> =>
    ((await home.json(command, ...args))["sessions"] as { id: string }[]).map(({ id }) => id).toSorted();
  expect(await found("sessions search fix parser --session bbbb2")).toEqual([ids.dead]);
  expect(await found("sessions search parser --project", home.other)).toEqual([ids.elsewhere]);
  expect(await found("sessions search parser --since 30s")).toEqual([]);
  expect(await found("sessions search parser --since 2m --limit 1")).toHaveLength(1);
  expect(await found("sessions search parser --until 2m")).toEqual([]);
  expect((await home.shim("sessions search parser --session bbbb")).code).toBe(2);
  expect((await home.shim("sessions search nothing-like-it")).out).toBe('Nothing found for "nothing-like-it".\n');
  const id = checkpointOf(home, ids.dead);
  const shown = await home.json("sessions show", id);
  const snapshot = { state: "pending" };
  expect(shown).toMatchObject({ checkpoint: { id }, state: { prompts: [{ text: "fix the parser" }] }, snapshot });
  expect(await home.shim("sessions show", id)).toMatchObject(printed('"text": "fix the parser"', "files: pending"));
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'x' WHERE id = ?", id));
  expect(await home.shim("sessions show", id, "--json")).toMatchObject({ code: 1, error: "checkpoint_damaged" });
});

/** Ids of workers begin with the time: these three share 8, 13 and more characters. */
const workers = [
  "01a1fbb6-1111-7aaa-8000-000000000001",
  "01a1fbb6-1112-7aaa-8000-000000000002",
  "01a1fbb6-1112-7aaa-9000-000000000003",
] as const;

it("sessions are shown with as many characters as are unique, and what is shown is accepted; an ambiguous id is refused with short ids and titles, at most eight of them, and an unknown one says how to list", async () => {
  const home = aCliHome();
  for (const id of workers) addSession(home, { id, pid: 300, title: `task of ${id.slice(-1)}` });
  addSession(home, { id: ids.dead, pid: 200 });
  const shown = (await home.shim("sessions")).out.match(/^[\da-f]+\S*/gm)?.toSorted() ?? [];
  expect(shown).toEqual(["01a1fbb6-1111", "01a1fbb6-1112-7aaa-8", "01a1fbb6-1112-7aaa-9", "bbbb2222"]);
  for (const id of shown) expect((await home.shim("sessions show", id)).code).toBe(0);
  expect((await home.shim("up --once")).out).toContain("shim resume 01a1fbb6-1112-7aaa-9\n");
  const two = "  01a1fbb6-1112-7aaa-8  0 s ago  task of 2\n  01a1fbb6-1112-7aaa-9  0 s ago  task of 3\n";
  expect(await home.shim("sessions show 01a1fbb6-1112")).toMatchObject(failed(2, two));
  const checkpoint = /checkpoint cp_\S+ {2}0 s ago {2}on_demand {2}task of 1\n/;
  expect(await home.shim("restore cp_")).toMatchObject(failed(2, checkpoint));
  for (let at = 0; at < 9; at += 1) addSession(home, { id: `cccc0000-${at}`, pid: 300 });
  const many = await home.shim("sessions show cccc --json");
  expect((many.json()["error"] as { candidates: string[] }).candidates).toHaveLength(8);
  expect(await home.shim("sessions show zzzz")).toMatchObject(failed(3, "`shim sessions` lists them"));
});

it("a session's short id means the session, though a checkpoint was saved in the same minute", async () => {
  const home = aCliHome();
  // Codex makes ids of the same form as those of checkpoints.
  addSession(home, { id: "other", pid: 200 });
  const ofTheMinute = checkpointOf(home, "other").slice("cp_".length, -1);
  addSession(home, { id: `${ofTheMinute}z`, pid: 300 });
  const shown = /^[\da-f]{8}/m.exec((await home.shim("sessions")).out)?.[0] ?? "none";
  expect((await home.shim("sessions show", shown)).out).toContain(`${ofTheMinute}z`);
});

it("a short id has at least 8 characters behind its prefix, does not end in a hyphen, and may be the whole id", () => {
  const whole = ["01a1fbb6-1111-7aaa", "01a1fbb6-1112-7bbb", "ses_018bcfe5-6800", "ffffffff-1", "s1", "abcdefghij"];
  const short = ["01a1fbb6-1111", "01a1fbb6-1112", "ses_018bcfe5", "ffffffff", "s1", "abcdefgh"];
  expect(whole.map(shortIds(whole))).toEqual(short);
});

it("a session is named, renamed, and loses its name again; a name is redacted and bounded, and wrong usage changes nothing", async () => {
  const home = aSeededHome();
  const named = printed('bbbb2222 is called "Parser work".\n');
  expect(await home.shim("sessions name bbbb2", "  Parser\n work  ")).toMatchObject(named);
  for (const list of ["sessions", "up --once", "sessions show bbbb2"])
    expect([list, (await home.shim(list)).out]).toEqual([list, holding("Parser work")]);
  expect(await home.json("sessions name bbbb2 Second")).toMatchObject({ session: ids.dead, name: "Second" });
  expect((await home.shim("sessions name bbbb2 --clear")).out).toContain('its title is "work of bbbb".\n');
  expect((await home.shim("sessions")).out).not.toContain("Second");
  const secret = `ghp_${"a1B2c3D4e5F6g7H8i9J0".repeat(2).slice(0, 36)}`;
  await home.shim("sessions name bbbb2", `token ${secret}`);
  const stored = (await home.shim("sessions show bbbb2 --stored")).out;
  expect(stored).toContain("token ");
  expect(stored).not.toContain(secret);
  await home.misuses("sessions name bbbb2", [
    ["", /give either a name or --clear/],
    ["x --clear", /give either a name or --clear/],
    [["  "], /the name is empty/],
    [["x".repeat(101)], /longer than 100 characters/],
  ]);
  expect((await home.shim("sessions name zzzz x")).code).toBe(3);
  expect((await home.shim("sessions show bbbb2 --stored")).out).toBe(stored);
});

it("the view shows sessions with risk and last checkpoint, what died, notices and pauses, then chats, tasks with their chats, and files with their holders; a coordinator that does not answer is named", async () => {
  const home = aSeededHome();
  home.runtime.store.write((sql) => {
    sessions.update(sql, ids.alive, { readings: someReadings({ contextFill: 0.9 }, home.now) });
    notices.add(sql, home.now, "store_damaged", "the store was damaged");
    pause(sql, home.now, null, null);
  });
  const works = "aaaa1111  work of aaaa  works, saved 60 s ago, risk 0.3 warning (contextFill), context 90 %";
  const died = "bbbb2222  ~/project  work of bbbb  died (killed), 60 s ago: shim resume bbbb2222";
  const others = ["Needs you (2)\n", "1 ended in the last day", "the store was damaged", "paused: all projects\n"];
  expect(await home.shim("up --once")).toMatchObject(printed(`~/project (1)\n  ${works}`, died, ...others));
  const { sessions: all } = (await home.json("up")) as { sessions: { id: string }[] };
  expect(all.map(({ id }) => id)).toEqual([ids.alive, ids.dead, ids.elsewhere, ids.finished]);
  expect((await home.shim("up --once")).out).not.toContain("Team");
  await submitPlan(home, [{ type: "test" }, { type: "lint" }]);
  new Worker(home).take().beat(50, "half of it");
  await home.shim("call leases.acquire resource=file:p/src/parser/** requestId=one ttlMs=60000");
  const chats = ["Team (this machine)\n", "w  test  m1  idle\n"];
  const tasks = ["tasks: 1 waiting, 1 under way, 0 done, 2 in all", / test {2}running by w: half of it\n/];
  const files = /src\/parser\/\*\* {2}reserved by \S+ for 0 s/;
  expect(await home.shim("up --once")).toMatchObject(printed(...chats, ...tasks, files));
  home.join("http://127.0.0.1:9");
  const lost = "Team: http://127.0.0.1:9, workspace team cannot be used now: ";
  expect(await home.shim("up --once")).toMatchObject(printed(lost, "~/project (1)"));
});

async function sessionsOf(home: CliHome): Promise<string[]> {
  const { sessions } = (await home.json("sessions")) as { sessions: { id: string }[] };
  return sessions.map(({ id }) => id).toSorted();
}

it("forgetting a session leaves none of it in any file: rows, index, log, backups, and nothing of an open chat's title with the coordinator of this machine", async () => {
  const home = aSeededHome();
  const entries = [{ kind: "prompt", text: "unforgettable words" } as const];
  addSession(home, { id: "dddd", pid: 500, title: "unforgettable-title", entries });
  await backUp(home.runtime.store, home.now, 5);
  expect(filesWith(home, "unforgettable").length).toBeGreaterThan(1);
  const coordinator = home.coordinator();
  for (const [chat, title] of [
    ["dddd", "unforgettable-title"],
    ["eeee", "another-title"],
  ] as const) {
    const row = { ...aChat(chat, "m"), metadata: { title, checkout: "c" } };
    const { incarnation } = given(coordinator.call("chats.register", row));
    given(coordinator.call("chats.heartbeat", { self: { chat, incarnation }, status: "busy", progress: title }));
  }
  expect(filesWith(home, "unforgettable").some((path) => path.includes("coordination"))).toBe(true);
  expect(await home.json("forget dddd --yes")).toMatchObject({ sessions: 1, checkpoints: 1 });
  expect(filesWith(home, "unforgettable")).toEqual([]);
  expect(await sessionsOf(home)).toEqual([ids.alive, ids.dead, ids.elsewhere, ids.finished]);
  expect((await home.shim("forget dddd --yes")).code).toBe(3);
  const kept = given(coordinator.call("chats.list", {})).chats.map(({ metadata }) => metadata);
  expect(kept).toEqual([{ checkout: "c" }, { title: "another-title", checkout: "c" }]);
});

it("what is to be deleted is asked for first, and is named", async () => {
  const home = aSeededHome();
  expect(await home.shim("forget ../other")).toMatchObject(failed(1, `1 session of ${home.other}`, "--yes"));
  const questions: string[] = [];
  const ask = async (question: string): Promise<string> => (questions.push(question), "");
  const forget = (id: string) => home.shimWith({ isTty: true, isInteractive: true, ask }, "forget", id);
  expect(await forget("bbbb2")).toMatchObject(failed(1, "nothing was changed"));
  expect(questions[0]).toContain(`session ${ids.dead} (work of bbbb)`);
  expect((await forget(ids.alive)).err).toContain("still running, so it is stored again");
  expect(await sessionsOf(home)).toHaveLength(4);
});

it("where files could not be removed it says so, and repeating the command finishes it", async () => {
  const home = aSeededHome();
  home.alive.add(process.pid);
  const repository = join(home.paths.snapshots, "p.git");
  mkdirSync(repository, { recursive: true });
  execFileSync("git", ["init", "-q", "--bare", repository]);
  // What another snapshot shares with it is git's to find.
  const other = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
  const inRepository = (...args: string[]): Buffer => execFileSync("git", ["-C", repository, ...args], { input: "" });
  inRepository("hash-object", "-w", "-t", "tree", "--stdin");
  inRepository("update-ref", "refs/shim/other", other);
  addSnapshot(home, { state: "done", repository });
  Object.assign(home.runtime.env, { PATH: home.folder });
  expect(await home.shim("forget", ids.dead, "--yes", "--json")).toMatchObject({ code: 1, error: "files_left" });
  expect((await home.shim("doctor")).out).toContain("fail  forget: traces of forgotten data are left");
  Object.assign(home.runtime.env, { PATH: process.env["PATH"] });
  expect(await home.json("forget", ids.dead, "--yes")).toMatchObject({ snapshots: 1 });
  expect((await home.shim("forget", ids.dead, "--yes")).code).toBe(3);
});

it("a pause holds for a time or until --off, for all or for one project", async () => {
  const home = aCliHome();
  const paused = (project: string | null): boolean =>
    home.runtime.store.read((sql) => isPaused(sql, home.now, project), false);
  expect((await home.shim("pause --off")).out).toBe("There was no pause for all projects.\n");
  expect(existsSync(home.paths.database)).toBe(false);
  const timed = { pauses: [{ project: home.other, until: home.now + 7_200_000 }] };
  await home.json("pause --project ../other");
  expect(await home.json("pause 2h --project ../other")).toMatchObject(timed);
  expect([home.other, home.project, null].map(paused)).toEqual([true, false, false]);
  const all = "Nothing is stored for any project until you say so; `shim pause --off` ends it.";
  expect((await home.shim("pause")).out).toEqual(holding(all, `Also paused: ${home.other} until `));
  expect(paused(home.project)).toBe(true);
  const advice = ["nothing is stored for any project", "`shim pause --off` ends it"];
  const other = [`nothing is stored for ${home.other}`, `\`shim pause --off --project ${home.other}\` ends it`];
  expect((await home.shim("doctor")).out).toEqual(holding(...advice, ...other));
  expect((await home.shim("pause --off")).out).toContain("Saving again for all projects.");
  expect([paused(home.other), paused(home.project)]).toEqual([true, false]);
  home.now += 7_200_001;
  expect(paused(home.other)).toBe(false);
  expect((await home.shim("pause 1h --off")).code).toBe(2);
  const missing = { code: 3, err: expect.stringContaining(`there is no folder ${join(home.project, "typo")}.`) };
  expect(await home.shim("pause --project typo")).toMatchObject(missing);
  expect((await home.shim("pause --off --project typo")).code).toBe(0);
});

it("what a transcript got during a pause is not read after `pause --off`, even where its rows have no time", async () => {
  const home = aCliHome();
  home.alive.add(100);
  const transcriptPath = join(home.project, "chat.jsonl");
  const say = (text: string): void => {
    const line = anAssistantLine({ content: [{ type: "text", text }] }, { timestamp: undefined });
    appendFileSync(transcriptPath, `${line}\n`);
  };
  addSession(home, { id: ids.alive, pid: 100, transcriptPath });
  await home.shim("pause --project .");
  say("words of the pause");
  expect((await home.shim("pause --off --project .")).code).toBe(0);
  say("words after it");
  home.runtime.store.write((sql) => catchUp(sql, home.now, ids.alive));
  const { out } = await home.shim("sessions show", ids.alive);
  expect(out).toContain("assistant: words after it");
  expect(out).not.toContain("words of the pause");
});
