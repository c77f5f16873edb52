import { expect, it } from "vitest";
import { encode } from "uqr";
import { qrLines } from "#src/cli/qr-code.ts";

/** The longest link of the documented address: `https://shim-coordinator.you.workers.dev/#pair=...`. */
const link = `https://shim-coordinator.your-name.workers.dev/#pair=${"x".repeat(72)}`;

it("the code of a pairing fits a terminal of 80 columns and 24 rows with the documented address, is dark on light on any theme, and has a quiet zone", () => {
  const lines = qrLines(link);
  expect(lines.length).toBeLessThan(24);
  const cells = lines.map((line) => [...line.matchAll(/38;5;(16|231);48;5;(16|231)m▀/g)]);
  const rows = cells.flatMap((line) => [
    line.map(([, upper]) => upper === "16"),
    line.map(([, , lower]) => lower === "16"),
  ]);
  const { data, size } = encode(link, { border: 2 });
  expect(rows.slice(0, size)).toEqual(data);
  expect(rows.flat().filter((_, at) => at < size * 2)).not.toContain(true);
  expect(cells.every((line) => line.length === size && size <= 80)).toBe(true);
  expect(lines.every((line) => line.endsWith("\u001b[0m"))).toBe(true);
});
