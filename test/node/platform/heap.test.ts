import { expect, it } from "vitest";
import { collectGarbage } from "../../../src/platform/heap.ts";

it("what nothing refers to any more is given back at once", () => {
  const gone = (() => new WeakRef({ large: "text".repeat(1_000) }))();
  return new Promise<void>((resolve) => {
    // A reference that was read or made in a turn is kept until its end.
    setImmediate(() => {
      collectGarbage();
      resolve();
    });
  }).then(() => expect(gone.deref()).toBeUndefined());
});
