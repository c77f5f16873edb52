import { existsSync, readlinkSync } from "node:fs";
import { resolve } from "node:path";
import type { ChatStatus } from "../../contract/machine/overview.ts";
import { callPath, type AnswerLine, type AskedOperation } from "../../machine/context/operation-wire.ts";
import { checkSocketFolder, hostSocket, socketLink } from "../../platform/host-socket.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { parseJson } from "../../shared/json-fields.ts";

const name = "statusline.get";
/** The client waits for the line. */
const maxMs = 200;

/**
 * Asks the host that runs, and starts none. HTTP 1.0 by hand: node:http takes longer to load
 * than the host to answer.
 *
 * @returns null: there was no answer in time
 */
export async function statusOfHost(home: string, text: string): Promise<ChatStatus | null> {
  try {
    const socket = findSocket(home);
    if (socket === null) return null;
    return statusIn(await post(socket, { input: { text }, env: process.env, by: "command line" }));
  } catch {
    return null;
  }
}

/** A digest would load node:crypto. Null where no host runs. */
function findSocket(home: string): string | null {
  if (process.platform === "win32") return hostSocket(home, systemProcesses.boot());
  const link = socketLink(home);
  if (!existsSync(link)) return null;
  checkSocketFolder(home, resolve(home, readlinkSync(link)));
  return link;
}

function statusIn(answer: string): ChatStatus | null {
  if (!answer.startsWith("HTTP/1.1 200 ")) return null;
  const line = parseJson(answer.slice(answer.indexOf("\r\n\r\n"))) as AnswerLine | undefined;
  if (line === undefined || !("result" in line) || !line.result.ok) return null;
  return line.result.value as ChatStatus;
}

async function post(path: string, asked: Omit<AskedOperation, "name">): Promise<string> {
  const { connect } = await import("node:net");
  const body = JSON.stringify(asked);
  const head = `POST ${callPath}${name} HTTP/1.0\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    let answer = "";
    const timer = setTimeout(() => socket.destroy(new Error("no answer in time")), maxMs);
    socket.setEncoding("utf8").on("data", (part: string) => void (answer += part));
    socket.once("error", reject);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(answer);
    });
    // An end would be taken for the loss of the caller.
    socket.write(`${head}${body}`);
  });
}
