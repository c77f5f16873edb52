import { expect, it } from "vitest";
import { sizeFaults } from "../../../scripts/room-sizes.ts";

const numbers = "Numbers:\n\n- store 600\n- coordinator-client 3: sockets\n";
const lines = (count: number): string => "x\n".repeat(count);

it("a room with more lines than its number, without a number or far below it is a fault; other rooms are none", () => {
  const inStore = (count: number): string[] =>
    sizeFaults(numbers, [
      { path: "src/store/a.ts", source: lines(count - 1) },
      { path: "src/store/rows/b.ts", source: lines(1) },
    ]);
  expect(inStore(600)).toEqual([]);
  expect(inStore(601)).toEqual([expect.stringContaining("src/store has 601 lines, its number is 600")]);
  expect(inStore(499)).toEqual([expect.stringContaining("src/store has 499 lines: lower its number of 600")]);
  const others = [
    { path: "src/coordinator-client/a.ts", source: lines(3) },
    { path: "src/attic/a.ts", source: lines(1) },
  ];
  expect(sizeFaults(numbers, others)).toEqual([expect.stringContaining("src/attic has 1 lines and no number")]);
});
