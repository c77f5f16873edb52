// Records a real run of the demo as docs/demo.svg, which plays in the README: `npm run build && node scripts/demo-picture.ts`.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "..");
const target = join(root, "docs", "demo.svg");
const columns = 112;
const lineHeight = 19;
const padding = 16;
/** Of the font below, in px: every monospace font that may replace it is at most this wide at 13 px. */
const charWidth = 7.85;

/** A line of the recording, and when it is shown. @param at s from the beginning */
interface Shown {
  readonly text: string;
  readonly at: number;
}

/** Bounds of the time between two lines, in s: a reader follows each line, and waits for none. */
const pause = { least: 0.12, most: 1.5 };

/** What the demo prints on a terminal, its progress and its report in the order of their arrival. */
async function runDemo(): Promise<Shown[]> {
  const child = spawn(process.execPath, [join(root, "bin", "shim.mjs"), "demo"], { stdio: ["ignore", "pipe", "pipe"] });
  const lines: { text: string; arrived: number }[] = [];
  const began = performance.now();
  for (const stream of [child.stdout, child.stderr])
    createInterface(stream).on("line", (text) => lines.push({ text, arrived: (performance.now() - began) / 1000 }));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject).on("close", resolve);
  });
  if (code !== 0) {
    const said = lines.map(({ text }) => text).join("\n");
    throw new Error(`the demo ended with ${code}; there is no recording of that:\n${said}`);
  }
  let at = 1;
  let before = 0;
  const shown = lines.map(({ text, arrived }) => {
    at += Math.min(Math.max(arrived - before, pause.least), pause.most);
    before = arrived;
    return { text, at };
  });
  return [{ text: "$ shim demo", at: 0 }, ...shown];
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function toTspan(line: string): string {
  const clipped = line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
  const [, mark = "", rest = clipped] = /^( +back)( .*)$/.exec(clipped) ?? [];
  if (mark !== "") return `<tspan class="good">${escape(mark)}</tspan>${escape(rest)}`;
  const kind = /^\$ |came back\.$/.test(clipped) ? "good" : /^\S.*(?:\.\.\.|:)$/.test(clipped) ? "head" : "";
  return kind === "" ? escape(clipped) : `<tspan class="${kind}">${escape(clipped)}</tspan>`;
}

/** An image follows the reader's light or dark mode, and keeps its text as text. */
function toSvg(lines: readonly Shown[]): string {
  const width = Math.ceil(columns * charWidth + 2 * padding);
  const height = lines.length * lineHeight + 2 * padding;
  const rows = lines.map(
    ({ text, at }, i) =>
      `<text x="${padding}" y="${padding + (i + 0.75) * lineHeight}" style="animation-delay: ${at.toFixed(2)}s">${toTspan(text)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" xml:space="preserve">
<title>shim demo: a chat is killed in its work, and the next one has its brief</title>
<style>
rect { fill: #f6f8fa; stroke: #d1d9e0 }
text { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #1f2328; white-space: pre; animation: show 0.1s both }
@keyframes show { from { opacity: 0 } }
@media (prefers-reduced-motion) { text { animation: none } }
.good { fill: #116329 }
.head { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  rect { fill: #0d1117; stroke: #3d444d }
  text { fill: #d1d7e0 }
  .good { fill: #3fb950 }
}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${rows.join("\n")}
</svg>
`;
}

writeFileSync(target, toSvg(await runDemo()));
