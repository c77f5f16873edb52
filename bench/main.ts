/** `npm run bench -- edge one`: one suite, or parts of it. `npm run bench`, `npm run bench -- save`: the parts of this machine. */
import { codeOf, messageOf } from "../src/shared/error.ts";
import { CannotMeasureError } from "./cannot-measure.ts";
import { ownProcesses } from "./own-processes.ts";
import { suites } from "./suites.ts";

/** @returns the arguments without `--smallest` and `--share`, which are for every suite */
function chooseShare(given: readonly string[]): string[] {
  const at = given.indexOf("--share");
  const share = given.includes("--smallest") ? "0" : at === -1 ? "1" : given[at + 1];
  if (!/^(0|1|0?\.\d+)$/.test(share ?? ""))
    throw new CannotMeasureError(
      "--share takes a number from 0 to 1: 0.1 measures a tenth, --smallest as little as possible.",
    );
  process.env["SHIM_BENCH_SHARE"] = share;
  return given.filter((one, index) => one !== "--smallest" && (at === -1 || (index !== at && index !== at + 1)));
}

try {
  const [name = "", ...rest] = chooseShare(process.argv.slice(2));
  ownProcesses();
  const suite = Object.entries(suites).find(([one]) => one === name)?.[1];
  // Each suite reads its own arguments.
  process.argv.splice(2, Infinity, ...(suite ? rest : [name, ...rest].filter((one) => one !== "")));
  await (suite === undefined ? import("./local-main.ts") : suite());
} catch (error) {
  const isWrongUse = error instanceof CannotMeasureError || codeOf(error)?.startsWith("ERR_PARSE_ARGS") === true;
  console.error(isWrongUse ? messageOf(error) : error);
  process.exitCode = 1;
}
