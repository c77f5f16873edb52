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

it("what needs the user comes first; within a group the longest wait, then the highest risk, then the newest", () => {
  const rows = [
    aRow({ id: "idle" }),
    aRow({ id: "works", state: "works" }),
    aRow({ id: "late", state: "works", seenAgeMs: 9_000 }),
    aRow({ id: "risky", state: "works", seenAgeMs: 9_000, risk: { score: 0.7, level: "warning", reasons: [] } }),
    aRow({ id: "died", state: "died" }),
    aRow({ id: "stuck", state: "stuck" }),
    aRow({ id: "ended", state: "ended" }),
    aRow({ id: "short", state: "waits", waitingMs: 1_000 }),
    aRow({ id: "long", state: "waits", waitingMs: 90_000 }),
  ];
  const order = toGroups({ rows, chats: [] }, "").map(({ name, rows: all }) => [name, all.map(({ id }) => id)]);
  expect(order).toEqual([
    ["waits", ["long", "short"]],
    ["died", ["died"]],
    ["stuck", ["stuck"]],
    ["works", ["risky", "works", "late"]],
    ["idle", ["idle"]],
    ["ended", ["ended"]],
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
  const found = toGroups({ rows: [], chats }, "").map(({ name, rows: [row] }) => [
    name,
    row?.title,
    row?.resumeCommand,
  ]);
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
    toGroups({ rows, chats: [] }, query).flatMap(({ rows: all }) => all.map(({ id }) => id));
  expect(found("parser SHOP")).toEqual(["a"]);
  expect(found("parser docs")).toEqual([]);
  expect(found("  ")).toEqual(["a", "b"]);
});
