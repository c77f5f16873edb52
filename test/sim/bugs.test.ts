import { expect, it } from "vitest";
import { bugNamed, bugs } from "./bugs.ts";
import { simulate } from "./run.ts";

const timeout = 180_000;

it.each(bugs.map((bug) => Object.assign({ within: 30_000 }, bug)))(
  "[SM12] is caught within $within events from each of three seeds: $name, $about",
  { timeout },
  async (bug) => {
    const caught: boolean[] = [];
    for (const from of [1, 2, 3]) {
      const { violation } = await simulate({ seed: from, events: bug.within, bug, day: 3_000 });
      caught.push(violation !== null);
    }
    expect(caught).toEqual([true, true, true]);
  },
);

it("[SM12] where a rare bug is searched for, nothing is found without it", { timeout }, async () => {
  // Bugs that are searched for alike would give the same run.
  const searches = new Map(bugs.map(({ name, focus, isInSet = false }) => [JSON.stringify([focus, isInSet]), name]));
  const found: string[] = [];
  for (const name of searches.values()) {
    const { focus, isInSet = false } = bugNamed(name);
    if (!focus) continue;
    const bug = { name, about: "", focus, isInSet };
    const { violation } = await simulate({ seed: 10, events: 4_000, bug, day: 2_000 });
    if (violation) found.push(`${name}: ${violation.message}`);
  }
  expect(found).toEqual([]);
});
