import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const script = join(import.meta.dirname, "..", "..", "..", "scripts", "stress.ts");

it("an unknown run or option starts nothing, and all runs are listed @night", () => {
  for (const [args, why] of [
    [[], "Name one of these:"],
    [["rase"], 'There is no run "rase".'],
    [["constructor"], "There is no run"],
    [["race", "--rounds", "0"], "--rounds is a number from 1 on."],
    [["crowd", "--pause", "soon"], "--pause is a number from 0 on."],
    [["sync-crash", "--round", "1"], "Unknown option '--round'"],
    [["neighbour", "--attacks", "noise"], "--attacks takes "],
  ] as const) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: "utf8" });
    expect([args, status, stdout]).toEqual([args, 2, ""]);
    expect(stderr).toContain(why);
    for (const name of ["race", "sync-crash", "supervise-kills", "experiments", "crowd", "neighbour"])
      expect(stderr).toContain(`\n  ${name} [--`);
  }
});
