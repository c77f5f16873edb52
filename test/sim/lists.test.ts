import * as fc from "fast-check";
import { expect, it } from "vitest";
import { bugNamed } from "./bugs.ts";
import { command, play, type Command } from "./script.ts";

/** It computes for minutes on a loaded machine: only what hangs ends by it. */
const timeout = 900_000;

const lists = fc.array(command, { maxLength: 60, size: "max" });

it("the rules hold for whatever list of commands @night", { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(lists, async (list) => {
      const { violation } = await play(list);
      if (violation) throw violation;
    }),
    { numRuns: 150, seed: 7 },
  );
});

it("a list that breaks a rule is shrunk to the few commands that matter @night", { timeout }, async () => {
  const bug = bugNamed("guards-lost");
  const { failed, counterexample } = await fc.check(
    fc.asyncProperty(lists, async (list) => (await play(list, bug)).violation === null),
    { numRuns: 500, seed: 7 },
  );
  const [list] = counterexample as [Command[]];
  expect({ failed, isShort: list.length <= 8 }).toEqual({ failed: true, isShort: true });
  expect(list).toContainEqual(expect.objectContaining({ kind: "act" }));
  expect((await play(JSON.parse(JSON.stringify(list)) as Command[], bug)).violation).toMatchObject({ rule: "guard" });
  expect((await play(list)).violation).toBeNull();
});
