import * as fc from "fast-check";
import { expect, it } from "vitest";
import { brokenCode, Connection, type Line, type LineEvents } from "#src/pairing/connection.ts";
import { forAllAsync } from "#harness/properties.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";

/** A network that the test cuts and mends, with lines that notice it late, or never. */
class Network {
  readonly time = new FakeTime();
  readonly lines: FakeLine[] = [];
  isThere = true;
  isHidden = false;
  /** In which a try without a network fails; null: packets are dropped, and nothing says so. */
  failsAfterMs: number | null = null;
  readonly heard: string[] = [];
  readonly connection = new Connection<FakeLine>({
    open: (events) => {
      const line = new FakeLine(this, events);
      this.lines.push(line);
      return line;
    },
    setTimer: this.time.setTimer,
    isHidden: () => this.isHidden,
    onUp: () => this.heard.push("up"),
    onDown: () => this.heard.push("down"),
  });

  get isUp(): boolean {
    return this.connection.up !== null;
  }

  get alive(): FakeLine[] {
    return this.lines.filter(({ isClosed }) => !isClosed);
  }
}

const tripMs = 200;

class FakeLine implements Line {
  readonly events: LineEvents;
  readonly #network: Network;
  isClosed = false;
  #hasOpened = false;

  constructor(network: Network, events: LineEvents) {
    [this.#network, this.events] = [network, events];
    const { time } = network;
    if (network.isThere) time.setTimer(() => void (network.isThere && !this.isClosed && this.opened()), tripMs);
    else if (network.failsAfterMs !== null)
      time.setTimer(() => void (this.#hasOpened || this.down(brokenCode)), network.failsAfterMs);
  }

  /** It is open, and says so now: as a try it can no longer fail. */
  opened(): void {
    this.#hasOpened = true;
    this.events.onUp();
  }

  ping(): void {
    const { time } = this.#network;
    if (this.#network.isThere) time.setTimer(() => void (this.#network.isThere && this.events.onHeard()), tripMs);
  }

  /** It has closed, and says so now. */
  down(code: number): void {
    this.isClosed = true;
    this.events.onDown(code);
  }

  close(): void {
    this.isClosed = true;
  }
}

it("a line that is up is asked for a sign after 15 s, and one that gives none is given up within 4 s more", async () => {
  const network = new Network();
  network.connection.begin();
  await network.time.pass(tripMs);
  expect(network.isUp).toBe(true);
  await network.time.pass(60_000);
  expect([network.lines.length, network.isUp]).toEqual([1, true]);
  network.isThere = false;
  await network.time.pass(19_000);
  expect([network.isUp, network.lines[0]?.isClosed]).toEqual([false, true]);
});

it("a network that drops packets for a second to an hour is found again within five seconds of its return", async () => {
  for (const lostMs of [1_000, 3_000, 19_000, 20_000, 47_123, 600_000, 3_600_000]) {
    const network = new Network();
    network.connection.begin();
    await network.time.pass(tripMs);
    network.isThere = false;
    await network.time.pass(lostMs);
    network.isThere = true;
    await network.time.pass(5_000);
    expect([lostMs, network.isUp]).toEqual([lostMs, true]);
    expect(network.alive.length).toBe(1);
  }
});

it("a line that the other end closes soon after each opening waits longer each time; once one was wanted, a second", async () => {
  const network = new Network();
  network.connection.begin();
  const waited: number[] = [];
  for (let n = 0; n < 7; n++) {
    await network.time.pass(tripMs);
    network.connection.up?.down(1000);
    const [count, began] = [network.lines.length, network.time.now];
    while (network.lines.length === count) await network.time.pass(100);
    waited.push(network.time.now - began);
  }
  expect(waited).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  await network.time.pass(tripMs + 10_000);
  network.connection.up?.down(1000);
  await network.time.pass(1_000 + tripMs);
  expect(network.isUp).toBe(true);
});

it("a page that nobody sees begins no try, and begins one as soon as it is shown", async () => {
  const network = new Network();
  network.isHidden = true;
  network.connection.begin();
  await network.time.pass(60_000);
  expect(network.lines.length).toBe(0);
  network.isHidden = false;
  network.connection.wake();
  await network.time.pass(tripMs);
  expect(network.isUp).toBe(true);
});

/** All that can happen, with a drawn number: a time in ms, or which line, counted from the newest. */
const happenings = {
  passes: ({ time }: Network, n: number) => time.pass(n),
  loses: (network: Network) => void (network.isThere = false),
  mends: (network: Network) => void (network.isThere = true),
  hides: (network: Network) => void (network.isHidden = true),
  shows: (network: Network) => {
    network.isHidden = false;
    network.connection.wake();
  },
  wakes: ({ connection }: Network) => connection.wake(),
  opens: ({ lines }: Network, n: number) => lines.at(-1 - (n % 7))?.opened(),
  hears: ({ lines }: Network, n: number) => lines.at(-1 - (n % 7))?.events.onHeard(),
  breaks: ({ lines }: Network, n: number) => lines.at(-1 - (n % 7))?.down(brokenCode),
  closes: ({ lines }: Network, n: number) => lines.at(-1 - (n % 7))?.down(1000),
};

it("whatever order of losses, late reports of earlier lines, sleep and wakes: at most one line counts, few are open, and five seconds after the network is there for good the connection stands", async () => {
  const step = fc.tuple(fc.constantFrom(...(Object.keys(happenings) as (keyof typeof happenings)[])), fc.nat(40_000));
  await forAllAsync(
    300,
    [fc.array(step, { maxLength: 30 }), fc.option(fc.constantFrom(1, 2_000, 30_000))],
    async (steps, failsAfterMs) => {
      const network = new Network();
      network.failsAfterMs = failsAfterMs;
      const { time, connection, lines, heard } = network;
      connection.begin();
      for (const [one, n] of steps) {
        await happenings[one](network, n);
        expect(network.alive.length).toBeLessThanOrEqual(5);
        const open = network.alive.filter((line) => line === connection.up);
        expect(open.length).toBe(connection.up === null ? 0 : 1);
        expect(heard.filter((_, at) => heard[at] === heard[at - 1])).toEqual([]);
        expect(heard.at(-1) === "up").toBe(network.isUp);
      }
      network.isHidden = false;
      network.isThere = true;
      connection.wake();
      await time.pass(5_000);
      expect(network.isUp).toBe(true);
      network.isThere = false;
      await time.pass(20_000);
      expect(network.isUp).toBe(false);
      connection.end();
      const count = lines.length;
      await time.pass(3_600_000);
      expect([lines.length, time.timers, network.isUp]).toEqual([count, 0, false]);
    },
  );
});
