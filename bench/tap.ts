/**
 * Stands between an MCP client and the server that its arguments start, and notes in the file
 * `SHIM_BENCH_TAP` how long each hook event took from its request to its answer: a JSON list of
 * `[event, ms]`, and `["", ms]` for the processor time of the server.
 */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [program = "", ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
const asked = new Map<unknown, readonly [event: string, at: number]>();
const notes: [string, number][] = [];

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly arguments?: { readonly event?: string } };
}

createInterface(process.stdin)
  .on("line", (line) => {
    const at = performance.now();
    child.stdin.write(`${line}\n`);
    const { id, method, params } = JSON.parse(line) as Message;
    const event = method === "tools/call" ? params?.arguments?.event : undefined;
    if (event !== undefined) asked.set(id, [event, at]);
  })
  .on("close", () => child.stdin.end());

createInterface(child.stdout).on("line", (line) => {
  const at = performance.now();
  process.stdout.write(`${line}\n`);
  const { id } = JSON.parse(line) as Message;
  const found = asked.get(id);
  if (!found) return;
  asked.delete(id);
  notes.push([found[0], at - found[1]]);
  const ticks = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]?.split(" ").slice(11, 13) ?? [];
  const cpu = ticks.reduce((sum, one) => sum + Number(one) * 10, 0);
  writeFileSync(process.env["SHIM_BENCH_TAP"] ?? "tap.json", JSON.stringify([...notes, ["", cpu]]));
});
