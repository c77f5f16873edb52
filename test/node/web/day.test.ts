import { expect, it } from "vitest";
import type { Day, FleetRow } from "#src/contract/machine/page.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { readDay } from "#src/machine/view/page-day.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import type { Chat } from "#src/contract/chats.ts";
import { toGroups } from "#src/web/fleet-groups.ts";
import { recordDeaths } from "#src/machine/recovery/incomplete/deaths.ts";

const minute = 60_000;
const id = "aaaa0000-0000-4000-8000-000000000001";

/** A chat whose entries came so many minutes before now. */
function aDay(...entries: readonly (readonly [minutesAgo: number, entry: JournalEntry])[]): CliHome {
  const home = aCliHome();
  const end = home.now;
  home.alive.add(7);
  home.now = end - 600 * minute;
  addSession(home, { id, pid: 7, title: "Payments", entries: [] });
  home.now = end;
  home.runtime.store.write((sql) => {
    entries.forEach(([ago, entry], at) => journal.append(sql, id, end - ago * minute, `d${at}`, entry));
    sessions.touch(sql, end, id);
  });
  return home;
}

function read(home: CliHome, hours = 24): Day {
  return home.runtime.store.read((sql) => readDay(sql, home.runtime, hours), {
    hours,
    lanes: [],
    scripts: 0,
    isAll: true,
  });
}

/** In minutes before now. */
function lane(home: CliHome, hours?: number): { spans: string[]; marks: string[]; state: string } {
  const [first] = read(home, hours).lanes;
  if (!first) throw new Error("no lane");
  const { state, spans, marks } = first;
  return {
    state,
    spans: spans.map(({ kind, fromMs, toMs }) => `${kind} ${fromMs / minute}-${toMs / minute}`),
    marks: marks.map(({ kind, ageMs }) => `${kind} ${ageMs / minute}`),
  };
}

const prompt = { kind: "prompt", text: "go on" } as const;
const turnEnd = { kind: "turn_end" } as const;

it("a chat works from a prompt to the end of its turn, and then waits for the next; a question of its client is a wait, too, and what began before the first hour is cut", () => {
  const { spans } = lane(aDay([90, prompt], [60, turnEnd], [40, prompt], [10, turnEnd]));
  expect(spans).toEqual(["works 90-60", "waits 60-40", "works 40-10", "waits 10-0"]);
  const home = aDay([90, prompt]);
  home.runtime.store.write((sql) =>
    journal.append(sql, id, home.now - 20 * minute, "asks", { kind: "asks", for: "permission" }),
  );
  expect(lane(home, 1).spans).toEqual(["works 60-20", "waits 20-0"]);
});

it("a death ends the lane, and it, a compaction and a hand-over are marks", () => {
  const home = aDay([90, prompt], [80, { kind: "compacted", summary: "" }], [70, turnEnd], [50, prompt]);
  home.runtime.store.write((sql) => {
    const end = home.now - 30 * minute;
    sql.run("UPDATE sessions SET lastSeenAt = ?, workedAt = ? WHERE id = ?", end, end, id);
    const note = { session: id, by: "bbbb", score: null };
    recoveries.add(sql, { ...note, at: home.now - 5 * minute, action: "taken" });
    recoveries.add(sql, { ...note, at: home.now - 4 * minute, action: "recovered" });
  });
  home.alive.delete(7);
  recordDeaths(home.runtime, () => true);
  expect(lane(home)).toEqual({
    state: "ended",
    spans: ["works 90-70", "waits 70-50", "works 50-30"],
    marks: ["compacted 80", "died 30", "continued 5"],
  });
});

it("there are at most 60 lanes, of the chats that were active last, and of the hours that were asked for", () => {
  const home = aCliHome();
  for (let at = 0; at < 61; at++) {
    home.now += minute;
    addSession(home, { id: `cccc00${String(at).padStart(2, "0")}-0000-4000-8000-000000000001`, title: `Chat ${at}` });
  }
  const day = read(home);
  expect([day.lanes.length, day.isAll, day.lanes[0]?.title]).toEqual([60, false, "Chat 60"]);
  expect(read(home, 1)).toMatchObject({ isAll: false });
  home.now += 30 * minute;
  expect(read(home, 1).lanes).toHaveLength(31);
});

function aRow(more: Partial<FleetRow> = {}): FleetRow {
  const none = { title: null, waitingMs: null, machine: null, project: null, risk: null };
  return { ...none, id: "s1", state: "idle", seenAgeMs: 1_000, ...more } as FleetRow;
}

const ids = (rows: readonly FleetRow[]): string[] => rows.map(({ id }) => id);

it("what needs the user is apart: first who waits, the longest first, then who died, then who is stuck", () => {
  const rows = [
    aRow({ id: "idle" }),
    aRow({ id: "died", state: "died" }),
    aRow({ id: "stuck", state: "stuck" }),
    aRow({ id: "ended", state: "ended" }),
    aRow({ id: "short", state: "waits", waitingMs: 1_000 }),
    aRow({ id: "long", state: "waits", waitingMs: 90_000 }),
  ];
  const { needs, projects, ended } = toGroups({ rows, chats: [] }, "");
  expect(ids(needs)).toEqual(["long", "short", "died", "stuck"]);
  expect(projects.flatMap((one) => ids(one.rows))).toEqual(["idle"]);
  expect(ids(ended)).toEqual(["ended"]);
});

it("the rest is grouped by project; in each, work comes first, then the highest risk, then the newest", () => {
  const risk = { score: 0.7, level: "warning", reasons: [] } as const;
  const rows = [
    aRow({ id: "idle", project: "/work/shop" }),
    aRow({ id: "works", state: "works", project: "/work/shop" }),
    aRow({ id: "late", state: "works", seenAgeMs: 9_000, project: "/work/search" }),
    aRow({ id: "risky", state: "works", seenAgeMs: 9_000, project: "/work/shop", risk }),
    aRow({ id: "none" }),
    aRow({ id: "far", machine: "laptop" }),
  ];
  const { projects } = toGroups({ rows, chats: [] }, "");
  const found = projects.map(({ project, machine, rows: all }) => `${project ?? machine}: ${ids(all).join(" ")}`);
  expect(found).toEqual(["/work/shop: risky works idle", "/work/search: late", "laptop: far", "null: none"]);
});

it("a chat that the coordinator calls recoverable has died, with the command that continues it", () => {
  const about = { session: "s1", status: "offline", reason: null, progress: null, health: {} };
  const chat = { ...about, chat: "c1", metadata: { title: "Payments" } };
  const chats = [chat, { ...chat, chat: "c2", isRecoverable: true }] as unknown as Chat[];
  const { needs, ended } = toGroups({ rows: [], chats }, "");
  const found = [...needs, ...ended].map(({ state, title, resumeCommand }) => `${state} ${title}: ${resumeCommand}`);
  expect(found).toEqual(["died Payments: shim resume s1", "ended Payments: null"]);
});

it("the search keeps the chats that have all of its words, in any field and case", () => {
  const other = aRow({ id: "b", title: "Docs" });
  const rows = [aRow({ id: "a", title: "Fix the Parser", project: "/home/ann/shop" }), other];
  const found = (query: string): string[] =>
    toGroups({ rows, chats: [] }, query).projects.flatMap((one) => ids(one.rows));
  expect(found("parser SHOP")).toEqual(["a"]);
  expect(found("parser docs")).toEqual([]);
  expect(found("  ")).toEqual(["a", "b"]);
});
