import { expect, it } from "vitest";
import { randomText } from "#src/pairing/sealing.ts";
import { PhoneRig, settled } from "#harness/web/phone-relay.ts";

const away = {
  ok: false,
  error: { code: "unreachable", message: "ada-laptop is not reachable: it is off, or no chat runs there" },
};

it("calls of a phone are answered by its machine, each by its own answer, in any order; refusals are passed on", async () => {
  const rig = await PhoneRig.inSession();
  expect([rig.states.at(-1), rig.changes, rig.backend.canAnswer]).toEqual([true, ["all"], false]);
  const calls = [
    rig.backend.call("page.fleet", {}),
    rig.backend.call("page.messages", {}),
    rig.backend.call("health", {}),
  ];
  await settled();
  expect(rig.requests.map(({ name }) => name)).toEqual(["page.fleet", "page.messages", "health"]);
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
  expect(rig.changes).toEqual(["all", "sessions"]);
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
    { open: machine.session, answer: randomText(16) },
    { open: randomText(16), answer: randomText(16) },
  ];
  for (const frame of lies) await rig.relay(frame);
  for (const data of ["{", "pong", "null", "[]", '{"open":1,"answer":2}', new ArrayBuffer(8)])
    rig.last.emit("message", { data });
  await settled();
  expect([answers, rig.changes]).toEqual([[], ["all", "tasks"]]);
  await rig.receive(own);
  await rig.answer({ id: 1, value: "fleet" });
  expect(answers).toEqual([{ ok: true, value: "fleet" }]);
});

it("a call whose frame the relay drops fails after ten seconds; the next one has a session that works", async () => {
  const rig = await PhoneRig.inSession();
  rig.isPassing = false;
  const call = rig.backend.call("page.fleet", {});
  await rig.pass(9_999);
  expect(rig.dropped).toHaveLength(1);
  const before = rig.machine;
  await rig.pass(1);
  expect(await call).toEqual(away);
  expect(rig.machine).not.toBe(before);
  rig.isPassing = true;
  const next = rig.backend.call("page.fleet", {});
  await settled();
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect(await next).toEqual({ ok: true, value: 1 });
});

it("an invented answer to the opening opens nothing, and the phone asks again", async () => {
  const rig = await PhoneRig.make();
  void rig.follow();
  rig.isAnswering = false;
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  const { open } = JSON.parse(rig.last.sent[0] ?? "") as { open: string };
  await rig.relay({ open, answer: randomText(16) });
  const call = rig.backend.call("page.fleet", {});
  rig.isAnswering = true;
  await rig.pass(10_000);
  expect((await call).ok).toBe(false);
  const again = rig.backend.call("page.fleet", {});
  await settled();
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect(await again).toEqual({ ok: true, value: 1 });
});

it("while the machine is away the page is not live and calls fail soon; when it is back the page reads again", async () => {
  const rig = await PhoneRig.inSession();
  await rig.relay({ isThere: false });
  expect(rig.states.at(-1)).toBe(false);
  const call = rig.backend.call("page.fleet", {});
  await rig.pass(2_000);
  expect(await call).toEqual(away);
  const early = rig.backend.call("page.fleet", {});
  await rig.relay({ isThere: true });
  await settled();
  expect([rig.states.at(-1), rig.changes]).toEqual([true, ["all", "all"]]);
  await rig.answer({ id: rig.requests[0]?.id, value: 1 });
  expect(await early).toEqual({ ok: true, value: 1 });
});

it("an action whose answer was lost is sent again in the next session under its request id; a read is not", async () => {
  const rig = await PhoneRig.inSession();
  const action = rig.backend.call("sessions.forget", { target: "c1" }, "r1");
  void rig.backend.call("page.fleet", {});
  await settled();
  await rig.relay({ isThere: true });
  await settled();
  expect(rig.requests.map(({ name, requestId }) => [name, requestId])).toEqual([
    ["sessions.forget", "r1"],
    ["page.fleet", undefined],
    ["sessions.forget", "r1"],
  ]);
  await rig.answer({ id: rig.requests[2]?.id, value: {} });
  expect(await action).toEqual({ ok: true, value: {} });
});

it("a machine that does not answer an opening is asked again", async () => {
  const rig = await PhoneRig.make();
  void rig.follow();
  rig.isAnswering = false;
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  await rig.pass(3_000);
  expect(rig.last.sent.filter((text) => text.includes("open"))).toHaveLength(2);
});

it("a broken connection is made again after longer and longer waits, at once when the page is shown", async () => {
  const rig = await PhoneRig.make();
  void rig.follow();
  const call = rig.backend.call("page.fleet", {});
  for (const ms of [1_000, 2_000, 4_000]) {
    rig.last.emit("close", { code: 1006 });
    await settled();
    const count = rig.sockets.length;
    await rig.pass(ms - 1);
    expect(rig.sockets).toHaveLength(count);
    await rig.pass(1);
    expect(rig.sockets).toHaveLength(count + 1);
  }
  expect(await call).toMatchObject({ error: { code: "unreachable", message: expect.stringContaining("coordinator") } });
  rig.last.emit("close", { code: 1006 });
  await settled();
  rig.wake();
  await settled();
  expect(rig.sockets).toHaveLength(5);
});

it("a connection that answers no ping is dropped and made again", async () => {
  const rig = await PhoneRig.inSession();
  await rig.pass(30_000);
  expect(rig.last.sent).toContain("ping");
  rig.last.emit("message", { data: "pong" });
  await rig.pass(5_000);
  expect(rig.states.at(-1)).toBe(true);
  await rig.pass(25_000);
  await rig.pass(5_000);
  expect(rig.states.at(-1)).toBe(false);
  await rig.pass(1_000);
  expect(rig.sockets).toHaveLength(2);
});

it("a pairing that is over ends the connection for good: by its close code, or by what the coordinator says", async () => {
  const closed = await PhoneRig.inSession();
  closed.last.emit("close", { code: 4001 });
  await settled();
  const refused = await PhoneRig.make();
  void refused.follow();
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
  const followed = rig.follow(end);
  rig.last.emit("open");
  end.abort();
  await followed;
  await rig.pass(60_000);
  expect([rig.overs, rig.sockets.length]).toEqual([0, 1]);
});

it("what a phone is to be notified of is sent sealed", async () => {
  const rig = await PhoneRig.inSession();
  const push = { endpoint: "https://push.example/1", keys: { p256dh: "p", auth: "a" } };
  const set = rig.backend.setPush(push, ["waits"]);
  await settled();
  expect(rig.requests).toEqual([{ id: 1, push, kinds: ["waits"] }]);
  expect(rig.last.sent.join()).not.toContain("push.example");
  await rig.answer({ id: 1, value: {} });
  expect(await set).toEqual({ ok: true, value: {} });
});
