import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import { attacks, isAttack, type AttackName } from "./attacks.ts";
import { overload, overloadMisses, overloadTable } from "./overload.ts";
import { missed, underAttack, type Outcome } from "./run.ts";
import { stressTable } from "./table.ts";

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

/** Prints what an ordinary chat notices of attacks, each on a new coordinator under workerd. Ends the process. */
export async function attackAll({ names, ms }: Attacks): Promise<void> {
  const outcomes: Outcome[] = [];
  for (const name of names) {
    console.error(`under attack: ${name} ...`);
    outcomes.push(await attackOnce(name, ms));
  }
  console.log(stressTable(outcomes));
  // Exit code 1: a target was missed. A workerd that hangs is not waited for.
  process.exit(outcomes.some((outcome) => missed(outcome).length > 0) ? 1 : 0);
}

function attackOnce(name: AttackName, ms: number): Promise<Outcome> {
  return withEdge((edge, state) => underAttack(edge, state, name, ms));
}

/** `--times`: what is offered, as a multiple of what the coordinator can. @throws {Error} for an unusable option */
export function chooseOverload(args: string[]): { readonly times: number; readonly ms: number } {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: "string", default: "10" }, times: { type: "string", default: "4" } },
  });
  for (const [name, value] of Object.entries(values))
    if (!/^[1-9]\d{0,2}$/.test(value)) throw new Error(`--${name} is a number from 1 on.`);
  return { times: Number(values.times), ms: Number(values.seconds) * 1_000 };
}

/** Prints what a coordinator does that is offered more than it can. Ends the process. */
export async function overloadOnce({ times, ms }: { readonly times: number; readonly ms: number }): Promise<void> {
  const outcome = await withEdge((edge) => overload(edge, times, ms));
  console.log(overloadTable(outcome));
  process.exit(overloadMisses(outcome).length > 0 ? 1 : 0);
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
