import { existsSync, readlinkSync } from "node:fs";
import { resolve } from "node:path";
import { callPath, programHeader, type AnswerLine, type AskedOperation } from "../../machine/context/operation-wire.ts";
import { checkSocketFolder, hostSocket, socketLink } from "../../platform/host-socket.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { ownProgram } from "../../platform/version.ts";
import { parseJson } from "../../shared/json-fields.ts";
import type { Result } from "../../shared/result.ts";

interface HostAnswer {
  readonly result: Result<unknown>;
  /** True: the host is of the same build as the caller. */
  readonly isOwnProgram: boolean;
}

/**
 * Asks the host that runs, and starts none. HTTP 1.0 by hand: node:http takes longer to load
 * than the host to answer.
 *
 * @returns null: there was no result in time
 */
export async function askRunningHost(home: string, asked: AskedOperation, maxMs: number): Promise<HostAnswer | null> {
  try {
    const socket = findSocket(home);
    return socket === null ? null : answerIn(await post(socket, asked, maxMs));
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

function answerIn(answer: string): HostAnswer | null {
  if (!answer.startsWith("HTTP/1.1 200 ")) return null;
  const end = answer.indexOf("\r\n\r\n");
  const line = parseJson(answer.slice(answer.trimEnd().lastIndexOf("\n") + 1)) as AnswerLine | undefined;
  if (line === undefined || !("result" in line)) return null;
  const isOwnProgram = answer.slice(0, end).includes(`\n${programHeader}: ${JSON.stringify(ownProgram)}\r`);
  return { result: line.result, isOwnProgram };
}

async function post(path: string, { name, ...asked }: AskedOperation, maxMs: number): Promise<string> {
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
