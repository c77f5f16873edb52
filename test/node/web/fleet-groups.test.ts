import { expect, it } from "vitest";
import { shortIn } from "#src/web/format.ts";
import type { Chat } from "#src/contract/chats.ts";
import type { FleetRow } from "#src/contract/live-page.ts";
import { activityText, groupOf, toGroups } from "#src/web/fleet-groups.ts";

function aRow(more: Partial<FleetRow> = {}): FleetRow {
  return {
    id: "s1",
    shortId: "s1",
    title: null,
    state: "alive",
    activity: "idle",
    waiting: null,
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
    offer: null,
    resumeCommand: null,
    ...more,
  };
}

const waiting = { for: "permission", ageMs: 5_000 } as const;

it.each([
  ["waits", { waiting }],
  ["waits", { activity: "waiting" }],
  ["waits", { state: "busy", activity: null, progress: "waits for its user" }],
  ["died", { state: "incomplete", waiting }],
  ["died", { state: "offered" }],
  ["died", { state: "closed" }],
  ["died", { state: "unheard" }],
  ["stuck", { activity: "stuck" }],
  ["stuck", { state: "stuck", activity: null }],
  ["works", { activity: "busy" }],
  ["works", { state: "draining", activity: null }],
  ["idle", { activity: "idle" }],
  ["idle", { state: "idle", activity: null }],
  ["ended", { state: "finished", activity: null }],
  ["ended", { state: "offline", activity: null, progress: "waits for its user" }],
] as const)("[WP13] a chat is in the group %s: %o", (group, row) => {
  expect(groupOf(aRow(row))).toBe(group);
});

it("[WP13] what needs the user comes first; within a group the longest wait, then the highest risk, then the newest", () => {
  const rows = [
    aRow({ id: "idle" }),
    aRow({ id: "works", activity: "busy" }),
    aRow({ id: "late", activity: "busy", seenAgeMs: 9_000 }),
    aRow({ id: "risky", activity: "busy", seenAgeMs: 9_000, risk: { score: 0.7, level: "warning", reasons: [] } }),
    aRow({ id: "died", state: "incomplete" }),
    aRow({ id: "short", waiting: { for: "prompt", ageMs: 1_000 } }),
    aRow({ id: "long", waiting: { for: "dialog", ageMs: 90_000 } }),
  ];
  const order = toGroups({ rows, chats: [] }, "").map(({ name, rows: all }) => [name, all.map(({ id }) => id)]);
  expect(order).toEqual([
    ["waits", ["long", "short"]],
    ["died", ["died"]],
    ["works", ["risky", "works", "late"]],
    ["idle", ["idle"]],
  ]);
});

it("[WP19] a chat that the coordinator calls recoverable has died, with the command that continues it", () => {
  const chat = { chat: "c1", session: "s1", status: "offline", metadata: { title: "Payments" }, health: {} };
  const chats = [chat, { ...chat, chat: "c2", isRecoverable: true }] as unknown as readonly Chat[];
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

it("[WP13] the search keeps the chats that have all of its words, in any field and case", () => {
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

it.each([
  ["waits for your permission", { waiting }],
  ["waits for your next prompt", { waiting: { for: "prompt", ageMs: 0 } }],
  ["waits for you", { activity: "waiting" }],
  ["works", { activity: "busy" }],
  ["incomplete", { state: "incomplete", activity: null }],
  ["alive", { activity: null }],
] as const)("[WP13] a chat's activity is shown as %s", (text, row) => {
  expect(activityText(aRow(row))).toBe(text);
});

it("[CL78] the page shortens ids as the command does: at least 8 characters, and as many more as they need", () => {
  const ids = ["01a1fbb6-1111-7aaa", "01a1fbb6-1112-7bbb", "ses_018bcfe5-6800", "ffffffff-1", "s1", null];
  const short = shortIn(ids);
  expect(ids.flatMap((id) => (id === null ? [] : [short(id)]))).toEqual([
    "01a1fbb6-1111",
    "01a1fbb6-1112",
    "ses_018bcfe5",
    "ffffffff",
    "s1",
  ]);
});
