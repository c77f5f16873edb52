import * as fc from "fast-check";
import { expect } from "vitest";
import type { Rows } from "#src/contract/workspaces.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, refusal, set, toAll, Peer } from "#harness/coordinator/peers.ts";
import { stateOf, submit, submitOne } from "#harness/coordinator/tasks.ts";
import { minute } from "#harness/coordinator/times.ts";
import { get } from "#harness/coordinator/views.ts";
import { Device, session } from "#harness/sync/sealed-content.ts";
import { envelopes } from "#harness/sync/sealed-views.ts";
import { it } from "./rule-test.ts";

async function freeze(host: RuleHost, ms = 10 * minute): Promise<number> {
  return (await ask(host, "workspace.freeze", { ms })).freeze;
}

async function exported(host: RuleHost): Promise<Rows[]> {
  const number = await freeze(host);
  const pages: Rows[] = [];
  for (let after: string | undefined = undefined; ;) {
    const { page, next }: { page: Rows; next: string | null } = await ask(host, "workspace.export", {
      freeze: number,
      ...(after === undefined ? {} : { after }),
    });
    pages.push(page);
    if (next === null) return pages;
    after = next;
  }
}

function countsOf(pages: readonly Rows[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { table, rows } of pages) counts[table] = (counts[table] ?? 0) + rows.length;
  return counts;
}

async function imported(host: RuleHost, pages: readonly Rows[]): Promise<number> {
  let { next } = await ask(host, "workspace.import", { id: "one", part: 0 });
  for (const page of pages) ({ next } = await ask(host, "workspace.import", { id: "one", part: next, page }));
  const counts = countsOf(pages);
  const { epoch } = await ask(host, "workspace.import", { id: "one", part: next, counts, quietMs: 0 });
  return epoch ?? 0;
}

/** Rows by table, but for what an import adds or ends. */
function stored(pages: readonly Rows[]): Record<string, unknown[]> {
  const tables: Record<string, unknown[]> = {};
  for (const { table, columns, rows } of pages)
    if (!["meta", "audit", "metric_totals", "waiters"].includes(table))
      tables[table] = [...(tables[table] ?? [columns]), ...rows];
  return tables;
}

/** Some of everything. @returns a claimed task and a lease */
async function fill(host: RuleHost) {
  const a = await Peer.join(host, "a");
  const c = await Peer.join(host, "c");
  await c.subscribe("news.*");
  await c.send(toAll, { text: "a ' and ✓" });
  await set(host, "plan", { steps: ["one", 2, null] });
  const [first] = await submit(host, { type: "build", payload: "x".repeat(5_000) }, { type: "test", dedupeKey: "d" });
  await submitOne(host, { type: "late", dependsOn: [first] });
  await a.take();
  const lease = await a.hold("file:p/a");
  await new Device(host).put(session("s1"));
  return { lease, first };
}

it("a frozen workspace answers reads and refuses writes until its time or its admin thaws it", async ({ host }) => {
  await set(host, "k", 1);
  const number = await freeze(host, minute);
  const self = { chat: "c", incarnation: 1 };
  const why = await refusal(host, "state.set", { key: "k", value: 2 });
  expect(why).toMatchObject({ code: "frozen", retryAfterMs: minute });
  expect((await refusal(host, "tasks.submit", { tasks: [{ type: "build" }] })).code).toBe("frozen");
  expect((await refusal(host, "chats.heartbeat", { self })).code).toBe("unknown_chat");
  expect(await get(host, "k")).toMatchObject({ value: 1 });
  expect(await freeze(host, 2 * minute)).toBe(number);
  expect(await ask(host, "workspace.freeze", { ms: 1 })).toEqual({ freeze: number, remainingMs: 2 * minute });
  host.wait(minute);
  expect((await refusal(host, "state.set", { key: "k", value: 2 })).code).toBe("frozen");
  host.wait(minute);
  await set(host, "k", 2);
  expect(await freeze(host, minute)).toBeGreaterThan(number);
  await freeze(host, 0);
  await set(host, "k", 3);
  const { entries } = await ask(host, "audit.list", { kind: "workspace.unfrozen" });
  expect(entries).toHaveLength(1);
});

it("nothing is swept while it is frozen, nor in the minute after", async ({ host }) => {
  await set(host, "short", 1, { ttlMs: 1_000 });
  await freeze(host, 2 * minute);
  const thawed = host.now() + 2 * minute;
  expect(await host.ring()).toBe(thawed + minute);
  host.wait(3 * minute - 1);
  expect(await host.ring()).toBe(thawed + minute);
  host.wait(1);
  expect(await host.ring()).toBeGreaterThan(host.now());
});

it("an import has every row of the export, and a later epoch", async ({ host, open }) => {
  const { lease, first } = await fill(host);
  const pages = await exported(host);
  const other = await open();
  const before = await ask(other, "state.changes", { after: 0 });
  expect(before.changes).toEqual([]);
  const epoch = await imported(other, pages);
  await freeze(host, 0);
  expect(stored(await exported(other))).toEqual(stored(pages));
  await freeze(other, 0);
  expect(await get(other, "plan")).toMatchObject({ value: { steps: ["one", 2, null] } });
  expect(await envelopes(other)).toEqual(["of-s1"]);
  expect(await stateOf(other, first)).toBe("running");
  const b = await Peer.join(other, "b");
  const { token } = await b.hold("file:p/b");
  expect(token).toBeGreaterThan(lease.token);
  const [task] = await submit(other, { type: "build" });
  expect(task).toBeGreaterThan(first);
  expect(epoch).toBeGreaterThan(0);
});

it("pages of long rows are short, and a page needs the freeze of its export", async ({ host }) => {
  for (let at = 0; at < 8; at++) await set(host, `k${at}`, "x".repeat(130_000));
  const pages = await exported(host);
  const entries = pages.filter(({ table }) => table === "state");
  expect(entries.map(({ rows }) => rows.length)).toEqual([4, 4, 0]);
  const number = await freeze(host);
  expect((await refusal(host, "workspace.export", { freeze: number + 1 })).code).toBe("not_frozen");
  expect((await refusal(host, "workspace.export", { freeze: number, after: "x" })).code).toBe("bad_input");
  await freeze(host, 0);
  expect((await refusal(host, "workspace.export", { freeze: number })).code).toBe("not_frozen");
});

it("an import goes on where it was, takes a part once, and is read only until whole", async ({ host, open }) => {
  await fill(host);
  const pages = await exported(host);
  const other = await open();
  const part = (number: number, page?: Rows) =>
    ask(other, "workspace.import", { id: "one", part: number, ...(page ? { page } : {}) });
  expect((await refusal(other, "workspace.import", { id: "one", part: 1 })).code).toBe("bad_input");
  expect(await part(0)).toEqual({ next: 1, epoch: null });
  expect(await part(1, pages[0])).toEqual({ next: 2, epoch: null });
  expect(await part(1, pages[0])).toEqual({ next: 2, epoch: null });
  expect(await part(0)).toEqual({ next: 2, epoch: null });
  expect((await refusal(other, "workspace.import", { id: "one", part: 3, page: pages[2] })).code).toBe("bad_input");
  expect((await refusal(other, "workspace.freeze", { ms: 0 })).code).toBe("frozen");
  expect((await refusal(other, "state.set", { key: "k", value: 1 })).code).toBe("frozen");
  expect((await refusal(other, "sync.status", {})).code).toBe("frozen");
  for (const [at, page] of pages.entries()) if (at > 0) await part(at + 1, page);
  const end = { id: "one", part: pages.length + 1, quietMs: 0 };
  const short = await refusal(other, "workspace.import", { ...end, counts: { ...countsOf(pages), tasks: 1 } });
  expect(short).toMatchObject({ code: "bad_input", message: expect.stringContaining("tasks has 3 rows here and 1") });
  expect((await refusal(other, "state.set", { key: "k", value: 1 })).code).toBe("frozen");
  expect((await ask(other, "workspace.import", { ...end, counts: countsOf(pages) })).epoch).toBeGreaterThan(0);
  await set(other, "k", 1);
});

it("a workspace in use and unknown rows are refused; a second import begins anew", async ({ host }) => {
  const inUse = async () => (await refusal(host, "workspace.import", { id: "one", part: 0 })).message;
  await set(host, "k", 1);
  expect(await inUse()).toContain("this workspace has state:");
  await ask(host, "state.delete", { key: "k" });
  await ask(host, "workspace.import", { id: "one", part: 0 });
  const try1 = (page: Rows) => refusal(host, "workspace.import", { id: "one", part: 1, page });
  expect((await try1({ table: "nothing", columns: ["a"], rows: [] })).message).toContain("unknown here");
  expect((await try1({ table: "state", columns: ["a"], rows: [] })).message).toContain("a column, a, of state");
  expect((await try1({ table: "state", columns: ["key"], rows: [[1]] })).message).toContain("cannot be stored");
  expect(await ask(host, "workspace.import", { id: "two", part: 0 })).toEqual({ next: 1, epoch: null });
});

const hostile = ["", "{", "[]", "null", '{"a":[1]}', "x", -1, 1.5, 2 ** 53 - 1, 0, null];

/** What people and chats ask for at once; none may fail. */
async function expectToWork(host: RuleHost): Promise<void> {
  for (const [name, input] of [
    ["settings.get", {}],
    ["chats.list", {}],
    ["tasks.list", {}],
    ["tasks.stats", {}],
    ["state.list", {}],
    ["state.changes", { after: 0 }],
    ["messages.list", {}],
    ["audit.list", {}],
    ["budgets.get", {}],
    ["metrics", {}],
  ] as const)
    await host.call(name, input, { machine: "m1", isAdmin: true });
  const fresh = await Peer.join(host, "fresh");
  await fresh.claim({ limit: 5 });
  await set(host, "after", 1);
  await host.ring();
}

it("an import of a row that no workspace has stored is refused with its line, goes on, and leaves none that fails", async ({
  host,
  open,
}) => {
  await fill(host);
  const pages = await exported(host);
  const cells = pages.flatMap(({ table, columns, rows }, page) =>
    rows.slice(0, 2).flatMap((_, row) => columns.map((column, at) => ({ name: `${table}.${column}`, page, row, at }))),
  );
  const refused = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...cells), fc.constantFrom(...hostile), async ({ name, page, row, at }, value) => {
      const changed = structuredClone(pages[page]) as Rows;
      (changed.rows[row] ?? [])[at] = value;
      const other = await open();
      const part = page + 1;
      await ask(other, "workspace.import", { id: "one", part: 0 });
      for (const [nth, whole] of pages.slice(0, page).entries())
        await ask(other, "workspace.import", { id: "one", part: nth + 1, page: whole });
      const admin = { machine: "m1", isAdmin: true };
      const taken = await other.call("workspace.import", { id: "one", part, page: changed }, admin);
      if (!taken.ok) {
        refused.add(name);
        expect(taken.error.message).toContain(`line ${part + 1} of the export: row ${row + 1}, of `);
        await ask(other, "workspace.import", { id: "one", part, page: pages[page] });
      }
      for (const [nth, whole] of pages.slice(part).entries())
        await ask(other, "workspace.import", { id: "one", part: part + nth + 1, page: whole });
      const counts = countsOf(pages);
      const end = { id: "one", part: pages.length + 1, counts, quietMs: 0 };
      const { ok: isWhole } = await other.call("workspace.import", end, admin);
      if (isWhole && taken.ok) await expectToWork(other);
    }),
    { numRuns: 60, seed: 77, endOnFailure: true },
  );
  expect(refused.size).toBeGreaterThan(20);
});
