import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Launch } from "#src/platform/shim-command.ts";

const source = (path: string): string => join(import.meta.dirname, "..", "..", "..", "src", path);

export const sources = {
  mcp: source("local-mcp/host/desktop-entry.ts"),
  hook: source("local-mcp/events/hook-entry.ts"),
  cli: source("cli/cli-entry.ts"),
  demo: join(import.meta.dirname, "..", "..", "..", "demo", "chat-entry.ts"),
};

/** The programs without a build: node runs the sources. What it has compiled stays in the folder. */
export function launchSources(folder: string): Launch {
  const script = join(folder, "launch.mjs");
  writeFileSync(
    script,
    `const { mcp, demo, cli } = ${JSON.stringify(sources)};
const part = process.argv[2];
if (part === "demo") process.argv.splice(2, 1);
await import(part === "mcp" ? mcp : part === "demo" ? demo : cli);\n`,
  );
  return { node: process.execPath, script, hookScript: sources.hook };
}

export function sourceEnv(folder: string): NodeJS.ProcessEnv {
  return { ...process.env, NODE_COMPILE_CACHE: join(folder, "compiled") };
}
