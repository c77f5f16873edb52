import { expect, vi } from "vitest";
import { maxAnswerChars } from "#src/contract/protocol.ts";
import type { Connection, Message } from "./connection.ts";
import { it, stopClock, TestWorkspace } from "./support.ts";

interface Call {
  readonly method: string;
  readonly params: object;
}

function rpc({ method, params }: Call, id: number): object {
  return { jsonrpc: "2.0", id, method, params };
}

async function inOneFrame(connection: Connection, calls: readonly Call[]): Promise<Message[]> {
  connection.send(calls.map(rpc));
  return (await connection.next()) as unknown as Message[];
}

async function oneByOne(connection: Connection, calls: readonly Call[]): Promise<Message[]> {
  const answers: Message[] = [];
  for (const [id, call] of calls.entries()) {
    connection.send(rpc(call, id));
    answers.push(await connection.next());
  }
  return answers;
}

const tables = ["chats", "leases", "waiters", "lock_delays", "audit", "state", "changes", "idempotency"];

/** Without the token, which is another one in each workspace. */
async function rowsOf(workspace: TestWorkspace): Promise<object> {
  await workspace.rows("DELETE FROM audit WHERE kind = 'token.created'");
  const rows: Record<string, unknown> = {};
  for (const table of tables) rows[table] = await workspace.rows(`SELECT * FROM ${table}`);
  return rows;
}

/** Statements that the object runs while the work is done. */
async function statementsDuring(workspace: TestWorkspace, work: () => Promise<unknown>): Promise<number> {
  const count = await workspace.inside(({ storage: { sql } }) => vi.spyOn(sql, "exec"));
  await work();
  const { length } = count.mock.calls;
  count.mockRestore();
  return length;
}

const range = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at));
const tokenOf = ({ result }: Message): number => (result as { lease: { token: number } }).lease.token;

it("a frame of one operation leaves what its requests leave one by one", async () => {
  stopClock();
  const [together, apart] = [await TestWorkspace.create(), await TestWorkspace.create()];
  const [one, other] = [await together.join("c1"), await apart.join("c1")];
  const { self } = one;
  const both = async (calls: readonly Call[]): Promise<Message[]> => {
    const answers = await inOneFrame(one.connection, calls);
    expect(answers).toEqual(await oneByOne(other.connection, calls));
    expect(await rowsOf(together)).toEqual(await rowsOf(apart));
    return answers;
  };
  const names = range(100, (n) => (n % 3 === 0 ? `file:p/src/${n}` : `n${n}`));
  const acquire = names.map((resource, n) => ({
    method: "leases.acquire",
    params: { self, resource, requestId: `r${n}`, ...(n % 7 === 0 ? { isBound: true, lockDelayMs: 5 } : {}) },
  }));
  const tokens = (await both(acquire)).map(tokenOf);
  const held = names.map((resource, n) => ({ self, resource, token: tokens[n] }));
  await both(held.map((params) => ({ method: "leases.renew", params: { ...params, ttlMs: 90_000 } })));
  // All repeats, then one that is held.
  await both(acquire);
  await both(held.map((params) => ({ method: "leases.release", params })));
  await both(acquire.slice(0, 40).concat(acquire.slice(0, 2)));
  const keys = range(90, (n) => `k${n % 80}`);
  await both(keys.map((key, n) => ({ method: "state.set", params: { key, value: { n, text: 'ü"\\\u0000' } } })));
  await both(keys.map((key, n) => ({ method: "state.set", params: { key, value: n, requestId: `s${n}`, by: "c1" } })));
  await both(keys.map((key) => ({ method: "state.get", params: { key } })));
  await both(keys.map((key) => ({ method: "state.delete", params: { key, requestId: `d-${key}` } })).slice(0, 60));
  await both(keys.map((key, n) => ({ method: "state.set", params: { key, value: n, ifVersion: 0 } })));
});

it("a frame of one operation costs few statements", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  let answers: Message[] = [];
  const frame = (method: string, params: (at: number) => object): Promise<number> =>
    statementsDuring(workspace, async () => {
      answers = await inOneFrame(
        connection,
        range(100, (at) => ({ method, params: params(at) })),
      );
    });
  const costs = [await frame("leases.acquire", (at) => ({ self, resource: `n${at}`, requestId: "r" }))];
  const tokens = answers.map(tokenOf);
  for (const method of ["leases.renew", "leases.release"])
    costs.push(await frame(method, (at) => ({ self, resource: `n${at}`, token: tokens[at] })));
  costs.push(await frame("state.set", (at) => ({ key: `k${at}`, value: at, requestId: `r${at}` })));
  for (const method of ["state.get", "state.delete"]) costs.push(await frame(method, (at) => ({ key: `k${at}` })));
  expect(Math.max(...costs)).toBeLessThan(25);
});

it("an operation that fails in a frame of its kind is logged once, and keeps no other from its turn", async () => {
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  const workspace = await TestWorkspace.create();
  const connection = await workspace.connect();
  await workspace.failChangesOf("b");
  const sets = ["a", "b", "c"].map((key) => ({ method: "state.set", params: { key, value: 1 } }));
  expect(await inOneFrame(connection, sets)).toMatchObject([
    { result: { version: 1 } },
    { error: { data: { code: "internal" } } },
    { result: { version: 2 } },
  ]);
  expect(log).toHaveBeenCalledTimes(1);
});

it("in a frame of one operation no request runs after answers that are too long", async ({ workspace }) => {
  const connection = await workspace.connect();
  const value = "x".repeat(4_000);
  await connection.ask("state.set", { key: "long", value: "x".repeat(131_000) });
  await inOneFrame(
    connection,
    range(100, (n) => ({ method: "state.set", params: { key: `k${n}`, value } })),
  );
  const reads = (key: string, n: number): Call[] => range(n, () => ({ method: "state.get", params: { key } }));
  const sets = range(3, (n): Call => ({ method: "state.set", params: { key: `late${n}`, value: 1 } }));
  const answers = await inOneFrame(connection, [
    ...reads("long", 14),
    ...reads("k1", 10),
    ...sets.slice(0, 1),
    ...reads("k1", 60),
    ...sets,
  ]);
  const codes = answers.map(({ error }) => error?.data.code ?? "done");
  const firstRefused = codes.indexOf("too_large");
  expect(firstRefused).toBeGreaterThan(26);
  expect(new Set(codes.slice(firstRefused))).toEqual(new Set(["too_large"]));
  const before = answers.slice(0, firstRefused).reduce((sum, one) => sum + JSON.stringify(one).length, 0);
  expect(before).toBeGreaterThanOrEqual(maxAnswerChars);
  expect(before - JSON.stringify(answers[firstRefused - 1]).length).toBeLessThan(maxAnswerChars);
  expect(await connection.ask("state.get", { key: "late0" })).toMatchObject({ entry: { value: 1 } });
  expect(await connection.ask("state.get", { key: "late1" })).toEqual({ entry: null });
});
