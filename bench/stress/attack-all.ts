import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import { attacks, isAttack, type AttackName } from "./attacks.ts";
import { ms, ratio, share } from "../measure.ts";
import { missed, targets, underAttack, type Outcome } from "./run.ts";

interface Attacks {
  readonly names: readonly AttackName[];
  /** Length of each attack. */
  readonly ms: number;
}

/** @throws {Error} for an unusable option */
export function chooseAttacks(args: string[]): Attacks {
  const { values } = parseArgs({
    args,
    options: {
      seconds: { type: "string", default: "10" },
      attacks: { type: "string", default: Object.keys(attacks).join(",") },
    },
  });
  const names = values.attacks.split(",");
  const known = names.filter(isAttack);
  if (!/^[1-9]\d{0,3}$/.test(values.seconds)) throw new Error("--seconds is a number from 1 on, for each attack.");
  if (known.length < names.length) throw new Error(`--attacks takes ${Object.keys(attacks).join(",")}.`);
  return { names: known, ms: Number(values.seconds) * 1_000 };
}

/** What an ordinary chat notices of attacks, each on a new coordinator under workerd; prints a table. */
export async function attackAll({ names, ms: forMs }: Attacks): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const name of names) {
    console.error(`under attack: ${name} ...`);
    outcomes.push(await withEdge((edge, state) => underAttack(edge, state, name, forMs)));
  }
  console.log(table(outcomes));
  return outcomes;
}

/** The worst of all attacks: times beside the undisturbed ones of the same run, in ms, and memory in MB. */
export async function neighbour(args: readonly string[]) {
  const given = args.includes("--seconds") || share === 1 ? args : [...args, "--seconds", "1"];
  const outcomes = await attackAll(chooseAttacks([...given]));
  if (outcomes.some(({ isHanging }) => isHanging)) throw new Error("the neighbour is not answered");
  const most = (of: (outcome: Outcome) => number): number => Math.max(...outcomes.map(of));
  return {
    attacks: outcomes.length,
    ratio: most(({ p50, undisturbedP50 }) => p50 / undisturbedP50),
    p99: most(({ p99 }) => p99),
    memory: most(({ memory }) => memory / 1e6),
  };
}

async function withEdge<T>(work: (edge: LocalEdge, state: string) => Promise<T>): Promise<T> {
  const root = join(import.meta.dirname, "..", "..");
  mkdirSync(join(root, ".scratch"), { recursive: true });
  const folder = mkdtempSync(join(root, ".scratch", "stress-"));
  const entry = join(root, "src", "worker", "worker-entry.ts");
  const edge = new LocalEdge(await startEdge({ entry, folder, log: () => undefined }));
  try {
    return await work(edge, join(folder, "state"));
  } finally {
    await edge.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A Markdown table: one attack to a line. */
function table(outcomes: readonly Outcome[]): string {
  const head = "| attack | accepted | refused, closed | neighbour p50 | p99 | memory | folder | storage | |";
  const lines = outcomes.map((outcome) => {
    const { attack, tally, undisturbedP50, p50, p99, memory, folder, storage } = outcome;
    const refusals = [...Object.entries(tally.refused), ...Object.entries(tally.closed)];
    const refused = refusals.map(([code, count]) => `${code} ${count}`).join(", ") || "none";
    const slower = `${ratio(p50 / undisturbedP50)} (${ms(undisturbedP50)} before)`;
    const stored = storage ? `${mb(storage.bytes)} of ${mb(storage.limitBytes)}, ${storage.state}` : "no answer";
    const failed = missed(outcome);
    const verdict = failed.length === 0 ? "MET" : `MISSED: ${failed.join(", ")}`;
    return `| ${[attack, tally.accepted, refused, slower, ms(p99), mb(memory), mb(folder), stored, verdict].join(" | ")} |`;
  });
  const goal = `Goals: p50 at most ${targets.p50Ratio} x of the same run's undisturbed one, p99 at most ${targets.p99Ms} ms, memory at most ${targets.memoryMb} MB above idle.`;
  return [head, "| --- | --- | --- | --- | --- | --- | --- | --- | --- |", ...lines, "", goal].join("\n");
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
