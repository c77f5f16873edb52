import { expect, it } from "vitest";
import type { CoordinatorClient } from "#src/coordinator-client/coordinator-client.ts";
import { Holdings, type Holder } from "#src/machine/team/holdings.ts";
import { FakeTime, Machine } from "#harness/clock/fake-time.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const workspace = "w1";
const link = { self: { chat: "a", incarnation: 1 } } as unknown as CoordinatorClient;

/** A process whose chats take `times` down, by session. */
function aProcess(time: FakeTime, runtime: TempRuntime) {
  const machine = new Machine(time);
  const times: Record<string, number[]> = {};
  const timers = new Set<object>();
  const setTimer = (work: () => void, ms: number): (() => void) => {
    const timer = {};
    timers.add(timer);
    const run = (): void => {
      timers.delete(timer);
      work();
    };
    const cancel = machine.setTimer(run, ms);
    return () => {
      timers.delete(timer);
      cancel();
    };
  };
  const holders = new Map<string, Holder>();
  const holdings = new Holdings({ runtime, platform: { clock: machine.clock, setTimer }, workspace, holders });
  const serve = (sessionId: string, answer = Promise.resolve()): void => {
    const seen: number[] = (times[sessionId] = []);
    const renew = async (): Promise<void> => {
      seen.push(Math.round(time.now / 1_000));
      await answer;
    };
    holders.set(sessionId, { sessionId, renew });
    holdings.check();
  };
  const lead = (sessionId: string, resource: string): void =>
    void holdings.put({ link, sessionId }, { kind: "leadership", resource, token: 1, body: { requestId: "r" } });
  return { holdings, holders, times, timers, serve, lead };
}

it("one timer renews what all chats of a process hold, each in its interval; an answer that does not come delays no other chat", async () => {
  const time = new FakeTime();
  const { serve, lead, timers, times, holders, holdings } = aProcess(time, tempRuntime());
  for (const session of ["a", "b"]) serve(session);
  serve("hangs", Promise.withResolvers<void>().promise);
  expect(timers.size).toBe(0);
  lead("a", "plan");
  await time.pass(5_000);
  for (const session of ["b", "hangs"]) lead(session, session);
  await time.pass(45_000);
  expect([times, timers.size]).toEqual([{ a: [15, 30, 45], b: [20, 35, 50], hangs: [20] }, 1]);
  holders.clear();
  holdings.check();
  expect(timers.size).toBe(0);
});

it("a process that has started since renews at once what its chats hold; the lease of a session needs no renewal", async () => {
  const time = new FakeTime();
  const runtime = tempRuntime();
  const first = aProcess(time, runtime);
  first.serve("a");
  first.lead("a", "plan");
  first.holdings.put({ link, sessionId: "b" }, { kind: "session", resource: "ses_1", token: 7, body: {} });
  first.holders.clear();
  await time.pass(1_000);
  const next = aProcess(time, runtime);
  next.serve("b");
  expect(next.timers.size).toBe(0);
  next.serve("a");
  await time.pass(20_000);
  expect([first.times["a"], next.times["a"], next.times["b"]]).toEqual([[], [1, 16], []]);
});
