import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The licenses of what is bundled ask that their text goes with it.
 *
 * @param modules paths of the bundled modules
 */
export function licensesOf(root: string, modules: readonly string[]): string {
  const packages = modules.map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const found = [...new Set(packages)].filter((name) => name !== undefined).sort();
  return found.map((name) => `${name}\n\n${licenseOf(join(root, "node_modules", name))}\n`).join("\n");
}

function licenseOf(path: string): string {
  const name = readdirSync(path).find((one) => /^licen[cs]e/i.test(one));
  return name === undefined ? licenseSaid(path) : readFileSync(join(path, name), "utf8");
}

/** A package may come without the text: then what it says of itself goes along. */
function licenseSaid(path: string): string {
  const about = JSON.parse(readFileSync(join(path, "package.json"), "utf8")) as Record<string, unknown>;
  if (typeof about["license"] !== "string") throw new Error(`${path} names no license.`);
  return `${about["license"]}, as its package.json says: ${JSON.stringify({ author: about["author"], repository: about["repository"] })}`;
}
