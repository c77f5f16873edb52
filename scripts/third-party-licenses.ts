import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Metafile } from "esbuild";

/** The licenses of what is bundled ask that their text goes with it. */
export function licensesOf(root: string, metafiles: readonly Metafile[]): string {
  const inputs = metafiles.flatMap((one) => Object.keys(one.inputs));
  const packages = inputs.map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const found = [...new Set(packages)].filter((path) => path !== undefined).sort();
  return found.map((path) => `${path.replace(/^.*node_modules\//, "")}\n\n${licenseOf(join(root, path))}\n`).join("\n");
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
