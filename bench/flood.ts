import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text as textFrom } from "node:stream/consumers";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WebSocket, WebSocketServer } from "ws";
import { freshRig } from "./edge/edge.ts";
import { connect, hookOnce } from "./mcp-server.ts";
import { sample, scaled, timed } from "./measure.ts";
import { killEvery, servingHost } from "#harness/machine/process-tree.ts";

/** Hook events of each part. */
const events = scaled(150, 5);
/** Between two of them, in ms: so long does a part last at least. */
const restMs = 40;
/** What a liar sends: notifications, openings of phones, and what is no frame. */
const lies = [
  '{"jsonrpc":"2.0","method":"messages.new","params":{"chat":"x"}}',
  '{"jsonrpc":"2.0","method":"sync.changed","params":{"isDeath":false}}',
  `{"open":"${"x".repeat(22)}"}`,
  "x".repeat(30_000),
];

/** Hook events while a machine's coordinator sends as much as it can, and before. Times in ms, memory in MB. */
export async function flood() {
  const rig = await freshRig(false);
  const relay = spawn(process.execPath, [import.meta.filename, "--to", new URL(rig.url).origin], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const [address] = (await once(relay.stdout, "data")) as [Buffer];
  const home = join(tmpdir(), "flood");
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    SHIM_HOME: home,
    CLAUDECODE: "1",
    SHIM_EDGE_URL: String(address).trim(),
    SHIM_WORKSPACE: "bench",
    SHIM_TOKEN: rig.token,
  };
  const chat = await connect(["dist/mcp.cjs"], env);
  await chat.call("shim_team", {}).catch(() => undefined);
  const { pid } = servingHost(home);
  const part = async (): Promise<{ readonly p50: number; readonly memory: number }> => {
    const times: number[] = [];
    let memory = 0;
    for (let n = 0; n < events; n++) {
      times.push(await timed(() => hookOnce("PostToolUse", `${n}`, env)));
      memory = Math.max(memory, residentMb(pid));
      await pause(restMs);
    }
    return { p50: sample(times).p50, memory };
  };
  await part();
  const before = await part();
  relay.stdin.write("flood\n");
  const during = await part();
  const sent = once(relay.stdout, "data") as Promise<[Buffer]>;
  relay.stdin.end();
  const [counted] = await sent;
  await chat.close();
  killEvery([servingHost(home)]);
  await rig.close();
  const { frames, connections } = JSON.parse(String(counted)) as { frames: number; connections: number };
  return { ...during, before: before.p50, more: during.memory - before.memory, frames, connections };
}

function residentMb(pid: number): number {
  const [, kilobytes = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) / 1_024;
}

/** The address of a coordinator that passes all on, and floods each socket from the first word on its stdin on. */
async function lie(to: string): Promise<void> {
  const sockets = new Set<WebSocket>();
  const counts = { frames: 0, connections: 0 };
  let isLying = false;
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = request.method === "GET" ? undefined : await textFrom(request);
    const { authorization = "", "content-type": type = "application/json" } = request.headers;
    const init = { method: request.method ?? "GET", headers: { authorization, "content-type": type } };
    const answer = await fetch(`${to}${request.url}`, body === undefined ? init : { ...init, body });
    response.writeHead(answer.status, { "content-type": "application/json" }).end(await answer.text());
  };
  const server = createServer((request, response) => void pass(request, response));
  const accepted = new WebSocketServer({ server });
  accepted.on("connection", (socket, { url, headers }) => {
    counts.connections += 1;
    sockets.add(socket);
    const { authorization = "", "shim-protocol": protocol = "1" } = headers;
    const upstream = new WebSocket(`${to.replace("http", "ws")}${url}`, {
      headers: { authorization, "shim-protocol": String(protocol) },
    });
    const waiting: string[] = [];
    upstream.on("open", () => waiting.splice(0).forEach((text) => upstream.send(text)));
    upstream.on("message", (data: Buffer) => socket.send(data.toString()));
    socket.on("message", (data: Buffer) =>
      upstream.readyState === WebSocket.OPEN ? upstream.send(data.toString()) : waiting.push(data.toString()),
    );
    socket.on("close", () => {
      sockets.delete(socket);
      upstream.close();
    });
    for (const one of [socket, upstream]) one.on("error", () => undefined);
    upstream.on("close", () => socket.close());
  });
  server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as { port: number }).port}`));
  process.stdin.on("data", () => (isLying = true));
  process.stdin.on("end", () => {
    console.log(JSON.stringify(counts));
    process.exit();
  });
  for (let n = 0; ; n++) {
    if (isLying)
      for (const socket of sockets) {
        if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > 4_000_000) continue;
        socket.send(lies[n % lies.length] ?? "");
        counts.frames += 1;
      }
    if (n % 64 === 0 || !isLying) await pause(isLying ? 0 : 20);
  }
}

if (import.meta.main) await lie(parseArgs({ options: { to: { type: "string", default: "" } } }).values.to);
