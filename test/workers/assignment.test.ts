import { expect, it } from "vitest";
import { armsHere, expectedArms } from "../rules/assignment.ts";

it("[EX20] units have the same arms in workerd as on Node", () => {
  expect(armsHere()).toBe(expectedArms);
});
