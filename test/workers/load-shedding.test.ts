import { expect } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import { operationNames, operations, type InputOf, type OperationName } from "#src/contract/operations.ts";
import type { ChatCoordinator } from "#src/durable/chat-coordinator.ts";
import { keepsWork } from "#src/durable/effects.ts";
import { LoadShedder } from "#src/durable/load-shedding.ts";
import type { Result } from "#src/shared/result.ts";
import { errorResponse } from "#src/worker/error-response.ts";
import * as tokens from "#src/worker/tokens.ts";
import { it, type Self, type TestWorkspace, wait } from "./support.ts";

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
  expect(refusedAfter(3_999)).toEqual(first);
  const all = refusedAfter(4_000);
  expect(all).toEqual(expect.arrayContaining([...first, "state.get", "tasks.claim", "leases.acquire"]));
  expect(refusedAfter(1e9)).toEqual(all);
  for (const name of operationNames.filter(keepsWork)) expect(all).not.toContain(name);
  for (const name of ["flow.read", "tokens.revoke", "settings.set", "health"] as const)
    expect([name, all.includes(name as OperationName)]).toEqual([name, name === "health"]);
});

it("work that was done in the event counts as a wait, and only in this event", () => {
  const load = new LoadShedder();
  load.beginEvent(0);
  load.add({ requests: 4_000, chars: 5_000_000, rows: 64_000 - 160, micros: 0 });
  expect(load.refuse("tasks.submit")).toBeNull();
  load.add({ requests: 0, chars: 0, rows: 160, micros: 0 });
  const refused = Array.from({ length: 3 }, () => load.refuse("tasks.submit"));
  expect(refused).toMatchObject([1_001, 1_002, 1_003].map((retryAfterMs) => ({ code: "overloaded", retryAfterMs })));
  for (let times = 0; times < 20_000; times++) load.refuse("tasks.submit");
  expect(load.refuse("tasks.submit")?.retryAfterMs).toBe(10_000);
  load.beginEvent(0);
  expect(load.refuse("tasks.submit")).toBeNull();
});

interface Asked {
  readonly name: OperationName;
  readonly input: object;
}
type Answers = readonly Result<string, Refusal>[];

/** Asks all while an event is under way or a write is being committed, so that they are one event. */
async function askTogether(workspace: TestWorkspace, asked: readonly Asked[], waitMs = 0): Promise<Answers> {
  const credentials = { id: workspace.tokenId, hash: await tokens.hashOf(workspace.token) };
  return workspace.inside(async (_state, object: ChatCoordinator) => {
    void object.call(credentials, "state.set", { key: "first", value: 1 });
    const answers = asked.map(async ({ name, input }) => object.call(credentials, name, input));
    wait(waitMs);
    return Promise.all(answers);
  });
}

function codesOf(answers: Answers): (string | null)[] {
  return answers.map((answer) => (answer.ok ? null : answer.error.code));
}

async function aTeam(workspace: TestWorkspace): Promise<{ self: Self; claim: { task: number; claim: number } }> {
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 100_000 } });
  const self = await workspace.register("c1", { capacity: 5 });
  await workspace.ask("tasks.submit", { tasks: [{ type: "t", payload: 1 }] });
  const { claims } = await workspace.ask("tasks.claim", { self, requestId: "q", limit: 1 });
  const [claim] = claims;
  if (!claim) throw new Error("no task came");
  return { self, claim: { task: claim.task, claim: claim.claim } };
}

it("requests over HTTP that wait together are one event, in their order", async ({ workspace }) => {
  const writes = [1, 2, 3].map((value): Asked => ({ name: "state.set", input: { key: "k", value } }));
  expect(codesOf(await askTogether(workspace, writes))).toEqual([null, null, null]);
  expect(await workspace.ask("state.get", { key: "k" })).toMatchObject({ entry: { value: 3 } });
});

it("of a crowd's submits those above the bound are refused and not done, its acks and reads are done", async ({
  workspace,
}) => {
  const { self, claim } = await aTeam(workspace);
  const submits = Array.from({ length: 12_000 }, (_, n): Asked => ({
    name: "tasks.submit",
    input: { tasks: [{ type: "crowd", payload: n }] },
  }));
  const last: Asked[] = [
    { name: "state.get", input: { key: "first" } },
    { name: "chats.heartbeat", input: { self, progress: "half" } },
    { name: "tasks.ack", input: { self, ...claim, result: 1 } },
  ];
  const answers = await askTogether(workspace, [...submits, ...last]);
  expect(codesOf(answers.slice(12_000))).toEqual([null, null, null]);
  const codes = codesOf(answers.slice(0, 12_000));
  const accepted = codes.filter((code) => code === null).length;
  expect(accepted).toBeGreaterThan(4_000);
  expect(accepted).toBeLessThan(10_000);
  expect(codes).toEqual(codes.map((_, n) => (n < accepted ? null : "overloaded")));
  const { count } =
    (await workspace.rows<{ count: number }>("SELECT count(*) AS count FROM tasks WHERE type = 'crowd'"))[0] ?? {};
  expect(count).toBe(accepted);
  // Nothing has to happen before it accepts again.
  await workspace.ask("tasks.submit", { tasks: [{ type: "after", payload: 1 }] });
});

it("what an old queue refuses: submits after a second, claims after four", async ({ workspace }) => {
  const { self, claim } = await aTeam(workspace);
  const asked: Asked[] = [
    { name: "tasks.submit", input: { tasks: [{ type: "late", payload: 1 }] } },
    { name: "tasks.claim", input: { self, requestId: "late", limit: 1 } satisfies InputOf<"tasks.claim"> },
    { name: "chats.heartbeat", input: { self, progress: "half" } },
  ];
  expect(codesOf(await askTogether(workspace, asked, 1_100))).toEqual(["overloaded", null, null]);
  const [refused] = await askTogether(workspace, asked, 1_100);
  const response = refused?.ok === false ? errorResponse(refused.error) : null;
  expect([response?.status, response?.headers.get("retry-after")]).toEqual([503, "2"]);
  const ack: Asked = { name: "tasks.ack", input: { self, ...claim, result: 1 } };
  expect(codesOf(await askTogether(workspace, [...asked, ack], 4_000))).toEqual([
    "overloaded",
    "overloaded",
    null,
    null,
  ]);
});

it("over a socket, too, a refused request says when to return, and its token is no flood", async ({ workspace }) => {
  await aTeam(workspace);
  const connection = await workspace.connect();
  const params = { tasks: [{ type: "late", payload: 1 }] };
  const frame = Array.from({ length: 100 }, (_, id) => ({ jsonrpc: "2.0", id, method: "tasks.submit", params }));
  await workspace.inside(async (state, object: ChatCoordinator) => {
    const [socket] = state.getWebSockets();
    if (!socket) throw new Error("no socket");
    const set = { jsonrpc: "2.0", id: 1, method: "state.set", params: { key: "first", value: 1 } };
    await object.webSocketMessage(socket, JSON.stringify(set));
    const handled = Array.from({ length: 20 }, async () => object.webSocketMessage(socket, JSON.stringify(frame)));
    wait(1_100);
    await Promise.all(handled);
  });
  expect(await connection.next()).toMatchObject({ id: 1, result: {} });
  const parts = (await connection.next()) as unknown as readonly { error: { data: Refusal } }[];
  expect(parts[0]?.error.data).toMatchObject({ code: "overloaded", retryable: true, retryAfterMs: 1_001 });
  expect(await connection.refusal("state.get", { key: "first" })).toBe(null);
});
