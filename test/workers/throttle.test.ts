import { expect } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { Operation } from "#src/contract/operation.ts";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import type { ChatCoordinator } from "#src/durable/chat-coordinator.ts";
import { effectOf, keepsWork, LoadShedder } from "#src/durable/load-limits.ts";
import type { Result } from "#src/shared/result.ts";
import { errorResponse } from "#src/worker/inputs.ts";
import * as tokens from "#src/worker/tokens.ts";
import type { Message } from "./connection.ts";
import { aChat, it, type TestWorkspace, wait } from "./support.ts";

function frame(count: number, method: string, params: object): object[] {
  return Array.from({ length: count }, (_, id) => ({ jsonrpc: "2.0", id, method, params }));
}

const slow = { maxOperationsPerSecond: 10 };

it("operations of a token are bounded, not those of others or renewals", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  const connection = await workspace.connect(token);
  const { incarnation } = await connection.ask("chats.register", aChat("c1"));
  const self = { chat: "c1", incarnation };
  const lease = await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  await workspace.ask("settings.set", { settings: slow });
  connection.send(frame(100, "state.get", { key: "k" }));
  const parts = (await connection.next()) as unknown as readonly Message[];
  const refused = parts.flatMap(({ error }) => (error ? [error.data] : []));
  expect(parts.length - refused.length).toBeLessThanOrEqual(30);
  for (const data of refused) expect(data).toMatchObject({ code: "throttled", retryable: true });
  const answer = await workspace.call("state.get", { key: "k" }, token);
  expect([answer.status, answer.error?.code]).toEqual([429, "throttled"]);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await workspace.refusal("state.get", { key: "k" })).toBeNull();
  // Its own share.
  const held = { self, resource: "r", token: lease.state === "granted" ? lease.lease.token : 0 };
  expect(await connection.refusal("chats.heartbeat", { self })).toBeNull();
  expect(await connection.refusal("leases.renew", held)).toBeNull();
  expect(await connection.refusal("leases.release", held)).toBeNull();
  wait(5_000);
  expect(await workspace.refusal("state.get", { key: "k" }, token)).toBeNull();
});

it("a throttled client that continues is closed with 4006 and refused for a while", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: slow });
  const { token } = await workspace.tokenOf("observe");
  const connection = await workspace.connect(token);
  for (let times = 0; times < 20; times++) connection.send(frame(100, "settings.get", {}));
  expect((await connection.closed).code).toBe(4006);
  const refused = await workspace.upgrade(token);
  const { error } = await refused.json<{ error: { code: string; retryAfterMs: number } }>();
  expect([refused.status, error.code]).toEqual([429, "throttled"]);
  await workspace.connect();
  wait(error.retryAfterMs);
  await workspace.connect(token);
});

it("a read has no effect on the storage, and an operation that makes it grow may be refused for it", () => {
  const empty = { all: () => [], run: () => 0 };
  for (const name of operationNames) {
    const { method, errors, example, input }: Operation = operations[name];
    const effect = effectOf(name, input.parse(example) as never, empty);
    if (method === "GET") expect([name, effect]).toEqual([name, "read"]);
    if (effect === "grow") expect([name, errors]).toEqual([name, expect.arrayContaining(["quota_exceeded"])]);
  }
  const updating = (write: object) => effectOf("state.update", { writes: [write], guards: [] } as never, empty);
  expect([updating({ op: "set", key: "k", value: 1 }), updating({ op: "delete", key: "k" })]).toEqual(["grow", "free"]);
});

function refusedAfter(waitMs: number): OperationName[] {
  const load = new LoadShedder();
  load.beginEvent(waitMs);
  return operationNames.filter((name) => load.refuse(name));
}

it("first what adds and can come later is refused, then the rest, never what keeps or ends work", () => {
  expect(refusedAfter(999)).toEqual([]);
  const first = refusedAfter(1_000);
  expect(first).toEqual(expect.arrayContaining(["tasks.submit", "plans.submit", "messages.send", "sync.put"]));
  for (const name of first) expect([name, operations[name].method]).not.toEqual([name, "GET"]);
  const all = refusedAfter(4_000);
  expect(all).toEqual(expect.arrayContaining([...first, "state.get", "tasks.claim", "leases.acquire", "health"]));
  expect(refusedAfter(1e9)).toEqual(all);
  for (const name of operationNames.filter(keepsWork)) expect(all).not.toContain(name);
  for (const name of ["flow.read", "tokens.revoke", "settings.set"]) expect(all).not.toContain(name);
});

interface Asked {
  readonly name: OperationName;
  readonly input: object;
}

/** Asks all while a write is being committed, so that they are one event; null: done. */
async function askTogether(workspace: TestWorkspace, asked: readonly Asked[], waitMs = 0): Promise<(Refusal | null)[]> {
  const credentials = { id: workspace.tokenId, hash: await tokens.hashOf(workspace.token) };
  return workspace.inside(async (_state, object: ChatCoordinator) => {
    void object.call(credentials, "state.set", { key: "first", value: 1 });
    const answers = asked.map(async ({ name, input }): Promise<Result<string, Refusal>> =>
      object.call(credentials, name, input),
    );
    wait(waitMs);
    return (await Promise.all(answers)).map((answer) => (answer.ok ? null : answer.error));
  });
}

function submit(payload: number): Asked {
  return { name: "tasks.submit", input: { tasks: [{ type: "crowd", payload }] } };
}

it("in a crowd submits above the bound are refused; acks, heartbeats and reads are done", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 100_000 } });
  const self = await workspace.register("c1", { capacity: 5 });
  await workspace.ask("tasks.submit", { tasks: [{ type: "t", payload: 1 }] });
  const [held] = (await workspace.ask("tasks.claim", { self, requestId: "q", limit: 1 })).claims;
  const last: Asked[] = [
    { name: "state.get", input: { key: "first" } },
    { name: "chats.heartbeat", input: { self, progress: "half" } },
    { name: "tasks.ack", input: { self, task: held?.task, claim: held?.claim, result: 1 } },
  ];
  const crowd = Array.from({ length: 12_000 }, (_, n) => submit(n));
  const codes = (await askTogether(workspace, [...crowd, ...last])).map((refusal) => refusal?.code ?? "ok");
  const accepted = codes.indexOf("overloaded");
  expect(accepted).toBeGreaterThan(4_000);
  expect(accepted).toBeLessThan(10_000);
  const refused = Array.from({ length: 12_000 - accepted }, () => "overloaded");
  expect(codes.slice(accepted)).toEqual([...refused, "ok", "ok", "ok"]);
  const rows = await workspace.rows("SELECT count(*) AS count FROM tasks WHERE type = 'crowd'");
  expect(rows).toEqual([{ count: accepted }]);
  // Nothing has to happen before it accepts again; what has waited for long is refused.
  expect(await askTogether(workspace, [submit(1)])).toEqual([null]);
  const claim: Asked = { name: "tasks.claim", input: { self, requestId: "late", limit: 1 } };
  const [late, ...others] = await askTogether(workspace, [submit(1), claim, ...last.slice(1, 2)], 1_100);
  expect(others).toEqual([null, null]);
  const response = late ? errorResponse(late) : null;
  expect([response?.status, response?.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(await askTogether(workspace, [claim, ...last.slice(1, 2)], 4_000)).toMatchObject([
    { code: "overloaded" },
    null,
  ]);
});
