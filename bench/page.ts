import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { stripVTControlCharacters } from "node:util";
import { chromiumPath } from "../test/harness/web/chromium.ts";
import { CannotMeasureError } from "./measure.ts";

/** The live page with 500 chats and 50,000 tasks, in a browser, in ms. */
export async function page() {
  const time = await timesOf("test/web/large.test.ts", "times", "SHIM_PAGE_TIMES");
  return { paint: time("paint"), fleet: time("fleet"), search: time("search"), view: time("view") };
}

/** The page over a slow network on a slow processor, in ms; `frames` a second while its chats are scrolled. */
export async function chat() {
  const time = await timesOf("test/web/chat-times.test.ts", "slow", "SHIM_PAGE_TIMES");
  return { paint: time("paint"), chat: time("chat"), frames: time("frames"), slowest: time("slowest") };
}

/** A phone in a browser, paired with a machine over a coordinator on loopback, in ms. */
export async function phone() {
  const time = await timesOf("test/web/edge.test.ts", "a phone that scans|is shown with what", "SHIM_PHONE_TIMES");
  return { pairing: time("pairing"), request: time("request"), answer: time("answer") };
}

/** Figures that a test of the page prints, by their names. */
async function timesOf(file: string, tests: string, flag: string): Promise<(name: string) => number> {
  if (!existsSync(chromiumPath))
    throw new CannotMeasureError(`${chromiumPath} is not there: install chromium, or name one in SHIM_CHROMIUM.`);
  const child = spawn("npx", ["vitest", "run", "--project", "web", file, "-t", tests], {
    env: { ...process.env, [flag]: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed = stripVTControlCharacters(await text(child.stdout));
  const times = new Map(
    [...printed.matchAll(/^(?:page|phone) (\w+) ([\d.]+)(?: ms)?$/gm)].map(([, name, ms]) => [name, Number(ms)]),
  );
  return (name) => times.get(name) ?? NaN;
}
