import { expect } from "vitest";
import type { Operation } from "#src/contract/operation.ts";
import { operationNames, operations } from "#src/contract/operations.ts";
import { effectOf } from "#src/durable/effects.ts";
import { Throttle } from "#src/durable/throttle.ts";
import type { Sql } from "#src/shared/sql.ts";
import { aChat, it, wait } from "./support.ts";

interface Part {
  readonly id: number;
  readonly error?: {
    readonly data: { readonly code: string; readonly retryAfterMs: number; readonly retryable: boolean };
  };
}

function frame(count: number, method: string, params: object): object[] {
  return Array.from({ length: count }, (_, id) => ({ jsonrpc: "2.0", id, method, params }));
}

const slow = { maxOperationsPerSecond: 10 };

it("operations of a token are bounded, not those of others or renewals", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  const connection = await workspace.connect(token);
  const self = { chat: "c1", incarnation: 1 };
  await workspace.join("c2");
  await connection.ask("chats.register", { chat: "c1", session: "s", process: "p", machine: "m1", client: "t" });
  const lease = await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  await workspace.ask("settings.set", { settings: slow });
  connection.send(frame(100, "state.get", { key: "k" }));
  const parts = (await connection.next()) as unknown as readonly Part[];
  const refused = parts.flatMap(({ error }) => (error ? [error.data] : []));
  expect(parts.length - refused.length).toBeLessThanOrEqual(30);
  expect(refused.length).toBeGreaterThan(0);
  for (const data of refused) expect(data).toMatchObject({ code: "throttled", retryable: true });
  const waitMs = Math.max(...refused.map(({ retryAfterMs }) => retryAfterMs));
  expect(waitMs).toBeGreaterThanOrEqual(100);
  const answer = await workspace.call("state.get", { key: "k" }, token);
  expect([answer.status, answer.error?.code]).toEqual([429, "throttled"]);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await workspace.refusal("state.get", { key: "k" })).toBeNull();
  // Its own share.
  expect(await connection.refusal("chats.heartbeat", { self })).toBeNull();
  const fencing = lease.state === "granted" ? lease.lease.token : 0;
  expect(await connection.refusal("leases.renew", { self, resource: "r", token: fencing })).toBeNull();
  expect(await connection.refusal("leases.release", { self, resource: "r", token: fencing })).toBeNull();
  wait(5_000);
  expect(await workspace.refusal("state.get", { key: "k" }, token)).toBeNull();
});

it("a request beyond a limit counts as eleven operations, one within its limits as one", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxLeasesPerChat: 1 } });
  const { token } = await workspace.tokenOf("work");
  const connection = await workspace.connect(token);
  const self = { chat: "c1", incarnation: 1 };
  await connection.ask("chats.register", { chat: "c1", session: "s", process: "p", machine: "m1", client: "t" });
  await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  await workspace.ask("settings.set", { settings: slow });
  const codes: (string | null)[] = [];
  for (let n = 0; n < 4; n++)
    codes.push(await connection.refusal("leases.acquire", { self, resource: `more${n}`, requestId: "q" }));
  // 30 at once, of which each takes eleven.
  expect(codes).toEqual(["quota_exceeded", "quota_exceeded", "quota_exceeded", "throttled"]);
});

it("a socket that a token opens counts as 20 operations", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: slow });
  const { token } = await workspace.tokenOf("observe");
  // Of 30 at once: the second one leaves 10 fewer than none.
  for (let n = 0; n < 2; n++) await workspace.connect(token);
  expect((await workspace.upgrade(token)).status).toBe(429);
  wait(1_000);
  expect((await workspace.upgrade(token)).status).toBe(429);
  wait(200);
  await workspace.connect(token);
});

it("a throttled client that continues is closed with 4006 and refused for a while", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: slow });
  const { token } = await workspace.tokenOf("observe");
  const connection = await workspace.connect(token);
  for (let times = 0; times < 20; times++) connection.send(frame(100, "settings.get", {}));
  expect((await connection.closed).code).toBe(4006);
  const refused = await workspace.upgrade(token);
  expect(refused.status).toBe(429);
  const { error } = await refused.json<{ error: { code: string; retryAfterMs: number } }>();
  expect(error.code).toBe("throttled");
  await workspace.connect();
  wait(error.retryAfterMs);
  await workspace.connect(token);
});

it("what an operation writes and answers counts, not only that it was asked", () => {
  const throttle = new Throttle();
  const take = (now: number): boolean => throttle.take("t", "usual", 100, now) === null;
  expect(take(0)).toBe(true);
  throttle.charge("t", "usual", { chars: 500_000, rows: 400, micros: 0 });
  // 300 less 1, less 200 for the characters, less 100 for the rows.
  expect(take(0)).toBe(false);
  expect(take(10)).toBe(false);
  expect(take(20)).toBe(true);
  // A clock that was set back takes nothing and gives nothing.
  expect(take(-1_000_000)).toBe(false);
});

it("what renewals cost is taken from their own share", () => {
  const throttle = new Throttle();
  const refuses = (share: "usual" | "keep"): boolean => throttle.take("t", share, 100, 0) !== null;
  expect(refuses("keep")).toBe(false);
  throttle.charge("t", "keep", { chars: 0, rows: 0, micros: 1_000_000 });
  expect([refuses("keep"), refuses("usual")]).toEqual([true, false]);
});

it("refusals count by what they cost; a frame with costly ones is throttled in its midst", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  const { connection: holder, self: other } = await workspace.join("holder");
  for (let n = 0; n < 90; n++)
    await holder.ask("leases.acquire", { self: other, resource: `file:p/${n}/**`, requestId: "q", ttlMs: 60_000 });
  const connection = await workspace.connect(token);
  const { incarnation } = await connection.ask("chats.register", aChat("c1"));
  const self = { chat: "c1", incarnation };
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 20, chatTtlMs: 600_000 } });
  /** Codes of a frame of which no request changes anything; the token has all its share. */
  const codesOf = async (method: string, params: object): Promise<Record<string, number>> => {
    wait(10_000);
    connection.send(frame(40, method, params));
    let parts: unknown = null;
    while (!Array.isArray(parts)) parts = await connection.next();
    const codes: Record<string, number> = {};
    for (const { error } of parts as readonly Part[])
      codes[error?.data.code ?? "ok"] = (codes[error?.data.code ?? "ok"] ?? 0) + 1;
    return codes;
  };
  expect(await codesOf("state.get", { key: "k" })).toEqual({ ok: 40 });
  const held = await codesOf("leases.acquire", { self, resource: "file:p/**", requestId: "r" });
  expect(held).toEqual({ lease_held: expect.any(Number) as number, throttled: expect.any(Number) as number });
});

it("over HTTP the body of a refused request counts", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  await workspace.ask("settings.set", { settings: slow });
  const refusalsOf = async (tasks: unknown): Promise<number> => {
    wait(10_000);
    for (let times = 0; ; times++)
      if ((await workspace.refusal("tasks.submit", { tasks } as never, token)) === "throttled") return times;
  };
  expect(await refusalsOf("x".repeat(10_000))).toBeLessThan(await refusalsOf("x"));
});

/** A workspace without rows. */
const empty: Sql = { all: () => [], run: () => 0 };

function updating(op: "set" | "delete"): string {
  const write = { op, key: "k", ...(op === "set" ? { value: 1 } : {}) };
  return effectOf("state.update", { writes: [write], guards: [] } as never, empty);
}

it("every operation has an effect on the storage", () => {
  for (const name of operationNames) {
    const { method, errors, example, input }: Operation = operations[name];
    const effect = effectOf(name, input.parse(example) as never, empty);
    if (method === "GET") expect([name, effect]).toEqual([name, "read"]);
    if (effect === "grow") expect([name, errors]).toEqual([name, expect.arrayContaining(["quota_exceeded"])]);
  }
  expect([updating("set"), updating("delete")]).toEqual(["grow", "free"]);
});

it("a frame that is done again without the request that was refused is charged once", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  const connection = await workspace.connect(token);
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 50 } });
  const reads = frame(99, "state.get", { key: "k" });
  connection.send([...reads, { jsonrpc: "2.0", id: 99, method: "tasks.get", params: { task: 1 } }]);
  const parts = (await connection.next()) as unknown as readonly Part[];
  expect(parts.filter(({ error }) => error).map(({ error }) => error?.data.code)).toEqual(["unknown_task"]);
  // Of 150 at once, 100 were used and few more for what the frame cost.
  connection.send(frame(30, "state.get", { key: "k" }));
  const next = (await connection.next()) as unknown as readonly Part[];
  expect(next.filter(({ error }) => error)).toEqual([]);
});
