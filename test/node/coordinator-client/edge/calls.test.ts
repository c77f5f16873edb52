import type { Failure } from "#src/contract/errors.ts";
import { callUntilAnswered, statusReporter } from "#src/coordinator-client/coordinator-client.ts";
import type { CoordinatorClient } from "#src/coordinator-client/client.ts";
import { err, ok } from "#src/shared/result.ts";
import { FakeTime, Machine } from "#harness/clock/fake-time.ts";
import { expect, it } from "vitest";
import { type Passing, FakeEdge, type Served } from "#harness/edge/fake-edge.ts";
import { onEdge, aClient, aClientAnswered, ofType, registered } from "#harness/edge/edge-runtime.ts";
import { given, codeOf } from "#harness/coordinator/peers.ts";

/** Loses the first so many that fit. */
function losing(times: number, fits: (passing: Passing) => boolean): (passing: Passing) => boolean {
  let left = times;
  return (passing) => {
    if (left === 0 || !fits(passing)) return false;
    left -= 1;
    return true;
  };
}

it("while nothing gets through calls wait, and are sent in their order", async () => {
  const { edge, client } = aClient();
  edge.faults.isUnreachable = true;
  const sets = [1, 2, 3, 4, 5].map((value) => client.call("state.set", { key: "k", value }));
  await edge.time.pass(10_000);
  expect(edge.arrived).toEqual([]);
  edge.faults.isUnreachable = false;
  for (const set of await edge.time.until(Promise.all(sets))) given(set);
  expect(edge.arrived.map(({ input }) => input["value"])).toEqual([1, 2, 3, 4, 5]);
});

it("one more than may wait is refused at once, and nothing of it happens", async () => {
  const { edge, call, client } = aClient();
  edge.faults.isUnreachable = true;
  const waiting = Array.from({ length: 200 }, (_, value) => client.call("state.set", { key: "k", value }));
  expect(codeOf(await edge.time.until(client.call("state.set", { key: "k", value: 200 }), 10))).toBe("queue_full");
  edge.faults.isUnreachable = false;
  await edge.time.until(Promise.all(waiting));
  edge.closeAll();
  await edge.time.untilTrue(() => client.state !== "connected");
  expect(given(await call("state.get", { key: "k" })).entry?.value).toBe(199);
});

it("what was not sent by its deadline is refused, and is not sent afterwards", async () => {
  const { edge, call } = aClient();
  edge.faults.isUnreachable = true;
  const refused = await call("state.set", { key: "k", value: 1 }, 4_000);
  expect(refused).toMatchObject({ error: { code: "unreachable", message: expect.stringContaining("state.set") } });
  edge.faults.isUnreachable = false;
  await edge.time.pass(60_000);
  expect(edge.arrived).toEqual([]);
});

it("a call whose connection is lost is repeated on the next one, and takes effect once", async () => {
  const { edge, client } = await onEdge();
  const sent = client.call("messages.send", { target: { to: "all" }, body: "once" });
  await edge.time.pass(6);
  expect(edge.count("messages.send")).toBe(1);
  edge.faults.loses = losing(1, ({ direction, text }) => direction === "down" && text.includes("result"));
  edge.connections[0]?.vanish();
  expect(given(await edge.time.until(sent))).toEqual({ id: 1, isRepeat: true });
  const sends = edge.arrived.filter(({ name }) => name === "messages.send");
  const [first, second, ...more] = sends.map(({ input }) => input["requestId"]);
  expect([second, more]).toEqual([first, []]);
});

it("a request that was sent, and not answered by its deadline, may have happened: the id asks again", async () => {
  const { edge, call, client } = await onEdge();
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("result");
  const sent = { target: { to: "all" }, body: 1, requestId: "mine" } as const;
  const unknown = await edge.time.until(client.call("messages.send", sent, 15_000), 15_000);
  expect(unknown).toMatchObject({ error: { code: "outcome_unknown", requestId: "mine" } });
  edge.faults.loses = () => false;
  expect(given(await call("messages.send", sent))).toEqual({ id: 1, isRepeat: true });
});

it("the chat and the id of a request are filled in, and the caller's own stay", async () => {
  const { edge, call } = await onEdge();
  given(await call("leases.acquire", { resource: "r" }));
  given(await call("leases.acquire", { resource: "s", requestId: "mine" }));
  given(await call("leases.list", {}));
  const self = { chat: "a", incarnation: 1 };
  const requestId: unknown = expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-7/);
  expect(edge.arrived.filter(({ name }) => name.startsWith("leases")).map(({ input }) => input)).toEqual([
    expect.objectContaining({ self, requestId }),
    expect.objectContaining({ self, requestId: "mine" }),
    {},
  ]);
});

it("what the contract refuses is refused without being sent, and so is what is too large", async () => {
  const { edge, call } = await onEdge();
  const before = edge.arrived.length;
  const bad = await call("state.set", { key: "$mine", value: 1 });
  expect(bad).toMatchObject({ error: { code: "bad_input", message: expect.stringContaining("state.set") } });
  const value = "ä".repeat(60_000);
  const writes = Array.from({ length: 11 }, (_, at) => ({ op: "set", key: `k${at}`, value }) as const);
  expect(codeOf(await call("state.update", { writes }))).toBe("too_large");
  expect(edge.arrived.length).toBe(before);
  const { client: stranger } = aClient(edge);
  expect(codeOf(await edge.time.until(stranger.call("messages.pull", {}), 1))).toBe("not_registered");
});

it("a large submit whose answer is lost is asked again over HTTP, and takes effect once", async () => {
  const { edge, client } = await onEdge();
  edge.faults.loses = losing(1, ({ way, direction }) => way === "http" && direction === "down");
  const tasks = Array.from({ length: 31 }, () => ({ type: "t", payload: "x".repeat(65_000) }));
  given(await edge.time.until(client.call("tasks.submit", { tasks }, 120_000), 120_000));
  expect(edge.count("tasks.submit", "http")).toBe(2);
  expect(given(await edge.host.call("tasks.progress", {})).totalTasks).toBe(tasks.length);
});

it("refusals are the caller's answer, also those that may be repeated", async () => {
  const edge = new FakeEdge();
  const [one, two] = [await registered(edge, "a"), await registered(edge, "b")];
  given(await one.call("leases.acquire", { resource: "r" }));
  expect(await two.call("leases.acquire", { resource: "r" })).toMatchObject({
    error: { code: "lease_held", retryAfterMs: expect.any(Number), details: { holder: "a", resource: "r" } },
  });
  expect(edge.count("leases.acquire")).toBe(2);
  edge.faults.refuses = () => ({ code: "throttled", message: "only answers", retryAfterMs: 100 });
  expect(codeOf(await two.call("state.get", { key: "k" }))).toBe("throttled");
  expect(edge.count("state.get")).toBe(1);
});

function served(status: number, body: string, retryAfter: string | null = null): Served {
  return { status, body, retryAfter };
}

const failed = (code: string): Error => Object.assign(new Error("no connection"), { code });

const lost = served(502, "<html>bad gateway</html>");
const overloaded = served(503, '{"error":{"code":"overloaded","message":"later","retryable":true}}', "20");
const answers: [code: string, ...(Served | Error)[]][] = [
  ["bad_answer", served(200, "<html>welcome to the hotel</html>")],
  ["bad_answer", served(200, '{"entry":{"key":1}}')],
  ["bad_answer", served(404, "<html>not found</html>")],
  ["bad_answer", served(409, '{"error":{"code":"brand_new","message":"?","retryable":false}}')],
  ["bad_answer", served(409, '{"error":"no"}')],
  ["outcome_unknown", lost],
  ["outcome_unknown", served(429, "<html>slow down</html>")],
  ["outcome_unknown", failed("ECONNRESET")],
  ["unreachable", failed("ECONNREFUSED")],
  // What was sent once may have happened, whatever follows.
  ["outcome_unknown", lost, failed("ECONNREFUSED")],
  ["outcome_unknown", lost, overloaded],
  ["overloaded 20000", overloaded],
];

it("an answer outside the contract is reported and not asked for again; one of a gateway is", async () => {
  const edge = new FakeEdge();
  const codes: string[] = [];
  for (const [, ...outcomes] of answers) {
    const asked = aClientAnswered(edge, ...outcomes).call("state.get", { key: "k" }, 9_000);
    const { error } = (await edge.time.until(asked)) as { error: Failure };
    codes.push([error.code, error.retryAfterMs].join(" ").trim());
  }
  expect(codes).toEqual(answers.map(([code]) => code));
});

it("an unknown frame is reported as a problem, and the rest continues", async () => {
  const { edge, call, ...made } = await onEdge();
  for (const text of ["{", '"x"', '{"jsonrpc":"2.0","method":"tea.ready","params":{}}', '{"id":77,"result":1}', "[]"])
    edge.connections[0]?.sendText(text);
  edge.connections[0]?.sendText('{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"not JSON"}}');
  await edge.time.pass(100);
  expect(ofType(made, "problem").length).toBe(4);
  expect(codeOf(await call("state.get", { key: "k" }))).toBe("ok");
  expect(edge.upgrades.length).toBe(1);
});

it("an answer that closes the connection over the protocol is not provoked again", async () => {
  const { edge, ...made } = await onEdge();
  const asked = made.client.call("state.get", { key: "k" });
  await edge.time.pass(1);
  edge.closeAll(4003);
  expect(codeOf(await edge.time.until(asked))).toBe("bad_answer");
  await edge.time.pass(2_000);
  expect(made.client.state).toBe("connected");
});

it("a listener that throws stops neither the client nor the others", async () => {
  const { edge, call, ...made } = aClient();
  let heard = 0;
  made.client.on(() => {
    throw new Error("mine");
  });
  const stop = made.client.on(() => (heard += 1));
  given(await call("state.get", { key: "k" }));
  expect(ofType(made, "problem")[0]?.message).toBe("a listener threw: mine");
  expect(heard).toBeGreaterThan(2);
  stop();
  const before = heard;
  edge.closeAll();
  await edge.time.pass(1_000);
  expect(heard).toBe(before);
});

it("a mark is sent back, and no listener gets it", async () => {
  const { edge, ...made } = await onEdge();
  edge.connections[0]?.notify("flow.mark", { mark: "m-1" });
  await edge.time.pass(1_000);
  expect(edge.arrived.filter(({ name }) => name === "flow.read").map(({ input }) => input)).toEqual([{ mark: "m-1" }]);
  expect(ofType(made, "problem")).toEqual([]);
});

const later = { message: "too much to do", retryAfterMs: 2_000 };
const busy = [
  { code: "overloaded", ...later },
  { code: "rate_limited", ...later },
  { code: "throttled", ...later, details: { limit: "maxOperationsPerSecond" } },
] as const;

it.each(busy)("a refusal $code is asked again later than it says, by chance, within the deadline", async (refusal) => {
  const waits = new Set<number>();
  for (const [index, refusesSockets] of [false, true, false].entries()) {
    const edge = new FakeEdge();
    edge.faults.refusesSockets = refusesSockets;
    const { client } = await registered(edge, "a", { seed: index + 1 });
    let left = 1;
    edge.faults.refuses = () => (left-- > 0 ? refusal : null);
    const began = edge.time.now;
    given(await edge.time.until(client.call("state.get", { key: "k" })));
    expect(edge.time.now - began).toBeGreaterThanOrEqual(2_000);
    waits.add(edge.time.now - began);
    edge.faults.refuses = () => refusal;
    expect(codeOf(await edge.time.until(client.call("state.get", { key: "k" }, 6_000), 6_100))).not.toBe("ok");
    expect(edge.count("state.get")).toBeLessThanOrEqual(6);
  }
  // Clients that got the same time come back at different times.
  expect(waits.size).toBe(3);
});

it("a report that is repeated comes no sooner than the coordinator asks for", async () => {
  const time = new FakeTime();
  const askedAt: number[] = [];
  const call = async (): Promise<object> => {
    askedAt.push(time.now);
    return askedAt.length < 4 ? err({ code: "overloaded", message: "later", retryAfterMs: 3_000 }) : ok({});
  };
  const options = { timeoutMs: 1_000, maxPauseMs: 1_000, signal: new AbortController().signal };
  const platform = { setTimer: time.setTimer, random: () => 0.5 };
  const deps = { link: { call } as unknown as CoordinatorClient, platform };
  expect((await time.until(callUntilAnswered(deps, "chats.list", {}, options))).ok).toBe(true);
  expect(askedAt).toEqual([0, 3_250, 6_750, 10_250]);
});

it("a state whose report failed is sent again at once, and one that arrived after 15 s", async () => {
  const time = new FakeTime();
  const answers = [err({ code: "unreachable" }), ok({}), ok({}), ok({})];
  const asked: number[] = [];
  const call = async (): Promise<unknown> => {
    asked.push(time.now);
    return answers.shift();
  };
  const report = statusReporter({ call } as unknown as CoordinatorClient, new Machine(time).clock, () => ({}));
  const idle = { status: "idle", taskCount: 0, progress: "" } as const;
  await report(idle, false);
  await report(idle, false);
  expect(asked).toHaveLength(2);
  await time.pass(14_999);
  await report(idle, false);
  expect(asked).toHaveLength(2);
  await time.pass(1);
  await report(idle, false);
  await report({ ...idle, taskCount: 1 }, false);
  expect(asked).toHaveLength(4);
});
