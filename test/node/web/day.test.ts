import { expect, it } from "vitest";
import type { Day } from "#src/contract/machine/page.ts";
import type { JournalEntry } from "#src/contract/journal.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as recoveries from "#src/machine/sessions/recoveries.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { readDay } from "#src/machine/operations/page-day.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";

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
  return home.runtime.store.read((sql) => readDay(sql, home.runtime, hours), { hours, lanes: [], isAll: true });
}

function lane(home: CliHome, hours?: number): { spans: unknown[]; marks: unknown[]; state: string } {
  const [first] = read(home, hours).lanes;
  if (!first) throw new Error("no lane");
  const { state, spans, marks } = first;
  return {
    state,
    spans: spans.map(({ kind, fromMs, toMs }) => [kind, fromMs / minute, toMs / minute]),
    marks: marks.map(({ kind, ageMs }) => [kind, ageMs / minute]),
  };
}

const prompt = { kind: "prompt", text: "go on" } as const;
const turnEnd = { kind: "turn_end" } as const;

it("a chat works from a prompt to the end of its turn, and then waits for the next", () => {
  const home = aDay([90, prompt], [60, turnEnd], [40, prompt], [10, turnEnd]);
  expect(lane(home).spans).toEqual([
    ["works", 90, 60],
    ["waits", 60, 40],
    ["works", 40, 10],
    ["waits", 10, 0],
  ]);
});

it("a question of its client is a wait, and what began before the first hour is cut", () => {
  const home = aDay([90, prompt]);
  const since = home.now - 20 * minute;
  home.runtime.store.write((sql) => sessions.setWaiting(sql, id, { for: "permission", since }));
  expect(lane(home, 1).spans).toEqual([
    ["works", 60, 20],
    ["waits", 20, 0],
  ]);
});

it("a death ends the lane, and it, a compaction and a hand-over are marks", () => {
  const home = aDay([90, prompt], [80, { kind: "compacted", summary: "" }], [70, turnEnd], [50, prompt]);
  home.runtime.store.write((sql) => {
    sql.run(
      "UPDATE sessions SET lastSeenAt = ?, workedAt = ? WHERE id = ?",
      home.now - 30 * minute,
      home.now - 30 * minute,
      id,
    );
    const note = { session: id, by: "bbbb", score: null };
    recoveries.add(sql, { ...note, at: home.now - 5 * minute, action: "taken" });
    recoveries.add(sql, { ...note, at: home.now - 4 * minute, action: "recovered" });
  });
  home.alive.delete(7);
  expect(lane(home)).toEqual({
    state: "died",
    spans: [
      ["works", 90, 70],
      ["waits", 70, 50],
      ["works", 50, 30],
    ],
    marks: [
      ["compacted", 80],
      ["died", 30],
      ["continued", 5],
    ],
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
