/** `npm run stress -- <name>`: runs one long test; `npm run stress` lists their names and options. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "../src/shared/error.ts";

interface TestRun {
  readonly about: string;
  /** File of `test/<project>`. */
  readonly test: string;
  /** Options, each with the variable that the test reads and the value without the option. */
  readonly options: Readonly<Record<string, { readonly env: string; readonly value: string; readonly min?: 0 }>>;
}

const runs: Readonly<Record<string, TestRun>> = {
  race: {
    about: "100 clients claim the same task, round by round, at a real runtime",
    test: "e2e/claim-race.test.ts",
    options: { rounds: { env: "SHIM_RACE_ROUNDS", value: "1000" } },
  },
  crash: {
    about: "the server is killed at random moments, and what it acknowledged is read again, with the built programs",
    test: "e2e/crash.test.ts",
    options: {
      rounds: { env: "SHIM_CRASH_ROUNDS", value: "1000" },
      seed: { env: "SHIM_CRASH_SEED", value: "1" },
    },
  },
  "host-kills": {
    about: "host, fronts, hooks and clients are killed in all combinations, with the built programs",
    test: "e2e/kill-rounds.test.ts",
    options: {
      rounds: { env: "SHIM_HOST_KILL_ROUNDS", value: "10000" },
      seed: { env: "SHIM_HOST_KILL_SEED", value: "1" },
    },
  },
  "sync-crash": {
    about: "machine and coordinator are killed, round by round, while one syncs with the other",
    test: "e2e/sync-crash.test.ts",
    options: { rounds: { env: "SHIM_SYNC_CRASH_ROUNDS", value: "1000" } },
  },
  "supervise-kills": {
    about: "a supervised Claude Code is killed again and again, with the built programs",
    test: "e2e/supervise-kills.test.ts",
    options: { rounds: { env: "SHIM_KILL_ROUNDS", value: "200" }, seed: { env: "SHIM_KILL_SEED", value: "1" } },
  },
  "evolve-kill": {
    about:
      "shim code evolve is killed at random moments, and the next run has to finish it; --rounds 1 --seed N repeats one",
    test: "night/evolve-kill.test.ts",
    options: {
      rounds: { env: "SHIM_EVOLVE_KILL_ROUNDS", value: "60" },
      seed: { env: "SHIM_EVOLVE_KILL_SEED", value: "1" },
    },
  },
  processes: {
    about: "the server is started and ended in every way, again and again, with the built programs",
    test: "e2e/processes.test.ts",
    options: { starts: { env: "SHIM_PROCESS_STARTS", value: "1000" } },
  },
  "early-deaths": {
    about: "sessions die before their first checkpoint, one after the other, and the prompts of the first are kept",
    test: "node/machine/recovery/offers.test.ts",
    options: { deaths: { env: "SHIM_EARLY_DEATHS", value: "200" } },
  },
  "restored-edits": {
    about: "random edits of a folder are saved and restored byte for byte",
    test: "node/snapshots/restore.test.ts",
    options: { sequences: { env: "SHIM_RESTORED_EDITS", value: "25" } },
  },
  experiments: {
    about: "trials without an effect, with one and with a harm, read as a machine reads them",
    test: "node/learning/experiments/judging.test.ts",
    options: {
      runs: { env: "SHIM_EXPERIMENT_RUNS", value: "1000" },
      seed: { env: "SHIM_EXPERIMENT_SEED", value: "1" },
    },
  },
  crowd: {
    about: "chats with an MCP process each work as one team, a third of them on one machine; --pause: ms between calls",
    test: "night/crowd.test.ts",
    options: {
      chats: { env: "SHIM_CROWD_CHATS", value: "30" },
      seconds: { env: "SHIM_CROWD_SECONDS", value: "120" },
      pause: { env: "SHIM_CROWD_PAUSE_MS", value: "500", min: 0 },
    },
  },
};

const [name = "", ...args] = process.argv.slice(2);
const start = await chooseRun();
if (start !== null) await start();

/** @returns null after a complaint: nothing is started */
async function chooseRun(): Promise<(() => void | Promise<void>) | null> {
  try {
    if (name === "neighbour") {
      const { attackAll, chooseAttacks } = await import("../bench/stress/attack-run.ts");
      const { missed } = await import("../bench/stress/attack-run.ts");
      const attacks = chooseAttacks(args);
      return async () => {
        const outcomes = await attackAll(attacks);
        // A workerd that hangs is not waited for.
        process.exit(outcomes.some((outcome) => missed(outcome).length > 0) ? 1 : 0);
      };
    }
    if (name === "releases") {
      const { chooseReleases, mixReleases } = await import("../bench/stress/releases.ts");
      const chosen = chooseReleases(args);
      return () => mixReleases(chosen);
    }
    const run = Object.hasOwn(runs, name) ? runs[name] : undefined;
    if (!run) throw new Error(name === "" ? "Name one of these:" : `There is no run "${name}". There are:`);
    const env = readOptions(run);
    return () => runTest(run, env);
  } catch (error) {
    const lines = Object.entries(runs).map(([one, { about, options }]) => {
      const usage = Object.entries(options).map(([option, { value }]) => `[--${option} ${value}]`);
      return `  ${one} ${usage.join(" ")}\n    ${about}`;
    });
    const neighbour = "  neighbour [--seconds 10] [--attacks <name>,...]\n    what a chat notices of attacks beside it";
    const releases =
      "  releases --base <commit> [--seconds 20] [--chats 8]\n    Workers, objects and clients of two versions serve one workspace at once";
    console.error([messageOf(error), ...lines, neighbour, releases].join("\n"));
    process.exitCode = 2;
    return null;
  }
}

/** @throws {Error} for an option that the run does not have, or a value that is no such number */
function readOptions({ options }: TestRun): NodeJS.ProcessEnv {
  const declared = Object.keys(options).map((option) => [option, { type: "string" }] as const);
  const { values } = parseArgs({ args, options: Object.fromEntries(declared) });
  const variables = Object.entries(options).map(([option, { env, value, min = 1 }]) => {
    const text = values[option] ?? value;
    if (!/^\d{1,6}$/.test(text) || Number(text) < min) throw new Error(`--${option} is a number from ${min} on.`);
    return [env, text];
  });
  return Object.fromEntries(variables);
}

/** Runs the test for longer than every day; its exit code becomes that of this process. */
function runTest({ test }: TestRun, env: NodeJS.ProcessEnv): void {
  const root = join(import.meta.dirname, "..");
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const [project = ""] = test.split("/");
  const ran = spawnSync(process.execPath, [vitest, "run", "--project", `${project}*`, `test/${test}`], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
  });
  process.exitCode = ran.status ?? 1;
}
