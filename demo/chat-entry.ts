/** Program of `shim demo`, which loads no other command. */
import { runProgram } from "../src/cli/commands/program.ts";
import { endWithoutReader } from "../src/cli/end-without-reader.ts";
import { systemIo } from "../src/cli/io.ts";
import { addDemo } from "./chat-command.ts";

endWithoutReader();
void runProgram(["demo", ...process.argv.slice(2)], systemIo(import.meta.url, process.env), addDemo).then(
  (code) => (process.exitCode = code),
);
