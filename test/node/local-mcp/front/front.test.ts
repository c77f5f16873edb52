import { expect, it } from "vitest";
import { aFrontRig, type FrontRig } from "#harness/machine/front-rig.ts";

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const initialize = { jsonrpc: "2.0", id: 0, method: "initialize", params: {} };
const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
const hook = (id: number): object => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name: "shim_hook", arguments: { event: "Stop" } },
});

async function greeted(rig: FrontRig): Promise<void> {
  rig.say(initialize);
  await settled();
  rig.workers[0]?.answer({ id: 0, result: { serverInfo: {} } });
  rig.say(initialized);
  await settled();
}

it("[PR9] the client talks to the worker through the front, byte for byte", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  const odd = { jsonrpc: "2.0", id: "1", method: "tools/list", params: { text: "\u2028 \u0000 \u{1F600} ${x}" } };
  rig.say(JSON.stringify(odd).slice(0, 20));
  rig.say(`${JSON.stringify(odd).slice(20)}\n`);
  await settled();
  expect(rig.workers[0]?.received()).toEqual([initialize, initialized, odd]);
  rig.workers[0]?.answer({ method: "notifications/message", params: {} });
  rig.workers[0]?.answer({ id: "1", result: { tools: [] } });
  await settled();
  expect(rig.heard().slice(1)).toEqual([
    { jsonrpc: "2.0", method: "notifications/message", params: {} },
    { jsonrpc: "2.0", id: "1", result: { tools: [] } },
  ]);
});

it("[HO30] hook events are answered by the front; the worker never sees them, and a slow one delays no other", async () => {
  const waiting: ((answer: object) => void)[] = [];
  const rig = aFrontRig(
    (given) => new Promise((resolve) => void (expect(given).toEqual({ event: "Stop" }), waiting.push(resolve))),
  );
  await greeted(rig);
  rig.say(hook(7));
  rig.say(hook(8));
  await settled();
  waiting[1]?.({ content: [] });
  await settled();
  expect(rig.heard().slice(1)).toEqual([{ jsonrpc: "2.0", id: 8, result: { content: [] } }]);
  expect(rig.workers[0]?.received()).toHaveLength(2);
});

it("[PR9] a worker that dies is started again: the handshake is repeated, open requests are sent again", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  const list = { jsonrpc: "2.0", id: 3, method: "tools/list" };
  rig.say(list);
  await settled();
  rig.workers[0]?.die();
  await settled();
  const [, second] = rig.workers;
  expect([rig.workers.length, second?.isRestart]).toEqual([2, true]);
  expect(second?.received()).toEqual([initialize, initialized, list]);
  second?.answer({ id: 0, result: { serverInfo: {} } });
  second?.answer({ id: 3, result: { tools: [] } });
  await settled();
  expect(rig.heard().map(({ id }) => id)).toEqual([0, 3]);
});

it("[PR13] a tool call that died with its worker is answered with an error, and never repeated", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.say({ jsonrpc: "2.0", id: 4, method: "tools/call", params: { name: "shim_send", arguments: {} } });
  await settled();
  rig.workers[0]?.die();
  await settled();
  const [answer] = rig.heard().slice(1);
  expect(answer).toMatchObject({ id: 4, result: { isError: true } });
  expect(JSON.stringify(answer)).toContain("outcome_unknown");
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
});

it("[PR9] a worker that died before its first answer is asked again, and the client hears one answer", async () => {
  const rig = aFrontRig();
  rig.say(initialize);
  await settled();
  rig.workers[0]?.die();
  await settled();
  expect(rig.workers[1]?.received()).toEqual([initialize]);
  rig.workers[1]?.answer({ id: 0, result: {} });
  await settled();
  expect(rig.heard().map(({ id }) => id)).toEqual([0]);
});

it("[PR12] the front answers the handshake; the worker's own answer, and that of each worker after it, never reach the client", async () => {
  const rig = aFrontRig(undefined, (params) => ({ instructions: "…", params }));
  rig.say(initialize);
  rig.say(initialized);
  await settled();
  const answer = { jsonrpc: "2.0", id: 0, result: { instructions: "…", params: {} } };
  expect(rig.heard()).toEqual([answer]);
  expect(rig.workers[0]?.received()).toEqual([initialize, initialized]);
  rig.workers[0]?.die();
  await settled();
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
  rig.workers[1]?.answer({ id: 0, result: { instructions: "of the worker" } });
  rig.workers[1]?.answer({ method: "notifications/tools/list_changed" });
  rig.workers[1]?.die();
  await settled();
  rig.workers[2]?.answer({ id: 0, result: {} });
  await settled();
  expect(rig.heard()).toEqual([answer, { jsonrpc: "2.0", method: "notifications/tools/list_changed" }]);
});

it("[PR9] a cancelled request is not sent again", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.say({ jsonrpc: "2.0", id: 5, method: "resources/list" });
  rig.say({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 5 } });
  await settled();
  rig.workers[0]?.die();
  await settled();
  expect(rig.workers[1]?.received()).toEqual([initialize, initialized]);
});

it("[PR10] a worker that cannot start does not spin: each attempt waits longer, at most ten seconds", async () => {
  const rig = aFrontRig();
  const pauses: number[] = [];
  for (let death = 0; death < 12; death++) {
    rig.workers.at(-1)?.die(1);
    const next = rig.later.shift();
    if (next) {
      pauses.push(next.ms);
      next.work();
    }
  }
  expect(pauses.slice(0, 3)).toEqual([200, 400, 800]);
  expect(Math.max(...pauses)).toBe(10_000);
  rig.now += 20_000;
  rig.workers.at(-1)?.die();
  expect(rig.later).toEqual([]);
  await settled();
});

it("[PR9] a request that comes while no worker runs waits for the next one", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.workers[0]?.die();
  rig.workers[1]?.die();
  const list = { jsonrpc: "2.0", id: 6, method: "tools/list" };
  rig.say(list);
  await settled();
  expect(rig.workers).toHaveLength(2);
  rig.later.shift()?.work();
  await settled();
  expect(rig.workers[2]?.received().at(-1)).toEqual(list);
});

it("[PR11] the end of the client is the end of both: the worker saves first", async () => {
  const ends = [
    (rig: FrontRig) => rig.stdin.end(),
    (rig: FrontRig) => rig.stdin.emit("error", new Error("EIO")),
    (rig: FrontRig) => rig.front.end("SIGTERM"),
  ];
  for (const end of ends) {
    const rig = aFrontRig();
    await greeted(rig);
    end(rig);
    await settled();
    expect(rig.exits).toEqual([]);
    expect([rig.workers[0]?.isEnded(), rig.workers[0]?.signals]).toEqual(
      rig.workers[0]?.signals.length === 0 ? [true, []] : [false, ["SIGTERM"]],
    );
    rig.workers[0]?.die(0);
    expect(rig.exits).toEqual([0]);
    expect(rig.workers).toHaveLength(1);
  }
});

it("[PR11] a worker that ends in good order, since its client is gone, ends the front", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.isClientAlive = false;
  rig.workers[0]?.die(0);
  expect([rig.exits, rig.workers.length]).toEqual([[0], 1]);
});

it("[PR14] a worker that is asked to end, while the client lives, is started again", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.workers[0]?.die(0);
  await settled();
  expect([rig.exits, rig.workers.length]).toEqual([[], 2]);
});

it("[PR10] a request with which two workers have died is answered with an error and sent to no third", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.say({ jsonrpc: "2.0", id: 9, method: "resources/list" });
  let isDone = false;
  void rig.front.request("shim/after-event", { sessionId: "s" }).then(() => (isDone = true));
  await settled();
  rig.workers[0]?.die();
  await settled();
  rig.workers[1]?.die();
  rig.later.shift()?.work();
  await settled();
  expect(rig.workers[1]?.received()).toHaveLength(4);
  expect(rig.workers[2]?.received()).toEqual([initialize, initialized]);
  expect(rig.heard().at(-1)).toMatchObject({ id: 9, error: { code: -32_603 } });
  expect(isDone).toBe(true);
});

it("[PR11] the output of a worker whose client reads no more is held back while both live, and does not delay the end", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.stdout.pause();
  for (let id = 1; id <= 20; id++)
    rig.workers[0]?.answer({ method: "notifications/message", params: "x".repeat(10_000) });
  await settled();
  expect(rig.workers[0]?.isHeld()).toBe(true);
  expect(rig.stdout.listenerCount("drain")).toBe(1);
  rig.stdin.end();
  await settled();
  expect(rig.workers[0]?.isHeld()).toBe(false);
});

it("[PR11] a client that has closed its end of stdout ends front and worker, although stdin stays open", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.stdout.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  await settled();
  expect(rig.workers[0]?.isEnded()).toBe(true);
  rig.workers[0]?.die(0);
  expect(rig.exits).toEqual([0]);
});

it("[PR11] a worker that does not end in time is killed and not waited for", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  rig.stdin.end();
  await settled();
  const last = rig.later.at(-1);
  expect(last?.ms).toBe(15_000);
  expect(rig.workers[0]?.signals).toEqual([]);
  last?.work();
  expect([rig.workers[0]?.signals, rig.exits]).toEqual([["SIGKILL"], [1]]);
});

it("[HO56] work that an event has left is asked of the next worker when the first one dies with it", async () => {
  const rig = aFrontRig();
  await greeted(rig);
  let isDone = false;
  void rig.front.request("shim/after-event", { sessionId: "s" }).then(() => (isDone = true));
  await settled();
  rig.workers[0]?.die();
  await settled();
  const again = rig.workers[1]?.received().at(-1);
  expect(again).toMatchObject({ method: "shim/after-event", params: { sessionId: "s" } });
  rig.workers[1]?.answer({ id: again?.["id"], result: {} });
  await settled();
  expect(isDone).toBe(true);
  expect(rig.heard()).toHaveLength(1);
});
