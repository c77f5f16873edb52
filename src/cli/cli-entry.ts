import { run } from "./commands/program.ts";
import { endWithoutReader } from "./end-without-reader.ts";
import { systemIo } from "./io.ts";

endWithoutReader();
void run(process.argv.slice(2), systemIo(import.meta.url, process.env)).then((code) => (process.exitCode = code));
