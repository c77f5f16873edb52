/** `shim`: everything but `mcp`, `hook` and `statusline`, which the launcher starts as programs of their own. */
import { run } from "./commands/program.ts";
import { endWithoutReader, systemIo } from "./system-io.ts";

endWithoutReader();
void run(process.argv.slice(2), systemIo(import.meta.url)).then((code) => (process.exitCode = code));
