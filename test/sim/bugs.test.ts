import { expect, it } from "vitest";
import { setting } from "#harness/machine/mcp-process.ts";
import { bugNamed, bugs, sampledBugs } from "./bugs.ts";
import { simulate } from "./run.ts";

/** It computes for minutes on a loaded machine: only what hangs ends by it. */
const timeout = 900_000;
const seeds = setting("SHIM_BUG_SEEDS", 1);
const isWhole = process.env["SHIM_BUG_SEEDS"] !== undefined;
const planted = isWhole ? bugs : sampledBugs;

it.each(planted.map((bug) => Object.assign({ within: 30_000 }, bug)))(
  "is caught within $within events from each seed: $name, $about",
  { timeout },
  async (bug) => {
    const caught: boolean[] = [];
    for (let from = 1; from <= seeds; from++) {
      const { violation } = await simulate({ seed: from, events: bug.within, bug, day: 3_000 });
      caught.push(violation !== null);
    }
    expect(caught).toEqual(caught.map(() => true));
  },
);

it("where a rare bug is searched for, nothing is found without it @night", { timeout }, async () => {
  // Bugs that are searched for alike would give the same run.
  const searches = new Map(
    planted.map(({ name, focus, isInList = false }) => [JSON.stringify([focus, isInList]), name]),
  );
  const found: string[] = [];
  for (const name of searches.values()) {
    const { focus, isInList = false } = bugNamed(name);
    if (!focus) continue;
    const bug = { name, about: "", focus, isInList };
    const { violation } = await simulate({ seed: 10, events: 4_000, bug, day: 2_000 });
    if (violation) found.push(`${name}: ${violation.message}`);
  }
  expect(found).toEqual([]);
});
