/** A terminal of 80 columns and 24 rows, as far as `shim pair` uses one: text, line breaks, colours of cells. */
const columns = 80;
const rows = 24;

/** Pixels of a cell; half of its height is a module of the code. */
const cell = { width: 8, height: 16 };

interface Cell {
  readonly char: string;
  /** Number of the 256 colours; null: the theme's own. */
  readonly front: number | null;
  readonly back: number | null;
}

/** Brightness of the theme's own two colours, 0 to 255. */
export interface Theme {
  readonly front: number;
  readonly back: number;
}

export const themes: Readonly<Record<"dark" | "light", Theme>> = {
  dark: { front: 200, back: 20 },
  light: { front: 40, back: 250 },
};

const blank: Cell = { char: " ", front: null, back: null };

/** @returns what is on the screen after a text was printed */
function cellsAfter(text: string): Cell[][] {
  const lines: Cell[][] = [[]];
  let present = blank;
  for (const [first = "", ...parts] of text.split("\u001b[").map((part) => part.split(/(?<=^[\d;]*)m/))) {
    const isColour = parts.length > 0;
    if (isColour) present = coloured(present, first);
    for (const char of isColour ? parts.join("m") : first) {
      if (char === "\n" || (lines.at(-1)?.length ?? 0) === columns) lines.push([]);
      if (char !== "\n") lines.at(-1)?.push({ ...present, char });
    }
  }
  return lines.slice(-rows).map((line) => line.concat(Array.from({ length: columns - line.length }, () => blank)));
}

/** @param codes of a sequence that chooses colours */
function coloured(before: Cell, codes: string): Cell {
  if (codes === "0") return blank;
  const [, front = before.front] = /38;5;(\d+)/.exec(codes) ?? [];
  const [, back = before.back] = /48;5;(\d+)/.exec(codes) ?? [];
  return { char: " ", front: front === null ? null : Number(front), back: back === null ? null : Number(back) };
}

/** Of the two ends of the cube of colours, which no theme changes. */
function brightnessOf(colour: number | null, own: number): number {
  if (colour === null) return own;
  if (colour === 16) return 0;
  if (colour === 231) return 255;
  throw new Error(`the colour ${colour} depends on the theme`);
}

/** A picture of the screen. A letter is a bar in its cell: its form does not count. */
export function pictureAfter(text: string, theme: Theme) {
  const cells = cellsAfter(text);
  const [width, height] = [columns * cell.width, rows * cell.height];
  const data = new Uint8ClampedArray(width * height * 4).fill(theme.back);
  const paint = (left: number, top: number, brightness: number): void => {
    for (let at = (top * width + left) * 4, end = at + 4; at < end; at++) data[at] = at % 4 === 3 ? 255 : brightness;
  };
  for (const [row, line] of cells.entries())
    for (const [column, { char, front, back }] of line.entries())
      for (let y = 0; y < cell.height; y++)
        for (let x = 0; x < cell.width; x++) {
          const isFront = char === "▀" ? y < cell.height / 2 : char !== " " && x > 2 && y > 4 && y < 12;
          const brightness = isFront ? brightnessOf(front, theme.front) : brightnessOf(back, theme.back);
          paint(column * cell.width + x, row * cell.height + y, brightness);
        }
  return { data, width, height };
}
