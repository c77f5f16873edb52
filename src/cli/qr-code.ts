import { encode } from "uqr";

/** Pure. A QR code for a terminal: dark on light, in the two colours that no theme changes. */

/** Light modules around the code; the standard's four would not fit a terminal of 24 rows. */
const quietModules = 2;
const colours = { dark: 16, light: 231 } as const;

/** @returns lines with two rows of modules each: the upper half of a block is the first */
export function qrLines(text: string): string[] {
  const { data } = encode(text, { border: quietModules });
  const lines: string[] = [];
  for (let row = 0; row < data.length; row += 2) {
    const cells = (data[row] ?? []).map((isDark, at) => {
      const [upper, lower] = [isDark, data[row + 1]?.[at] === true].map((dark) => colours[dark ? "dark" : "light"]);
      return `\u001b[38;5;${upper};48;5;${lower}m▀`;
    });
    lines.push(`${cells.join("")}\u001b[0m`);
  }
  return lines;
}
