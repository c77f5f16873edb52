import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { aMachine, expectClean, seeded } from "#harness/evolution/sample-project.ts";
import { setting } from "#harness/machine/mcp-process.ts";
import { outputOf, type MachineHome } from "#harness/machine/programs.ts";

const rounds = setting("SHIM_EVOLVE_KILL_ROUNDS", 1);
const seed = setting("SHIM_EVOLVE_KILL_SEED", 1);

/** Lines that a run writes about its progress before it ends. */
const progressLines = 16;
const maxLaterMs = 2_000;

type Moment = ReturnType<typeof momentOf>;

/** Each round has a seed of its own, so that one can be repeated alone. */
function momentOf(ownSeed: number) {
  const random = seededRandom(ownSeed);
  return { line: Math.floor(random() * progressLines), laterMs: Math.floor(random() * maxLaterMs) };
}

/** @returns how it ended: null for the kill */
async function runAndKill(machine: MachineHome, { line, laterMs }: Moment): Promise<number | null> {
  const first = machine.spawn(["code", "evolve", "--trust"]);
  let seen = 0;
  const killLater = (): void => void setTimeout(() => first.kill("SIGKILL"), laterMs);
  if (line === 0) killLater();
  first.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const isBefore = seen < line;
    seen += text.split("\n").length - 1;
    if (isBefore && seen >= line) killLater();
  });
  return (await outputOf(first)).code;
}

it(
  `${rounds} kills -9 at random moments: the next run tries what is left, no change twice, no branch lost, nothing left @night`,
  async () => {
    for (let round = 0; round < rounds; round++) {
      const moment = momentOf(seed + round);
      const machine = aMachine(seeded);
      const ended = await runAndKill(machine, moment);
      const message = `seed ${seed + round}: killed ${moment.laterMs} ms after line ${moment.line}`;
      console.log(`${message}${ended === null ? "" : ", when it had ended"}`);
      const second = await machine.shim("code", "evolve", "--trust");
      expect(second.code, `${message}: ${second.err}`).toBe(0);
      expectClean(machine, 2);
      expect(existsSync(join(machine.project, ".git", "index.lock")), message).toBe(false);
    }
  },
  60_000 + rounds * 120_000,
);
