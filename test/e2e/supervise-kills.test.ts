import { expect, it, vi } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";
import { type ClaudeRun, isThere, prompt, SupervisorProcessRig } from "#harness/supervisor/supervisor-process.ts";

/** `npm run stress -- supervise-kills --rounds 200` */
const rounds = setting("SHIM_KILL_ROUNDS", 12);
const seed = setting("SHIM_KILL_SEED", 1);
const quick = { firstMs: 10, mostMs: 50, loopCrashes: 1_000_000 };

function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 120_000, interval: 20 });
}

/** Kills Claude Code itself, the process that keeps it, all of its group, or first its tools. */
function kill({ pids, keeper }: ClaudeRun, draw: (below: number) => number): void {
  const [own = 0, ...tools] = pids;
  const signal = (["SIGKILL", "SIGSEGV", "SIGABRT"] as const)[draw(3)] ?? "SIGKILL";
  switch (draw(4)) {
    case 0:
      return void process.kill(own, signal);
    case 1:
      return void process.kill(keeper, "SIGKILL");
    case 2:
      return void process.kill(-keeper, "SIGKILL");
    default:
      killEvery([...tools, own].map((pid) => ({ pid })));
  }
}

/** The next run goes on with this one: in its session, or in a new one that has its brief. */
function expectToContinue(next: ClaudeRun, before: ClaudeRun, isBroken: boolean): void {
  expect([next.alive, before.pids.filter(isThere)]).toEqual([[], []]);
  expect(next.isResumed).toBe(!isBroken);
  expect(next.session === before.session).toBe(!isBroken);
  const brief = isBroken ? next.prompt : next.context;
  expect(brief).toContain(before.session);
  expect(brief).toContain(prompt);
}

it(
  `${rounds} random kills: Claude Code works again each time, nothing is left over, never two @night`,
  async () => {
    const random = seededRandom(seed);
    const draw = (below: number): number => Math.floor(below * random());
    const home = new SupervisorProcessRig(quick);
    const supervisor = home.supervise();
    let before = await home.started(1);
    expect(before.prompt).toBe(prompt);
    // What a run writes is decided before it begins.
    let isBroken = false;
    for (let round = 1; round <= rounds; round++) {
      const isNextBroken = draw(3) === 0;
      home.breakTranscripts(isNextBroken);
      kill(before, draw);
      const next = await home.started(round + 1);
      expectToContinue(next, before, isBroken);
      before = next;
      isBroken = isNextBroken;
    }
    expect(home.runs()).toHaveLength(rounds + 1);
    supervisor.kill("SIGTERM");
    expect(await supervisor.ended).toBe(0);
    await until(() => expect(before.pids.filter(isThere)).toEqual([]));
  },
  rounds * 10_000 + 60_000,
);

it("a supervisor that is killed takes everything with it, and the next one continues with one of each @night", async () => {
  const home = new SupervisorProcessRig(quick);
  let before: ClaudeRun | null = null;
  for (let round = 1; round <= 3; round++) {
    const supervisor = home.supervise();
    const run = await home.started(round);
    if (before) expectToContinue(run, before, false);
    supervisor.kill("SIGKILL");
    await supervisor.ended;
    before = run;
  }
  await until(() => expect(before?.pids.filter(isThere)).toEqual([]));
});
