import * as fc from "fast-check";
import { expect, it } from "vitest";
import { forAllAsync } from "#harness/properties.ts";
import { randomText } from "#src/pairing/sealing.ts";
import { PhoneRig, settled } from "#harness/web/phone-rig.ts";

const why = {
  machine: "ada-laptop is off or asleep, or no chat runs there",
  coordinator: "shim.example does not answer",
  network: "this device has no network",
};
const refusal = (message: string) => ({ ok: false, error: { code: "unreachable", message } });
const away = refusal(why.machine);

it("calls of a phone are answered by its machine, each by its own answer, in any order; refusals are passed on", async () => {
  const rig = await PhoneRig.inSession();
  expect([rig.states, rig.changes, rig.backend.canAnswer]).toEqual([[{ isLive: true }], [], false]);
  const names = ["page.fleet", "page.messages", "health"] as const;
  const calls = names.map((name) => rig.backend.call(name, {}));
  await settled();
  expect(rig.requests.map(({ name }) => name)).toEqual(names);
  const [first, second, third] = rig.requests.map(({ id }) => id);
  await rig.answer({ id: third, error: { code: "forbidden", message: "not for phones" } });
  await rig.answer({ id: second, value: "messages" });
  await rig.answer({ id: first, value: "fleet" });
  expect(await Promise.all(calls)).toEqual([
    { ok: true, value: "fleet" },
    { ok: true, value: "messages" },
    { ok: false, error: { code: "forbidden", message: "not for phones" } },
  ]);
  await rig.answer({ changed: "sessions" });
  expect(rig.changes).toEqual(["sessions"]);
});

it("a relay that lies: repeated, late, changed, reflected and invented frames change nothing on the phone", async () => {
  const rig = await PhoneRig.inSession();
  rig.isPassing = false;
  const answers: unknown[] = [];
  void rig.backend.call("page.fleet", {}).then((answer) => answers.push(answer));
  await settled();
  const [own] = rig.dropped;
  const machine = rig.machine;
  if (!own || !machine) throw new Error("there is no session");
  const late = await machine.seal({ changed: "team" });
  const kept = await rig.answer({ changed: "tasks" });
  const lie = await machine.seal({ id: 1, value: "changed" });
  const lies = [
    kept,
    late,
    own,
    { ...lie, sealed: `${lie.sealed.slice(0, 30)}${lie.sealed[30] === "A" ? "B" : "A"}${lie.sealed.slice(31)}` },
    { ...lie, n: lie.n + 1 },
    { ...lie, sealed: "%%%" },
    { session: randomText(16), n: 9, sealed: lie.sealed },
    { open: machine.session, answer: randomText(16), at: 0 },
    { open: randomText(16), answer: randomText(16), at: 0 },
  ];
  for (const frame of lies) await rig.relay(frame);
  for (const data of ["{", "pong", "null", "[]", '{"open":1,"answer":2}', new ArrayBuffer(8)])
    rig.last.emit("message", { data });
  await settled();
  expect([answers, rig.changes]).toEqual([[], ["tasks"]]);
  await rig.receive(own);
  await rig.answer({ id: rig.requests[0]?.id, value: "fleet" });
  expect(answers).toEqual([{ ok: true, value: "fleet" }]);
});

it("a call whose frame the relay drops is sent again in the next session, which the phone asks for within 20 s", async () => {
  const rig = await PhoneRig.inSession();
  const before = rig.machine;
  rig.isPassing = false;
  const call = rig.backend.call("page.fleet", {});
  await rig.pass(10_000);
  expect(await call).toEqual(refusal("ada-laptop did not answer in time"));
  expect(rig.machine).toBe(before);
  const next = rig.backend.call("page.fleet", {});
  await rig.pass(3_999);
  rig.isPassing = true;
  await rig.pass(1);
  expect(rig.machine).not.toBe(before);
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect([await next, rig.isLive]).toEqual([{ ok: true, value: 1 }, true]);
});

it("a call that is not answered ends no session in which another one is", async () => {
  const rig = await PhoneRig.inSession();
  const calls = [rig.backend.call("page.fleet", {}), rig.backend.call("page.fleet", {})];
  await settled();
  await rig.answer({ id: rig.requests[1]?.id, value: 1 });
  await rig.pass(14_000);
  expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual([false, true]);
  expect(rig.last.sent.filter((text) => text.includes("open"))).toHaveLength(1);
});

it("an opening without an answer is asked again; an invented answer makes nothing live, and the phone asks once more", async () => {
  const rig = await PhoneRig.make();
  rig.follow();
  rig.isAnswering = false;
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  await rig.pass(3_000);
  expect(rig.last.sent.filter((text) => text.includes("open"))).toHaveLength(2);
  const { open } = JSON.parse(rig.last.sent.at(-1) ?? "") as { open: string };
  await rig.relay({ open, answer: randomText(16), at: 0 });
  expect(rig.isLive).toBe(false);
  rig.isAnswering = true;
  await rig.pass(3_999);
  expect(rig.isLive).toBe(false);
  await rig.pass(1);
  const call = rig.backend.call("page.fleet", {});
  await settled();
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect([await call, rig.isLive]).toEqual([{ ok: true, value: 1 }, true]);
});

it("while the machine is away the page is not live, says since when, reads fail soon and actions at once; when it is back all that waits is sent", async () => {
  const rig = await PhoneRig.inSession();
  await rig.pass(5_000);
  await rig.relay({ isThere: false });
  expect(rig.states.at(-1)).toEqual({ isLive: false, since: 0, why: why.machine });
  expect(await rig.backend.call("requests.answer", { request: "r", decision: "allow" }, "r1")).toEqual(away);
  const call = rig.backend.call("page.fleet", {});
  await rig.pass(2_000);
  expect(await call).toEqual(away);
  const early = rig.backend.call("page.fleet", {});
  await rig.relay({ isThere: true });
  await settled();
  expect(rig.states.at(-1)).toEqual({ isLive: true });
  expect(rig.requests.map(({ name }) => name)).toEqual(["page.fleet"]);
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect(await early).toEqual({ ok: true, value: 1 });
});

it("a machine that falls asleep behind a relay that still has it is noticed within 20 s, and found within 3 s of its waking", async () => {
  const rig = await PhoneRig.make();
  rig.ofNetwork();
  rig.follow();
  await rig.pass(1_000);
  expect(rig.isLive).toBe(true);
  rig.isAwake = rig.isAnswering = false;
  await rig.pass(19_000);
  expect(rig.states.at(-1)).toEqual({ isLive: false, since: 1_000, why: why.machine });
  await rig.pass(100_000);
  expect(rig.sockets).toHaveLength(1);
  rig.isAwake = rig.isAnswering = true;
  await rig.pass(3_000);
  expect(rig.isLive).toBe(true);
});

it("what was not answered when a session ended is sent again in the next one: an action under its request id", async () => {
  const rig = await PhoneRig.inSession();
  const action = rig.backend.call("sessions.forget", { target: "c1" }, "r1");
  void rig.backend.call("page.fleet", {});
  await settled();
  await rig.relay({ isThere: true });
  await settled();
  const sent = rig.requests.map(({ name, requestId }) => `${name} ${requestId}`);
  const both = ["sessions.forget r1", "page.fleet undefined"];
  expect(sent).toEqual([...both, ...both]);
  await rig.answer({ id: rig.requests[2]?.id, value: {} });
  expect(await action).toEqual({ ok: true, value: {} });
});

it("what is asked while a connection closes is not given to it, and is sent over the next one", async () => {
  const rig = await PhoneRig.inSession();
  const sent = rig.last.sent.length;
  rig.last.readyState = 2;
  void rig.backend.call("page.fleet", {});
  await rig.pass(5_000);
  expect(rig.last.sent).toHaveLength(sent);
  rig.last.emit("close", { code: 1006 });
  await settled();
  await rig.pass(2_000);
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  expect(rig.requests.map(({ name }) => name)).toEqual(["page.fleet"]);
});

it("without a coordinator the page says so, without a network that; it comes back with it, and at once when the page is shown", async () => {
  const rig = await PhoneRig.make();
  rig.follow();
  await rig.pass(3_999);
  expect(rig.states).toEqual([]);
  await rig.pass(1);
  expect(rig.states).toEqual([{ isLive: false, since: 0, why: why.coordinator }]);
  rig.isOffline = true;
  expect(rig.backend.state).toMatchObject({ why: why.network });
  const call = rig.backend.call("page.fleet", {});
  await rig.pass(2_000);
  expect(await call).toEqual(refusal(why.network));
  const before = rig.sockets.length;
  rig.wake();
  expect(rig.sockets).toHaveLength(before + 1);
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  expect(rig.isLive).toBe(true);
});

it("what a dropped connection still says changes nothing of the next one: the page stays live and calls are answered", async () => {
  const rig = await PhoneRig.inSession();
  const dropped = rig.last;
  rig.isAwake = false;
  await rig.pass(19_000);
  expect(rig.isLive).toBe(false);
  rig.isAwake = true;
  await rig.pass(2_000);
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  expect([rig.last === dropped, rig.isLive]).toEqual([false, true]);
  for (const name of ["open", "close"] as const) dropped.emit(name, { code: 1006 });
  await settled();
  const call = rig.backend.call("page.fleet", {});
  await settled();
  await rig.answer({ id: rig.requests.at(-1)?.id, value: 1 });
  expect([await call, rig.isLive]).toEqual([{ ok: true, value: 1 }, true]);
});

type Network = ReturnType<PhoneRig["ofNetwork"]>;

/** All that can happen, with a drawn time in ms. */
const happenings = {
  passes: (rig: PhoneRig, _: Network, n: number) => rig.pass(n + 1),
  loses: (_: PhoneRig, net: Network) => void (net.isThere = false),
  mends: (_: PhoneRig, net: Network) => void (net.isThere = true),
  leaves: (_: PhoneRig, net: Network) => net.machineIsThere(false),
  returns: (_: PhoneRig, net: Network) => net.machineIsThere(true),
  sleeps: (rig: PhoneRig) => void (rig.isAwake = rig.isAnswering = false),
  wakes: (rig: PhoneRig) => void (rig.isAwake = rig.isAnswering = true),
  closesLate: (rig: PhoneRig) => rig.sockets.slice(0, -1).forEach((one) => one.emit("close", { code: 1006 })),
  shows: (rig: PhoneRig) => rig.wake(),
  acts: () => undefined,
};

it("whatever order of losses, sleep, late closes and lies: five seconds after network and machine are there for good the page is live, and an action is done at most once and never after its refusal", async () => {
  const step = fc.tuple(fc.constantFrom(...(Object.keys(happenings) as (keyof typeof happenings)[])), fc.nat(25_000));
  await forAllAsync(40, [fc.array(step, { maxLength: 12 })], async (steps) => {
    const rig = await PhoneRig.make();
    const net = rig.ofNetwork();
    rig.follow();
    const refusedIds = new Set<string>();
    let acts = 0;
    const act = (): void => {
      const id = `r${(acts += 1)}`;
      const done = rig.backend.call("sessions.forget", { target: "c" }, id);
      void done.then(({ ok }) => ok || rig.requests.some(({ requestId }) => requestId === id) || refusedIds.add(id));
    };
    for (const [one, n] of steps) {
      if (one === "acts") act();
      else await happenings[one](rig, net, n);
      await settled();
    }
    await rig.pass(12_000);
    rig.isAwake = rig.isAnswering = true;
    net.isThere = true;
    net.machineIsThere(true);
    await rig.pass(5_000);
    expect(rig.backend.state).toEqual({ isLive: true });
    expect(rig.requests.filter(({ requestId = "" }) => refusedIds.has(requestId))).toEqual([]);
  });
});

it("a pairing that is over ends the connection for good: by its close code, or by what the coordinator says", async () => {
  const closed = await PhoneRig.inSession();
  closed.last.emit("close", { code: 4001 });
  await settled();
  const refused = await PhoneRig.make();
  refused.follow();
  refused.isOver = true;
  refused.last.emit("close", { code: 1006 });
  await settled();
  for (const rig of [closed, refused]) {
    await rig.pass(60_000);
    expect([rig.overs, rig.sockets.length]).toEqual([1, 1]);
  }
});

it("the page that follows no more has no connection", async () => {
  const rig = await PhoneRig.make();
  const end = new AbortController();
  rig.follow(end);
  rig.last.emit("open");
  end.abort();
  await rig.pass(60_000);
  expect([rig.overs, rig.sockets.length, rig.time.timers]).toEqual([0, 1, 0]);
});
