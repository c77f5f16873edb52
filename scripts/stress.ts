/**
 * `npm run stress -- neighbour --seconds 10 --attacks frames,watches`: attacks on a coordinator under workerd, one after the other, each on one of
 * its own, and what an ordinary chat beside them notices. Exit code 1 where a target is missed.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { attacks, isAttack, type AttackName } from "../bench/stress/attacks.ts";
import { missed, underAttack, type Outcome } from "../bench/stress/run.ts";
import { stressTable } from "../bench/stress/table.ts";
import { LocalEdge, startEdge } from "./local-edge.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "10" },
    attacks: { type: "string", default: Object.keys(attacks).join(",") },
  },
});
const names = values.attacks.split(",");
if (positionals.join(" ") !== "neighbour" || !/^[1-9]\d{0,3}$/.test(values.seconds) || !names.every(isAttack)) {
  console.error(
    `Usage: npm run stress -- neighbour [--seconds 10] [--attacks ${Object.keys(attacks).join(",")}]; seconds from 1 on, of each attack.`,
  );
  process.exit(2);
}
const outcomes: Outcome[] = [];
for (const name of names.filter(isAttack)) {
  console.error(`under attack: ${name} ...`);
  outcomes.push(await once(name));
}
console.log(stressTable(outcomes));
// A workerd that hangs is not waited for.
process.exit(outcomes.some((outcome) => missed(outcome).length > 0) ? 1 : 0);

async function once(name: AttackName): Promise<Outcome> {
  const root = join(import.meta.dirname, "..");
  mkdirSync(join(root, ".scratch"), { recursive: true });
  const folder = mkdtempSync(join(root, ".scratch", "stress-"));
  const entry = join(root, "src", "worker", "worker-entry.ts");
  const edge = new LocalEdge(await startEdge({ entry, folder, log: () => undefined }));
  try {
    return await underAttack(edge, join(folder, "state"), name, Number(values.seconds) * 1_000);
  } finally {
    await edge.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
