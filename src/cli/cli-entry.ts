/** `shim`: everything but `mcp`, `hook` and `statusline`, which the launcher starts as programs of their own. */
import { run } from "./program.ts";
import { systemIo } from "./system-io.ts";

// `shim sessions | head` ends the reader first.
process.stdout.on("error", () => process.exit(0));
void run(process.argv.slice(2), systemIo(import.meta.url)).then((code) => (process.exitCode = code));
