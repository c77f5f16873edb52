import { expect, it, vi } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import { isThere, prompt, SupervisorProcessRig, type ClaudeRun } from "#harness/supervisor/supervisor-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

/** `node scripts/supervise-kills.ts --rounds 200` asks for more. */
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
    const waits: number[] = [];
    let before = await home.started(1);
    expect(before.prompt).toBe(prompt);
    // What a run writes is decided before it begins.
    let isBroken = false;
    for (let round = 1; round <= rounds; round++) {
      const isNextBroken = draw(3) === 0;
      home.breakTranscripts(isNextBroken);
      const killedAt = performance.now();
      kill(before, draw);
      const next = await home.started(round + 1);
      waits.push(performance.now() - killedAt);
      expectToContinue(next, before, isBroken);
      before = next;
      isBroken = isNextBroken;
    }
    expect(home.runs()).toHaveLength(rounds + 1);
    supervisor.kill("SIGTERM");
    expect(await supervisor.ended).toBe(0);
    await until(() => expect(before.pids.filter(isThere)).toEqual([]));
    const sorted = waits.sort((a, b) => a - b);
    const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
    console.log(
      `${rounds} kills, seed ${seed}: back after ${at(0.5)} ms (median), ${at(0.95)} ms (95 %), ${at(1)} ms (most)`,
    );
  },
  rounds * 10_000 + 60_000,
);

it("a supervisor that is killed takes everything with it, and the next one continues with one of each", async () => {
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

it("a crash loop is stopped and reported, also by the next supervisor, until the user asks for a retry @night", async () => {
  const home = new SupervisorProcessRig({ firstMs: 10, mostMs: 50 });
  const first = home.supervise();
  for (let crash = 1; crash <= 5; crash++) process.kill((await home.started(crash)).pids[0] ?? 0, "SIGKILL");
  await until(() => expect(first.events.at(-1)).toMatchObject({ event: "ended", phase: "looping", againInMs: null }));
  expect(await home.ask("worker", "supervise", "status")).toMatchObject({
    watched: [{ name: "fix", phase: "looping" }],
  });
  first.kill("SIGTERM");
  await first.ended;
  const second = home.supervise();
  await second.until("supervising");
  expect(await home.ask("worker", "supervise", "status")).toMatchObject({ watched: [{ phase: "looping" }] });
  expect(home.runs()).toHaveLength(5);
  expect(await home.ask("worker", "supervise", "retry", "fix")).toMatchObject({ name: "fix" });
  expect(await home.started(6)).toMatchObject({ isResumed: true, alive: [] });
  second.kill("SIGTERM");
  expect(await second.ended).toBe(0);
});
