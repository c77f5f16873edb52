/** `npm run bench -- figures` measures the figures of docs/benchmarks.md; `npm run bench -- save` those of one bench, which it prints. */
import { writeFileSync } from "node:fs";
import { codeOf, messageOf } from "../src/shared/error.ts";
import { benches, isBench } from "./benches.ts";
import { ownProcesses } from "./measure.ts";

/** Sizes are read when a bench is loaded. @returns the arguments without `--smallest` and `--share`, which are for every bench */
function chooseShare(given: readonly string[]): string[] {
  const at = given.indexOf("--share");
  const share = given.includes("--smallest")
    ? "0"
    : at === -1
      ? (process.env["SHIM_BENCH_SHARE"] ?? "1")
      : given[at + 1];
  if (!/^(0|1|0?\.\d+)$/.test(share ?? ""))
    throw new RangeError("--share takes a number from 0 to 1: 0.1 measures a tenth, --smallest as little as possible.");
  process.env["SHIM_BENCH_SHARE"] = share;
  return given.filter((one, index) => one !== "--smallest" && (at === -1 || (index !== at && index !== at + 1)));
}

try {
  const [name = "", ...args] = chooseShare(process.argv.slice(2));
  const isFigures = name === "figures";
  if (!isFigures && !isBench(name))
    throw new RangeError(`There is no bench ${name}, only figures, ${Object.keys(benches).join(", ")}.`);
  ownProcesses();
  const { measureFigures, readingsOf } = await import("./figure-page.ts");
  if (isFigures) await measureFigures(args);
  else if (isBench(name)) {
    const result = await benches[name](args);
    const file = process.env["SHIM_BENCH_RESULT"];
    if (file !== undefined) writeFileSync(file, JSON.stringify(result));
    const { table } = await import("./figure-page.ts");
    console.log(`${table(readingsOf(name, result))}\n\n${JSON.stringify(result)}`);
    // A coordinator that hangs is not waited for.
    process.exit();
  }
} catch (error) {
  const { CannotMeasureError } = await import("./measure.ts");
  const isSaid = error instanceof CannotMeasureError || error instanceof RangeError;
  const isWrongUse = codeOf(error)?.startsWith("ERR_PARSE_ARGS") === true;
  console.error(isSaid || isWrongUse ? messageOf(error) : error);
  process.exit(1);
}
