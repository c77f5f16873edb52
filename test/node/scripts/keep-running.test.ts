import { expect, it } from "vitest";
import { keepRunning, type Kept } from "../../../scripts/keep-running.ts";

const T0 = 1_700_000_000_000;

/** A runtime of which each look says what it does then. */
class Script {
  readonly told: string[] = [];
  readonly end = new AbortController();
  starts = 0;
  open = 0;
  now = T0;
  readonly #steps: (() => boolean)[];
  readonly #failingStarts: Set<number>;
  #runtime = { restarts: 0 };

  /** @param steps each returns whether the coordinator answers; behind the last one the user ends it */
  constructor(steps: (() => boolean)[], failingStarts: readonly number[] = []) {
    this.#steps = steps;
    this.#failingStarts = new Set(failingStarts);
  }

  readonly dies = (): boolean => {
    this.#runtime.restarts += 1;
    return true;
  };

  /** Does not answer for so long, in ms. */
  silent(ms: number): boolean {
    this.now += ms;
    return false;
  }

  run(): Promise<void> {
    return keepRunning({
      start: () => this.#start(),
      isAnswering: () => Promise.resolve(this.#look()),
      everyMs: 1_000,
      now: () => this.now,
      pause: () => Promise.resolve(),
      onStart: (url) => this.told.push(`at ${url}`),
      tell: (line) => this.told.push(line),
      signal: this.end.signal,
    });
  }

  #start(): Promise<Kept> {
    this.starts += 1;
    if (this.#failingStarts.has(this.starts)) {
      return Promise.reject(new Error("the port is in use"));
    }
    this.open += 1;
    const runtime = { restarts: 0, url: "http://127.0.0.1:1", close: () => Promise.resolve(void (this.open -= 1)) };
    this.#runtime = runtime;
    return Promise.resolve(runtime);
  }

  #look(): boolean {
    const step = this.#steps.shift();
    if (!step) this.end.abort();
    return step?.() ?? true;
  }
}

const answers = (): boolean => true;
it("a runtime that answers is left alone until the user ends it", async () => {
  const script: Script = new Script([answers, late, answers, late, late, answers, soon, soon, soon, soon]);
  function late(): boolean {
    return script.silent(19_000);
  }
  function soon(): boolean {
    return script.silent(1_000);
  }
  await script.run();
  expect([script.starts, script.open, script.told]).toEqual([1, 0, ["at http://127.0.0.1:1"]]);
});

it("a runtime that was killed is reported, once each time", async () => {
  const dying: Script = new Script([() => dying.dies(), answers, () => dying.dies(), answers, answers]);
  await dying.run();
  expect([dying.starts, dying.open]).toEqual([1, 0]);
  expect(dying.told.slice(1)).toEqual([
    "The runtime has ended unexpectedly; it is started again with the same state (crash 1 of at most 4 within 15 minutes).",
    "The runtime has ended unexpectedly; it is started again with the same state (crash 2 of at most 4 within 15 minutes).",
  ]);
});

it("a runtime that does not answer for 20 seconds is closed and started again", async () => {
  const script: Script = new Script([silent, silent, silent, answers]);
  function silent(): boolean {
    return script.silent(10_000);
  }
  await script.run();
  expect([script.starts, script.open]).toEqual([2, 0]);
  expect(script.told[1]).toMatch(/^The runtime no longer answers; it is started again with the same state/);
});

it("the fifth crash within 15 minutes ends it, with the reason; older ones do not count", async () => {
  const looping: Script = new Script(Array.from({ length: 9 }, () => () => looping.dies()));
  await expect(looping.run()).rejects.toThrow(
    /^The runtime has ended unexpectedly\. That was crash 5 within 15 minutes/,
  );
  expect([looping.open, looping.told.length]).toEqual([0, 5]);
  const rare: Script = new Script(
    Array.from({ length: 9 }, () => () => {
      rare.now += 300_000;
      return rare.dies();
    }),
  );
  await rare.run();
  expect(rare.told).toHaveLength(10);
});

it("a start that fails is tried again, but for the first one", async () => {
  const script: Script = new Script([silent, silent, silent, answers], [2]);
  function silent(): boolean {
    return script.silent(10_000);
  }
  await script.run();
  expect([script.starts, script.open]).toEqual([3, 0]);
  expect(script.told[2]).toMatch(/^The runtime cannot be started: the port is in use; it is started again/);
  const never = new Script([], [1]);
  await expect(never.run()).rejects.toThrow("the port is in use");
  expect([never.starts, never.open]).toEqual([1, 0]);
});
