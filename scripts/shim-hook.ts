import { readFileSync } from "node:fs";
import { join } from "node:path";
import { supportedClients } from "../src/clients/adapters.ts";
import { headerOf, valueVariables } from "../src/clients/hook-variables.ts";

/** The script `shim-hook`, with the variables that it sends. */
export function shimHookScript(): string {
  const source = readFileSync(join(import.meta.dirname, "..", "src", "local-mcp", "hooks", "shim-hook.sh"), "utf8");
  const headers = valueVariables.map((name) => headerWord(name, `$${name}`));
  const values = valueVariables.map((name) => `\${${name}-}`);
  const tried = supportedClients.map(({ name }) => name);
  return source
    .replace("@tried@", () => tried.join(" | "))
    .replace("@headers@", () => headers.join(" \\\n    "))
    .replace("@values@", () => values.join(""));
}

/** One word for a variable that is set, and none for another. */
function headerWord(name: string, value: string): string {
  return `\${${name}+"-H${headerOf(name)}: =${value}"}`;
}
