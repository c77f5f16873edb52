import { join } from "node:path";
import { expect, it } from "vitest";
import { textWidth } from "#src/cli/text-width.ts";
import { describeEntry } from "#src/machine/operations/session-view.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import { offer } from "#src/machine/recovery/offers.ts";
import * as clients from "#src/machine/sessions/clients.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { record } from "#src/machine/signals/history.ts";
import {
  addSession,
  aCliHome,
  addSnapshot,
  aSeededHome,
  checkpointOf,
  holding,
  ids,
  type CliHome,
} from "#harness/machine/cli-home.ts";
import { stateText, type ShownState } from "#src/contract/chat-state.ts";
import { someReadings } from "#harness/machine/readings.ts";

function statesOf(json: Record<string, unknown>): Record<string, string> {
  const list = json["sessions"] as (ShownState & { id: string })[];
  return Object.fromEntries(list.map((one) => [one.id, stateText(one)]));
}

it("each session has one state, with why", async () => {
  const home = aSeededHome();
  addSession(home, { id: "dddd", pid: 500, entries: [] });
  addSession(home, { id: "eeee", pid: 600 });
  home.runtime.store.write((sql) => sessions.setRecovery(sql, home.now, "eeee", "recovered", ids.alive));
  const all = await home.shim("sessions --json");
  expect(statesOf(all.json())).toEqual({
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

it("what a client did not report of a chat's end is seen before anything has stored it", async () => {
  const home = aCliHome();
  const turn: JournalEntry[] = [{ kind: "prompt", text: "say hello" }, { kind: "turn_end" }];
  const detachments = { over: "stdin_end", gone: null, killed: "client_gone", working: "stdin_end" };
  for (const [at, [id, reason]] of Object.entries(detachments).entries()) {
    addSession(home, { id, client: "qwen", pid: 500 + at, entries: id === "working" ? turn.slice(0, 1) : turn });
    if (reason !== null) home.runtime.store.write((sql) => sessions.detach(sql, home.now, id, reason));
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
  expect(home.runtime.store.read((sql) => sessions.get(sql, "over"), null)).toMatchObject({ endedAt: null });
});

it("sessions are listed newest first, for people with short ids and ages, filtered by project and limit", async () => {
  const home = aSeededHome();
  const text = (await home.shim("sessions")).out;
  expect(text).toMatch(/^ID +STATE +DETAIL +CLIENT +SEEN +SAVED +CHECKPOINTS +PROJECT +TITLE\n/);
  expect(text).toMatch(/bbbb2222 +died +killed +Claude Code +60 s ago +60 s ago +1 +~\/project +work of bbbb/);
  const other = await home.shim("sessions --project ../other --json");
  expect(Object.keys(statesOf(other.json()))).toEqual([ids.elsewhere]);
  expect((await home.shim("sessions --project nowhere")).out).toContain("No sessions in ");
  expect((await home.json("sessions --limit 1"))["sessions"]).toHaveLength(1);
  const narrow = await home.shimWith({ size: () => ({ columns: 60, rows: 10 }) }, "sessions");
  for (const line of narrow.out.split("\n")) expect(line.length).toBeLessThanOrEqual(60);
});

it.each([80, 100, 120, 160])(
  "in %i columns the list has titles of wide characters, and paths give way",
  async (columns) => {
    const home = aSeededHome();
    const project = join(home.folder, "customers", "a-customer-with-a-long-name", "projects", "the-project");
    const title = "解析器を直す 🚀 and then a title that goes on for longer than a window is wide";
    home.runtime.store.write((sql) => {
      sessions.rename(sql, ids.dead, title);
      sql.run("UPDATE sessions SET project = ? WHERE id = ?", project, ids.dead);
    });
    const { out } = await home.shimWith({ size: () => ({ columns, rows: 10 }) }, "sessions");
    const lines = out.trimEnd().split("\n");
    expect(lines[0]).toContain("TITLE");
    const dead = lines.find((line) => line.startsWith("bbbb2222")) ?? "";
    expect(dead).toContain("解析器を直す 🚀 and");
    if (columns >= 100) expect(dead).toMatch(/(~\/\.\.\.\/(projects\/)?|\s)the-proj/);
    const at = textWidth(lines[0]?.split("TITLE")[0] ?? "");
    expect(textWidth(dead.split("解析")[0] ?? "")).toBe(at);
    for (const line of lines) expect(textWidth(line), line).toBeLessThanOrEqual(columns);
  },
);

function addTraces(home: CliHome): void {
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
}

it("`sessions show --stored` shows every row that is stored of a session, with its texts in full", async () => {
  const home = aSeededHome();
  addTraces(home);
  const long = "word ".repeat(1_000);
  const entries = [{ kind: "start", source: "startup" } as const, { kind: "prompt", text: "x" } as const];
  addSession(home, { id: ids.dead, pid: 200, entries });
  const body = JSON.stringify({ text: long });
  const set = "UPDATE journal SET body = ? WHERE session = ? AND key = 'k0'";
  home.runtime.store.write((sql) => sql.run(set, body, ids.dead));
  const ran = await home.json("sessions show --stored", ids.dead);
  const counts = { journal: 4, checkpoints: 1, snapshots: 1, signals: 1, crashes: 1, recoveries: 1, clients: 1 };
  const session = { id: ids.dead, title: "work of bbbb", toolCalls: 0, readings: { contextFill: { value: 0.8 } } };
  expect(ran).toMatchObject({ session });
  for (const [name, n] of Object.entries(counts)) expect([name, (ran[name] as unknown[]).length]).toEqual([name, n]);
  const others = ["killed", "offered", '"pid":200', '"contextFill":{"value":0.8'];
  expect((await home.shim("sessions show bbbb2 --stored")).out).toEqual(
    holding(ids.dead, long.trim(), "one test failed", "warning", "no space", ...others),
  );
});

it("`sessions show` gives one timeline of journal, signals, checkpoints, snapshots, crash and recovery in the order of time", async () => {
  const home = aSeededHome();
  addTraces(home);
  const ran = await home.json("sessions show", ids.dead);
  const entries = ran["timeline"] as { at: number; source: string; kind: string; text: string }[];
  expect(entries.map(({ at }) => at)).toEqual(entries.map(({ at }) => at).toSorted((a, b) => a - b));
  const journal = "journal:prompt journal:tool_start journal:tool_error journal:assistant checkpoint:on_demand";
  expect(entries.map(({ source, kind }) => `${source}:${kind}`)).toEqual(
    `${journal} crash:killed signal:warning snapshot:failed recovery:offered`.split(" "),
  );
  expect((await home.shimWith({ isTty: true }, "sessions show", ids.dead)).out).toEqual(
    holding(
      "tool failed: Bash npm test (1200 ms): one test failed",
      "risk 0.3 warning, context 80 % (measured), 1 tool calls",
      `offered to session ${ids.alive}, restore score`,
    ),
  );
});

it("every kind of journal entry has its words", () => {
  const entries: [JournalEntry | { kind: "later" }, string][] = [
    [{ kind: "start", source: "resume" }, "started (resume)"],
    [{ kind: "tool_start", id: "1", name: "Read", input: "a.ts" }, "tool began: Read a.ts"],
    [
      { kind: "tool_end", id: "1", name: "Edit", input: "a.ts", path: "/p/a.ts", action: "edited" },
      "tool ended: Edit a.ts [edited /p/a.ts]",
    ],
    [{ kind: "todos", todos: [{ text: "test", status: "pending" }] }, "tasks: test (pending)"],
    [{ kind: "todo", todo: { id: "2", text: "write", status: "completed" } }, "task 2: write, completed"],
    [{ kind: "todo_removed", id: "2" }, "task 2 removed"],
    [{ kind: "compacting", trigger: "auto" }, "compaction begins (auto)"],
    [{ kind: "compacted", summary: "so far" }, "compacted: so far"],
    [{ kind: "turn_end" }, "answer complete"],
    [{ kind: "subagent_end", text: "found" }, "subagent ended: found"],
    [{ kind: "failure", text: "rate_limit" }, "failed: rate_limit"],
    [{ kind: "detached", reason: "interrupted" }, "cut off (interrupted)"],
    [{ kind: "end", reason: "logout" }, "ended (logout)"],
    [{ kind: "later" }, "later"],
  ];
  // A newer program's kind is what the type does not know.
  for (const [entry, text] of entries) expect(describeEntry(entry as JournalEntry, 50)).toBe(text);
  expect(describeEntry({ kind: "prompt", text: "a\nb ".repeat(50) }, 20)).toBe("user: a b a b a b a b a...");
});

it("checkpoints are searched by words, session, project and time", async () => {
  const home = aSeededHome();
  const found = async (command: string, ...args: string[]): Promise<string[]> =>
    ((await home.json(command, ...args))["sessions"] as { id: string }[]).map(({ id }) => id).toSorted();
  expect((await home.json("sessions show bbbb2"))["checkpoints"]).toMatchObject([{ session: ids.dead }]);
  expect(await found("sessions search fix parser --session bbbb2")).toEqual([ids.dead]);
  expect(await found("sessions search parser --project", home.other)).toEqual([ids.elsewhere]);
  expect(await found("sessions search parser --since 30s")).toEqual([]);
  expect(await found("sessions search parser --since 2m --limit 1")).toHaveLength(1);
  expect(await found("sessions search parser --until 2m")).toEqual([]);
  expect((await home.shim("sessions search parser --session bbbb")).code).toBe(2);
  expect((await home.shim("sessions search nothing-like-it")).out).toBe('Nothing found for "nothing-like-it".\n');
  expect((await home.shim("sessions search tests failed --session bbbb2")).out).toBe(
    'Nothing found for "tests failed".\n',
  );
  expect((await home.shim("sessions search test failed")).out).toContain("one test failed");
  expect((await home.shim("sessions search parser")).out).toMatch(/^ {2}CHECKPOINT +SAVED +BECAUSE +LAST REQUEST\n/);
});

it("`sessions show` of a checkpoint prints the whole state, and says when it is damaged", async () => {
  const home = aSeededHome();
  const id = checkpointOf(home, ids.dead);
  const shown = await home.json("sessions show", id);
  const snapshot = { state: "pending" };
  expect(shown).toMatchObject({ checkpoint: { id }, state: { prompts: [{ text: "fix the parser" }] }, snapshot });
  const { out } = await home.shim("sessions show", id);
  expect(out).toContain('"text": "fix the parser"');
  expect(out).toContain("files: pending");
  home.runtime.store.write((sql) => sql.run("UPDATE checkpoints SET hash = 'x' WHERE id = ?", id));
  expect(await home.shim("sessions show", id, "--json")).toMatchObject({ code: 1, error: "checkpoint_damaged" });
});

it("commands that only read record no death", async () => {
  const home = aSeededHome();
  const deaths = (): unknown => home.runtime.store.read((sql) => sql.all("SELECT session, at FROM crashes"), null);
  const before = deaths();
  await home.codes(
    "sessions",
    `sessions show ${ids.dead}`,
    "up --once",
    `sessions show ${ids.dead} --stored`,
    "doctor",
  );
  expect(deaths()).toEqual(before);
});
