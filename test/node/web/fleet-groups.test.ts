import { expect, it } from "vitest";
import type { Chat } from "#src/contract/chats.ts";
import type { FleetRow } from "#src/contract/machine/page.ts";
import { toGroups } from "#src/web/fleet-groups.ts";

function aRow(more: Partial<FleetRow> = {}): FleetRow {
  return {
    id: "s1",
    shortId: "s1",
    title: null,
    state: "idle",
    detail: null,
    waitingMs: null,
    client: "claude-code",
    machine: null,
    project: null,
    model: null,
    contextFill: null,
    risk: null,
    cause: null,
    causeDetail: null,
    seenAgeMs: 1_000,
    savedAgeMs: null,
    costUsdToday: null,
    taskCount: null,
    progress: null,
    resumeCommand: null,
    ...more,
  };
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
  const rows = [
    aRow({ id: "idle", project: "/work/shop" }),
    aRow({ id: "works", state: "works", project: "/work/shop" }),
    aRow({ id: "late", state: "works", seenAgeMs: 9_000, project: "/work/search" }),
    aRow({
      id: "risky",
      state: "works",
      seenAgeMs: 9_000,
      project: "/work/shop",
      risk: { score: 0.7, level: "warning", reasons: [] },
    }),
    aRow({ id: "none" }),
    aRow({ id: "far", machine: "laptop" }),
  ];
  const { projects } = toGroups({ rows, chats: [] }, "");
  expect(projects.map(({ project, machine, rows: all }) => [project ?? machine, ids(all)])).toEqual([
    ["/work/shop", ["risky", "works", "idle"]],
    ["/work/search", ["late"]],
    ["laptop", ["far"]],
    [null, ["none"]],
  ]);
});

it("a chat that the coordinator calls recoverable has died, with the command that continues it", () => {
  const chat = {
    chat: "c1",
    session: "s1",
    status: "offline",
    reason: null,
    progress: null,
    metadata: { title: "Payments" },
    health: {},
  };
  const chats = [chat, { ...chat, chat: "c2", isRecoverable: true }] as unknown as Chat[];
  const { needs, ended } = toGroups({ rows: [], chats }, "");
  const found = [...needs, ...ended].map(({ state, title, resumeCommand }) => [state, title, resumeCommand]);
  expect(found).toEqual([
    ["died", "Payments", "shim resume s1"],
    ["ended", "Payments", null],
  ]);
});

it("the search keeps the chats that have all of its words, in any field and case", () => {
  const rows = [
    aRow({ id: "a", title: "Fix the Parser", project: "/home/ann/shop" }),
    aRow({ id: "b", title: "Docs" }),
  ];
  const found = (query: string): string[] =>
    toGroups({ rows, chats: [] }, query).projects.flatMap((one) => ids(one.rows));
  expect(found("parser SHOP")).toEqual(["a"]);
  expect(found("parser docs")).toEqual([]);
  expect(found("  ")).toEqual(["a", "b"]);
});
