import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { chromiumPath } from "../test/harness/web/chromium.ts";
import { CannotMeasureError } from "./measure.ts";

/** The live page with 500 chats and 50,000 tasks, in a browser, in ms. */
export async function page() {
  if (!existsSync(chromiumPath))
    throw new CannotMeasureError(`${chromiumPath} is not there: install chromium, or name one in SHIM_CHROMIUM.`);
  const child = spawn("npx", ["vitest", "run", "--project", "web", "test/web/large.test.ts", "-t", "times"], {
    env: { ...process.env, SHIM_PAGE_TIMES: "1" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed = await text(child.stdout);
  const times = new Map([...printed.matchAll(/^page (\w+) ([\d.]+) ms$/gm)].map(([, name, ms]) => [name, Number(ms)]));
  const time = (name: string): number => times.get(name) ?? NaN;
  return { paint: time("paint"), fleet: time("fleet"), search: time("search"), view: time("view") };
}
