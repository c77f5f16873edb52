import { expect, it, vi } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { all, reads, times, type Place } from "./costs.ts";
import { bindings, type Self } from "./support.ts";

async function take({ connection, self }: Place, resource: string, requestId = "first"): Promise<number> {
  const taken = await connection.ask("leases.acquire", { self, resource, requestId, ttlMs: 3_600_000 });
  return taken.state === "granted" ? taken.lease.token : 0;
}

/** So many requests of ten chats wait for what it says. */
function waiting(held: string, wanted: (at: number) => string) {
  return async (at: Place, count: number): Promise<void> => {
    await take(at, held);
    const chats: Self[] = [];
    for (let n = 0; n < 10; n++) chats.push(await at.workspace.register(`w${n}`));
    const calls = times(count, (n) => ({
      method: "leases.acquire" as const,
      params: { self: chats[n % 10] as Self, resource: wanted(n), requestId: `q${n}`, waitMs: 3_600_000 },
    }));
    await all(at, calls);
  };
}

const many = { maxWaitersPerChat: 1_000, maxWaitersPerResource: 1_000 };

it("[LE21] a name costs the same, however many wait for it: to release, to cancel, and to be refused; a new wait counts those before it", async () => {
  const found = await reads(
    waiting("x", () => "x"),
    {
      refused: async ({ connection, self }) => {
        expect(await connection.refusal("leases.acquire", { self, resource: "x", requestId: "r" })).toBe("lease_held");
      },
      wait: ({ connection, self }) =>
        connection.ask("leases.acquire", { self, resource: "x", requestId: "w", waitMs: 1_000 }),
      cancel: ({ connection, self }) => connection.ask("leases.cancel-wait", { self, resource: "x", requestId: "w" }),
      release: async (at) => {
        const { leases } = await at.workspace.ask("leases.list", {});
        const { self } = at;
        await at.connection.ask("leases.release", { self, resource: "x", token: leases[0]?.token ?? 0 });
      },
    },
    [20, 200],
    many,
  );
  for (const name of ["cancel", "release"]) expect([name, found[name]?.[1]]).toEqual([name, found[name]?.[0]]);
  for (const name of ["refused", "wait"]) {
    const [few = 0, more = 0] = found[name] ?? [];
    // The count of 180 more, of one chat, of all for the resource, and of all.
    expect(more - few).toBeLessThanOrEqual(5 * 180);
  }
});

async function releaseOf({ workspace, connection, self }: Place, prefix: string): Promise<void> {
  const [lease] = (await workspace.ask("leases.list", { prefix })).leases;
  const { resource = "", token = 0 } = lease ?? {};
  await connection.ask("leases.release", { self, resource, token });
}

it("[LE21] a path costs no more than in proportion to those who wait for paths of its project, and nothing for others", async () => {
  const [few, more] = [40, 160];
  const found = await reads(
    waiting("file:p/**", (at) => `file:p/d${at % 5}/f${at % 50}`),
    {
      release: (at) => releaseOf(at, "file:p/"),
      elsewhere: async (at) => {
        await take(at, "file:q/free");
        await releaseOf(at, "file:q/");
      },
    },
    [few, more],
    many,
  );
  const [one = 0, two = 0] = found["release"] ?? [];
  expect(two).toBeLessThanOrEqual(1.3 * (more / few) * one);
  expect(found["elsewhere"]?.[1]).toBe(found["elsewhere"]?.[0]);
});

/** Tasks of so many types, and some of one more. */
async function manyLanes({ workspace }: Place, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    await workspace.ask("tasks.submit", { tasks: times(100, (n) => ({ type: `t${from + n}`, priority: 1 })) });
  }
  await workspace.ask("tasks.submit", { tasks: times(3, () => ({ type: "own" })) });
}

function submitOwn({ workspace }: Place): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: [{ type: "own" }] });
}

it("[TA32] a claim that names its types costs the same however many partition keys there are", async () => {
  let asked = 0;
  const claim = (more: Partial<InputOf<"tasks.claim">>) => (at: Place) =>
    at.connection.ask("tasks.claim", { self: at.self, requestId: `q${(asked += 1)}`, ...more });
  const works = { "by type": claim({ types: ["own"] }), "of anything": claim({}) };
  const found = await reads(manyLanes, works, [100, 900]);
  expect(found["by type"]?.[1]).toBe(found["by type"]?.[0]);
  const [few = 0, more = 0] = found["of anything"] ?? [];
  expect(more - few).toBeLessThanOrEqual(6 * 800);
});

async function lanesAndTaker(at: Place, count: number): Promise<void> {
  await manyLanes(at, count);
  // What comes by the queue is no part of the submit.
  vi.spyOn(bindings.DISPATCH, "send").mockResolvedValue({
    metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
  });
  await at.workspace.join("taker", { taskTypes: ["*"], capacity: 3 });
}

it("[TA32] a submit costs the same however many partition keys there are", async () => {
  const { submitted = [] } = await reads(lanesAndTaker, { submitted: submitOwn }, [100, 900]);
  expect(submitted[1]).toBe(submitted[0]);
});

async function takersThatEnded({ workspace }: Place, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const self = await workspace.register(`t${n}`, { taskTypes: ["*"] });
    await workspace.ask("chats.unregister", { self });
  }
}

it("[QU6] a submit costs the same, however many chats that took tasks have ended", async () => {
  const { submitted = [] } = await reads(takersThatEnded, { submitted: submitOwn }, [2, 30]);
  expect(submitted[1]).toBe(submitted[0]);
});

async function manyOfOthers(at: Place, count: number): Promise<void> {
  const { self, workspace } = at;
  const other = await workspace.register("other");
  const leases = times(count, (n) => ({
    method: "leases.acquire" as const,
    params: { self: other, resource: `a${n}`, requestId: "r", ttlMs: 3_600_000 },
  }));
  const keys = times(count, (n) => ({ method: "state.set" as const, params: { key: `a${n}`, value: n } }));
  await all(at, [...leases, ...keys]);
  await take(at, "b");
  await workspace.ask("state.set", { key: "b", value: self.chat });
}

it("[LE15] [SV13] a list of what begins with a prefix, or of what one chat holds, costs the same however much others have", async () => {
  const found = await reads(
    manyOfOthers,
    {
      "leases by prefix": ({ workspace }) => workspace.ask("leases.list", { prefix: "b" }),
      "leases by holder": ({ workspace, self }) => workspace.ask("leases.list", { holder: self.chat }),
      "keys by prefix": ({ workspace }) => workspace.ask("state.list", { prefix: "b" }),
    },
    [50, 500],
  );
  for (const [name, [few, more]] of Object.entries(found)) expect([name, more]).toEqual([name, few]);
});
