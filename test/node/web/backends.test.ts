import { expect, it, onTestFinished, vi } from "vitest";
import { machineOperationNames, machineOperations } from "#src/contract/machine/operations.ts";
import type { Operation } from "#src/contract/operation.ts";
import { offeredOn, operations } from "#src/contract/operations.ts";
import { EdgeBackend, routeOf, workspaceOf } from "#src/web/edge-backend.ts";
import type { Granted, PhoneFrame, RelayFrame } from "#src/contract/phone-frames.ts";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { checkNumber, newPairingSecret, openIntroduction, sealGrant, type PairingLink } from "#src/pairing/pairing.ts";
import { fromBase64url, importSecret, randomText } from "#src/pairing/sealing.ts";
import { refused, type Answer } from "#src/web/backend.ts";
import { awaitGrant, beginPairing, introduce, numberOf, pairingTrouble, phoneName } from "#src/web/phone/pair.ts";
import { PhoneBackend, type PhoneDeps, type PhoneSocket } from "#src/web/phone/phone-backend.ts";

it("the page asks the Worker at the routes of the operations, and for none of a machine", async () => {
  for (const name of offeredOn("page")) {
    const { method, path }: Operation = operations[name];
    expect([name, routeOf(name)]).toEqual([name, `${method} ${path}`]);
  }
  const readFromWorkspace: ReadonlySet<string> = new Set(["page.fleet", "page.messages", "page.audit"]);
  const ofPage = machineOperationNames.filter(
    (name) => machineOperations[name].surfaces.includes("page") && !readFromWorkspace.has(name),
  );
  expect(ofPage).toContain("experiments.list");
  const error = { code: "unknown_operation", message: "this is only on the machine of the chat" };
  for (const name of ofPage)
    expect([name, await new EdgeBackend("team-1", "").call(name, {} as never)]).toEqual([name, { ok: false, error }]);
});

it("of a workspace the page has all chats, the cost in dollars, and what a message lacks; an action has its request's id", async () => {
  const chats = [
    { chats: [{ chat: "c1" }], cursor: "c1" },
    { chats: [{ chat: "c2" }], cursor: null },
  ];
  const message = { id: 1, text: "hello", isClipped: true, expiresInMs: 0, target: { to: "chat", chat: "c2" } };
  const asked: string[] = [];
  vi.stubGlobal("location", { host: "team.example" });
  vi.stubGlobal("fetch", async (url: string, { method, body = "" }: { method: string; body?: string }) => {
    asked.push(`${method} ${url} ${body}`);
    if (url.includes("/chats")) return Response.json(chats.shift());
    return Response.json({ today: { costMicros: 1_250_000 }, messages: [message], isReleased: true });
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  const page = new EdgeBackend("team-1", "token");
  const fleet = await page.call("page.fleet", {});
  expect(fleet).toMatchObject({ value: { chats: [{ chat: "c1" }, { chat: "c2" }], costUsdToday: 1.25 } });
  const messages = [{ text: "hello …", to: "c2", topic: null, status: "expired" }];
  expect(await page.call("page.messages", {})).toMatchObject({ value: { messages } });
  await page.call("chats.drain", { chat: "c1", reason: "no" }, "r1");
  await page.call("tokens.revoke", { id: "t1" }, "r2");
  const base = "/v1/workspaces/team-1";
  expect(asked).toEqual([
    `GET ${base}/chats?limit=200 `,
    `GET ${base}/chats?limit=200&cursor=c1 `,
    `GET ${base}/budgets `,
    `GET ${base}/messages?limit=200 `,
    `POST ${base}/chats/drain {"chat":"c1","reason":"no","requestId":"r1"}`,
    `POST ${base}/tokens/revoke {"id":"t1"}`,
  ]);
});

it("the workspace is read from the token; anything else is none", () => {
  const payload = Buffer.from(JSON.stringify({ w: "team-1", i: "tok" })).toString("base64url");
  expect(workspaceOf(`shim_${payload}.signature`)).toBe("team-1");
  for (const wrong of ["", "shim_", "shim_e30.x", "hello", "shim_%%%.x"]) expect(workspaceOf(wrong)).toBe(null);
});

const link: PairingLink = { id: "i".repeat(44), secret: newPairingSecret() };
const of = { machine: "ada-laptop", scope: "answer", endsAt: 1, pushKey: null } as const;
const granted: Granted = { ...of, key: randomText(32), access: randomText(32) };

/** A coordinator that gives these answers, one after the other. */
function answering(...answers: Answer<unknown>[]) {
  const asked: [path: string, body: Record<string, string>][] = [];
  const post = async (path: string, body: object): Promise<Answer<unknown>> => {
    asked.push([path, body as Record<string, string>]);
    return answers.shift() ?? refused("internal", "no answer is left");
  };
  return { asked, post, wait: async () => undefined };
}

it("a phone introduces itself sealed, shows the number of the terminal, and waits for the grant through failures", async () => {
  const pairing = await beginPairing(link, "Pixel 9, Chrome");
  const deps = answering(
    { ok: true, value: null },
    { ok: true, value: { grant: null } },
    refused("unreachable", "offline"),
    refused("throttled", "slow down"),
    { ok: true, value: { grant: await sealGrant(link, pairing.keys.publicKey, granted) } },
  );
  await introduce(pairing, deps);
  const [path, body] = deps.asked[0] ?? ["", {}];
  expect(path).toBe(`/v1/phones/${link.id}/introduction`);
  const introduction = await openIntroduction(link, body["introduction"] ?? "");
  expect(introduction?.name).toBe("Pixel 9, Chrome");
  expect(await numberOf(pairing)).toBe(await checkNumber(link, introduction?.publicKey ?? ""));
  const { key, ...rest } = granted;
  const answer = await awaitGrant(pairing, deps, new AbortController().signal);
  expect(answer).toMatchObject({ ok: true, value: { ...rest, id: link.id } });
  expect(answer.ok && answer.value.key.extractable).toBe(false);
  expect(JSON.stringify([answer, deps.asked])).not.toContain(key);
  expect(JSON.stringify(deps.asked)).not.toContain(link.secret);
  expect(new Set(deps.asked.slice(1).map(([to]) => to))).toEqual(new Set([`/v1/phones/${link.id}/grant`]));
});

it("a link that is over, one that another phone has opened, and a grant of another machine end the wait, in words", async () => {
  const pairing = await beginPairing(link, "phone");
  const forged = await sealGrant({ ...link, secret: newPairingSecret() }, pairing.keys.publicKey, granted);
  const ends = [
    [refused("unknown_phone", "over"), "expired"],
    [refused("phone_claimed", "claimed"), "Another phone"],
    [{ ok: true, value: { grant: forged } }, "not from your machine"],
  ] as const;
  for (const [answer, words] of ends) {
    const found = await awaitGrant(pairing, answering(answer), new AbortController().signal);
    expect([words, found.ok ? "" : pairingTrouble(found.error)]).toEqual([words, expect.stringContaining(words)]);
  }
});

it("a phone names itself by its model and its browser", () => {
  const iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)";
  const android = "Mozilla/5.0 (Linux; Android 16; K) Chrome/150.0.0.0";
  expect([
    phoneName(`${iphone} Version/18.0 Mobile/1 Safari/604.1`),
    phoneName(`${iphone} CriOS/150.0 Mobile/1 Safari/604.1`),
    phoneName(android, "Pixel 9"),
    phoneName(`${android.replace("K", "SM-S931B")} EdgA/150.0.0.0`),
    phoneName(""),
  ]).toEqual(["iPhone, Safari", "iPhone, Chrome", "Pixel 9, Chrome", "SM-S931B, Edge", "a device, a browser"]);
});

/** The phone's end of a connection; the test is the coordinator. */
class FakeSocket extends EventTarget implements PhoneSocket {
  readonly sent: string[] = [];
  readonly OPEN = 1;
  readyState = 1;
  readonly #onSend: (text: string) => void;

  constructor(onSend: (text: string) => void) {
    super();
    this.#onSend = onSend;
  }

  emit(type: "open" | "message" | "close", fields: object = {}): void {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }

  send(text: string): void {
    this.sent.push(text);
    this.#onSend(text);
  }

  close(): void {
    this.emit("close", { code: 1000 });
  }
}

/** A phone, and a relay and a machine that the test moves by hand. Nothing waits for real time. */
class PhoneRig {
  readonly backend: PhoneBackend;
  readonly sockets: FakeSocket[] = [];
  readonly changes: string[] = [];
  readonly states: boolean[] = [];
  readonly requests: { readonly id: number; readonly name?: string; readonly requestId?: string }[] = [];
  readonly key: string;
  /** Frames of the phone that did not reach the machine. */
  readonly dropped: SealedFrame[] = [];
  overs = 0;
  isOver = false;
  /** The relay passes sealed frames of the phone on. */
  isPassing = true;
  /** The machine opens a session when it is asked. */
  isAnswering = true;
  machine: PhoneChannel | null = null;
  wake: () => void = () => undefined;
  #timers: { readonly at: number; readonly work: () => void }[] = [];
  #now = 0;

  private constructor(key: string, stored: Awaited<ReturnType<typeof importSecret>>) {
    this.key = key;
    const deps: PhoneDeps = {
      connect: () => this.#connect(),
      isOver: async () => this.isOver,
      onOver: async () => void this.overs++,
      forget: async () => undefined,
      after: (ms, work) => {
        const timer = { at: this.#now + ms, work };
        this.#timers.push(timer);
        return () => (this.#timers = this.#timers.filter((one) => one !== timer));
      },
      onWake: (work) => (this.wake = work),
    };
    const phone = { id: "p".repeat(44), machine: "ada-laptop", endsAt: 1, pushKey: null, access: randomText(32) };
    this.backend = new PhoneBackend({ ...phone, scope: "view", key: stored }, deps);
  }

  static async make(): Promise<PhoneRig> {
    const key = randomText(32);
    return new PhoneRig(key, await importSecret(fromBase64url(key)));
  }

  /** A phone with an open session. */
  static async inSession(): Promise<PhoneRig> {
    const rig = await PhoneRig.make();
    void rig.follow();
    rig.last.emit("open");
    await rig.relay({ isThere: true });
    return rig;
  }

  follow(end = new AbortController()): Promise<void> {
    return this.backend.follow(
      (part) => this.changes.push(part),
      (isLive) => this.states.push(isLive),
      end.signal,
    );
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nothing is connected");
    return socket;
  }

  /** The coordinator sends it to the phone. */
  async relay(frame: PhoneFrame | RelayFrame): Promise<void> {
    this.last.emit("message", { data: JSON.stringify(frame) });
    await settled();
  }

  async answer(content: object): Promise<SealedFrame> {
    if (!this.machine) throw new Error("there is no session");
    const frame = await this.machine.seal(content);
    await this.relay(frame);
    return frame;
  }

  async pass(ms: number): Promise<void> {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { work } of due) work();
    await settled();
  }

  #connect(): FakeSocket {
    const socket = new FakeSocket((text) => void this.#hear(text));
    this.sockets.push(socket);
    return socket;
  }

  async #hear(text: string): Promise<void> {
    if (text === "ping") return;
    const frame = JSON.parse(text) as PhoneFrame;
    if ("sealed" in frame) return this.isPassing ? this.receive(frame) : void this.dropped.push(frame);
    if (!this.isAnswering) return;
    const answer = randomText(16);
    this.machine = await PhoneChannel.open("machine", fromBase64url(this.key), frame.open, answer);
    await this.relay({ open: frame.open, answer });
  }

  /** The machine gets a frame. */
  async receive(frame: SealedFrame): Promise<void> {
    const request = await this.machine?.open(frame);
    if (request !== undefined) this.requests.push(request as PhoneRig["requests"][number]);
  }
}

/** Until work of WebCrypto and streams that has begun is done: more of the same kind, after it, is done. */
async function settled(): Promise<void> {
  const key = new Uint8Array(32);
  for (let round = 0; round < 4; round++) {
    const phone = await PhoneChannel.open("phone", key, "", "");
    const machine = await PhoneChannel.open("machine", key, "", "");
    await machine.open(await phone.seal("x"));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const away = {
  ok: false,
  error: { code: "unreachable", message: "ada-laptop is not reachable: it is off, or no chat runs there" },
};

it("calls of a phone are answered by its machine, each by its own answer, in any order; refusals are passed on", async () => {
  const rig = await PhoneRig.inSession();
  expect([rig.states.at(-1), rig.changes, rig.backend.canAnswer]).toEqual([true, ["all"], false]);
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

it("a call that is not answered ends no session in which another one is", async () => {
  const rig = await PhoneRig.inSession();
  const calls = [rig.backend.call("page.fleet", {}), rig.backend.call("page.fleet", {})];
  await settled();
  await rig.answer({ id: rig.requests[1]?.id, value: 1 });
  await rig.pass(10_000);
  expect((await Promise.all(calls)).map(({ ok }) => ok)).toEqual([false, true]);
  expect(rig.last.sent.filter((text) => text.includes("open"))).toHaveLength(1);
});

it("an opening without an answer is asked again; an invented answer opens nothing, and the phone asks once more", async () => {
  const rig = await PhoneRig.make();
  void rig.follow();
  rig.isAnswering = false;
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  await rig.pass(3_000);
  expect(rig.last.sent.filter((text) => text.includes("open"))).toHaveLength(2);
  const { open } = JSON.parse(rig.last.sent.at(-1) ?? "") as { open: string };
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
  const sent = rig.requests.map(({ name, requestId }) => `${name} ${requestId}`);
  expect(sent).toEqual(["sessions.forget r1", "page.fleet undefined", "sessions.forget r1"]);
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
  await rig.pass(1_000);
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  expect(rig.requests.map(({ name }) => name)).toEqual(["page.fleet"]);
});

it("a broken connection is made again after longer and longer waits, at once when the page is shown", async () => {
  const rig = await PhoneRig.make();
  void rig.follow();
  const call = rig.backend.call("page.fleet", {});
  for (const ms of [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]) {
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
  expect(rig.sockets).toHaveLength(9);
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

it("what a dropped connection still says changes nothing of the next one: the page stays live and calls are answered", async () => {
  const rig = await PhoneRig.inSession();
  const dropped = rig.last;
  await rig.pass(30_000);
  await rig.pass(5_000);
  await rig.pass(1_000);
  rig.last.emit("open");
  await rig.relay({ isThere: true });
  expect([rig.sockets.length, rig.states.at(-1)]).toEqual([2, true]);
  for (const name of ["open", "close"] as const) dropped.emit(name, { code: 1006 });
  await settled();
  expect(rig.states.at(-1)).toBe(true);
  const call = rig.backend.call("page.fleet", {});
  await settled();
  await rig.answer({ id: rig.requests.at(-1)?.id, value: 1 });
  expect(await call).toEqual({ ok: true, value: 1 });
  await rig.pass(30_000);
  await rig.pass(5_000);
  expect(rig.states.at(-1)).toBe(false);
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
