import { expect, it } from "vitest";
import { bugs } from "./bugs.ts";
import { simulate } from "./days.ts";

it.each(bugs)("a broken law is found and reported as $rule: $law", { timeout: 3_600_000 }, async (bug) => {
  const { violation } = await simulate({ seed: bug.seed, events: 30_000, bug, day: 3_000 });
  expect(violation).toMatchObject({ rule: bug.rule });
});
