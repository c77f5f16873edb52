/** `npm run bench -- page`: times of the live page in a browser: first paint, the fleet, a search, a change of view. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { text } from "node:stream/consumers";
import { chromiumPath } from "../test/harness/web/chromium.ts";
import { CannotMeasureError } from "./cannot-measure.ts";

if (!existsSync(chromiumPath))
  throw new CannotMeasureError(`${chromiumPath} is not there: install chromium, or name one in SHIM_CHROMIUM.`);
const child = spawn("npx", ["vitest", "run", "--project", "web", "test/web/large.test.ts", "-t", "times"], {
  env: { ...process.env, SHIM_PAGE_TIMES: "1" },
  stdio: ["ignore", "pipe", "inherit"],
});
child.stdout.pipe(process.stdout);
const printed = await text(child.stdout);
const measured = [...printed.matchAll(/^page (\w+) [\d.]+ ms$/gm)].map(([, name]) => name);
if (measured.length < 4)
  throw new CannotMeasureError(
    `of paint, fleet, search and view only this was measured: ${measured.join(", ") || "nothing"}`,
  );
