/** An attack in a process of its own, so that it does not take the neighbour's time: `node attacker.ts <target as JSON> <attack> <ms>`. */
import { attacks, isAttack, Tally, type Target } from "./attacks.ts";

const [target = "", name = "", ms = ""] = process.argv.slice(2);
if (!isAttack(name)) throw new Error(`there is no attack ${name}`);
const tally = new Tally();
const report = (): void => {
  console.log(JSON.stringify(tally));
  // A coordinator that hangs answers nothing more.
  process.exit();
};
const until = performance.now() + Number(ms);
setTimeout(report, Number(ms) + 2_000);
await attacks[name](JSON.parse(target) as Target, tally, () => performance.now() >= until);
report();
