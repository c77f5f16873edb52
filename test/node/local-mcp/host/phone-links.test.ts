import { PhoneRelay } from "#src/coordinator-client/phone-relay.ts";
import { PhoneLinks } from "#src/local-mcp/host/phone-links.ts";
import { changePhones } from "#src/machine/sharing/phones/phone-file.ts";
import { randomBytes } from "node:crypto";
import type { SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { PhoneLink } from "#src/local-mcp/host/phone-link.ts";
import { PhoneChannel, type SealedFrame } from "#src/pairing/channel.ts";
import { fromBase64url, randomText } from "#src/pairing/sealing.ts";
import { expect, it, vi, onTestFinished } from "vitest";
import { nameOf, writeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { patience } from "#harness/machine/programs.ts";
import { tokenOf } from "#harness/sync/sync-machine.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const edge = { url: "http://127.0.0.1:9", workspace: "team", machine: "m1", token: tokenOf("m1") };
const about = { id: "p", name: "Pixel 9", browser: "", scope: "view", workspace: "" } as const;
const pixel = { ...about, own: null, pairedAt: 0, endsAt: 1, seenAt: null, push: null, pushed: null };

/** A phone's pages, and the machine's end of their connection. */
function aPhoneLink(call: () => Promise<{ ok: true; value: unknown }>) {
  const key = randomText(32);
  const frames: string[] = [];
  const time = new FakeTime();
  const state = { connections: 0, aheadMs: 1_000_000 };
  let events: SocketEvents | undefined;
  const link = new PhoneLink({
    phone: { ...pixel, key },
    connect: (given) => {
      events = given;
      state.connections += 1;
      return { send: (text) => void frames.push(text), close: () => undefined };
    },
    refusal: async () => null,
    setTimer: time.setTimer,
    now: () => time.now + state.aheadMs,
    call,
    onPush: async () => ({ last: null }),
    onSeen: () => undefined,
    log: () => undefined,
  });
  onTestFinished(() => link.close());
  const nextFrame = async (): Promise<string> => {
    await vi.waitUntil(() => frames.length > 0, patience);
    return frames.shift() ?? "";
  };
  events?.onOpen();
  /** A page that is open. */
  const page = async () => {
    const session = randomText(16);
    events?.onText(JSON.stringify({ open: session }));
    const { answer, at } = JSON.parse(await nextFrame()) as { answer: string; at: number };
    // The clock of the phone is another one.
    const times = { at, now: () => time.now + state.aheadMs + 3_600_000 };
    const channel = await PhoneChannel.open("phone", fromBase64url(key), session, answer, times);
    const send = async (content: object): Promise<void> => events?.onText(JSON.stringify(await channel.seal(content)));
    const ask = (id: number): Promise<void> => send({ id, name: "page.fleet", input: {} });
    const held = async (id: number): Promise<() => void> => {
      const frame = JSON.stringify(await channel.seal({ id, name: "page.fleet", input: {} }));
      return () => events?.onText(frame);
    };
    return { ask, send, held, heard: async () => channel.open(JSON.parse(await nextFrame()) as SealedFrame) };
  };
  return { link, page, frames, time, state, relay: (text: string) => events?.onText(text) };
}

it("of a phone sixteen calls are answered at once and eight pages are known; an answer that is too large is an error", async () => {
  const busy = await aPhoneLink(() => new Promise(() => {})).page();
  for (let id = 0; id < 17; id++) await busy.ask(id);
  expect(await busy.heard()).toMatchObject({ id: 16, error: { code: "throttled" } });
  const values = [randomBytes(1_000_000).toString("base64"), 1];
  const many = aPhoneLink(async () => ({ ok: true, value: values.shift() }));
  const first = await many.page();
  await first.ask(1);
  expect(await first.heard()).toMatchObject({ id: 1, error: { code: "too_large" } });
  const others = [];
  for (let n = 0; n < 8; n++) others.push(await many.page());
  await first.ask(2);
  await others[7]?.ask(3);
  expect([await others[7]?.heard(), many.frames]).toEqual([{ id: 3, value: 1 }, []]);
});

it("a frame that the relay holds back for more than eight seconds is not done, and the next one is", async () => {
  const calls: number[] = [];
  const link = aPhoneLink(async () => ({ ok: true, value: calls.push(link.state.aheadMs) }));
  const page = await link.page();
  const [inTime, late] = [await page.held(1), await page.held(2)];
  link.state.aheadMs += 8_000;
  inTime();
  expect(await page.heard()).toEqual({ id: 1, value: 1 });
  link.state.aheadMs += 1;
  late();
  await page.ask(3);
  expect(await page.heard()).toEqual({ id: 3, value: 2 });
});

it("a relay that floods, invents openings, or sends frames without end is cut off, and connected again later", async () => {
  for (const flood of ["x", JSON.stringify({ open: randomText(16) }), "x".repeat(1_000_300)]) {
    const link = aPhoneLink(async () => ({ ok: true, value: 1 }));
    for (let frames = 0; frames < 1_000; frames += 1) link.relay(flood);
    // Eighteen openings at once are the most.
    await vi.waitUntil(() => link.time.timers > 0, patience);
    expect(link.frames.length).toBeLessThanOrEqual(18);
    await link.time.pass(60_000);
    expect(link.state.connections).toBe(2);
  }
});

it("a connection with a phone's coordinator on which no ping is answered is made again", async () => {
  const { frames, time, state } = aPhoneLink(async () => ({ ok: true, value: 1 }));
  await time.pass(15_000);
  expect([frames, state.connections]).toEqual([["ping"], 1]);
  await time.pass(5_000);
  expect(state.connections).toBe(2);
});

it("a page that asks whether its machine is there is answered by itself, and chooses how it is notified", async () => {
  const { page } = aPhoneLink(async () => ({ ok: true, value: 1 }));
  const { send, heard } = await page();
  await send({ id: 1, ping: true });
  expect(await heard()).toEqual({ id: 1, value: {} });
  await send({ id: 2, push: null, isTest: false });
  expect(await heard()).toEqual({ id: 2, value: { last: null } });
});

it("a phone hears of a change at once, and of those within a quarter of a second together", async () => {
  const { link, page, relay, time, frames } = aPhoneLink(async () => ({ ok: true, value: 1 }));
  const { heard } = await page();
  link.changed("sessions");
  relay(JSON.stringify({ pages: 1 }));
  for (const part of ["sessions", "team", "sessions"] as const) link.changed(part);
  expect(await heard()).toEqual({ changed: "sessions" });
  await time.pass(249);
  expect(frames).toEqual([]);
  await time.pass(1);
  expect(await heard()).toEqual({ changed: "all" });
});

it("the connection with a phone ends with the time of its pairing", () => {
  const runtime = tempRuntime();
  const { home } = runtime.paths;
  writeEdgeConfig(home, edge);
  const phone = { ...pixel, key: randomText(32), workspace: nameOf(edge), endsAt: runtime.now() + 60_000 };
  changePhones(home, runtime.now(), () => ({ port: null, offered: [], phones: [phone] }));
  const close = vi.fn<() => void>();
  vi.spyOn(PhoneRelay.prototype, "connect").mockReturnValue({ send: () => undefined, close });
  onTestFinished(() => void vi.restoreAllMocks());
  const links = new PhoneLinks(runtime);
  onTestFinished(() => links.close());
  links.refresh();
  runtime.wait(59_999);
  links.refresh();
  expect(close).not.toHaveBeenCalled();
  runtime.wait(1);
  links.refresh();
  expect(close).toHaveBeenCalledOnce();
});
