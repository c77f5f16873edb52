/**
 * `node driver-child.ts <port>` starts programs inside Wine, since a pipe of a Unix process is none for Node on Windows. It takes requests from the
 * test as lines of JSON over the port of loopback, and says there what the programs print and how they end.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import type { Reply, Request } from "./windows.ts";

const socket = connect(Number(process.argv[2]), "127.0.0.1");
const children = new Map<number, ChildProcess>();

function reply(message: Reply): void {
  socket.write(`${JSON.stringify(message)}\n`);
}

function start({ id, command, args, cwd, env, isShell }: Extract<Request, { do: "start" }>): void {
  // As clients do it: a program with its words, or a line for the user's shell.
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, shell: isShell, windowsHide: true });
  children.set(id, child);
  child.stdout.setEncoding("utf8").on("data", (text: string) => reply({ id, out: text }));
  child.stderr.setEncoding("utf8").on("data", (text: string) => reply({ id, err: text }));
  child.stdin.on("error", () => undefined);
  child.once("error", ({ message }) => reply({ id, err: message }));
  child.once("close", (code) => {
    children.delete(id);
    reply({ id, code });
  });
}

createInterface({ input: socket }).on("line", (line) => {
  const request = JSON.parse(line) as Request;
  if (request.do === "start") return start(request);
  const child = children.get(request.id);
  if (request.do === "write") child?.stdin?.write(request.text);
  if (request.do === "end") child?.stdin?.end();
  if (request.do === "kill") child?.kill();
});
socket.once("close", () => process.exit());
