/** Program of `npm start`. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { start, type ClientState } from "./start.ts";

const launcher = fileURLToPath(new URL("../bin/shim.mjs", import.meta.url));

async function clients(): Promise<readonly ClientState[]> {
  const child = spawn(process.execPath, [launcher, "up", "--json"], { stdio: ["ignore", "pipe", "inherit"] });
  return (JSON.parse(await text(child.stdout)) as { clients: ClientState[] }).clients;
}

function shim(...words: string[]): Promise<number> {
  const child = spawn(process.execPath, [launcher, ...words], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both: the child ends well, and its exit code counts.
  process.on("SIGINT", () => undefined);
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("close", (code) => resolve(code ?? 1));
  });
}

const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
const print = (line: string): void => void process.stdout.write(`${line}\n`);
void start({ shim, clients, isTerminal, print }).then((code) => (process.exitCode = code));
