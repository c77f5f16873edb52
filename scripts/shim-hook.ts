import { readFileSync } from "node:fs";
import { join } from "node:path";
import { headerPrefix, valueVariables } from "../src/clients/adapter/hook-program.ts";

/** The script `shim-hook`, with its program and the variables that it sends. */
export function shimHookScript(): string {
  const program = source("shim-hook.pl")
    .replaceAll(/^\s*#.*\n/gm, "")
    .replace("@variables@", () => valueVariables.join(" "))
    .replace("@prefix@", () => headerPrefix);
  if (program.includes("'")) throw new Error("shim-hook.pl is written between single quotes, so it cannot hold one");
  return source("shim-hook.sh").replace("@perl@", () => program);
}

function source(name: string): string {
  return readFileSync(join(import.meta.dirname, "..", "src", "local-mcp", "events", name), "utf8");
}
