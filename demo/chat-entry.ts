/** Program of `shim demo`: the command line, with the demo. */
import { run } from "../src/cli/commands/program.ts";
import { endWithoutReader, systemIo } from "../src/cli/system-io.ts";
import { demo } from "./chat-command.ts";

endWithoutReader();
void run(["demo", ...process.argv.slice(2)], systemIo(import.meta.url), demo).then((code) => (process.exitCode = code));
