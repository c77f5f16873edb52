/** A worker's process that runs one program and does nothing else: arguments are the folder, the program and its arguments. */
import { runProgram } from "#src/platform/run-program.ts";

const [cwd = ".", command = "", ...args] = process.argv.slice(2);
await runProgram({
  command,
  args,
  cwd,
  env: process.env,
  input: "",
  signal: new AbortController().signal,
  graceMs: 1_000,
  onLine: (line) => process.stdout.write(`${line}\n`),
  onStderr: (text) => process.stderr.write(text),
});
