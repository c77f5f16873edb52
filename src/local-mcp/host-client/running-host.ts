import { callPath, programHeader, type AnswerLine, type AskedOperation } from "../../machine/context/operation-wire.ts";
import { checkSocketFolder, hostSocket } from "../../platform/host-socket.ts";
import { askHost, type TextAnswer } from "../../platform/local-http.ts";
import { systemProcesses } from "../../platform/processes.ts";
import { setTimer } from "../../platform/timers.ts";
import { ownProgram } from "../../platform/version.ts";
import { parseJson } from "../../shared/json-fields.ts";
import type { Result } from "../../shared/result.ts";

interface HostAnswer {
  readonly result: Result<unknown>;
  /** True: the host is of the same build as the caller. */
  readonly isOwnProgram: boolean;
}

/**
 * Asks the host that runs, and starts none.
 *
 * @returns null: there was no result in time
 */
export async function askRunningHost(
  home: string,
  { name, ...asked }: AskedOperation,
  maxMs: number,
): Promise<HostAnswer | null> {
  const late = new AbortController();
  const stop = setTimer(() => late.abort(), maxMs);
  try {
    const socket = hostSocket(home, systemProcesses.boot());
    checkSocketFolder(home, socket);
    const request = { method: "POST", path: `${callPath}${name}`, body: JSON.stringify(asked) } as const;
    return answerIn(await askHost(socket, { ...request, signal: late.signal }));
  } catch {
    return null;
  } finally {
    stop();
  }
}

function answerIn(answer: TextAnswer | null): HostAnswer | null {
  if (answer?.statusCode !== 200) return null;
  const line = parseJson(answer.text.slice(answer.text.trimEnd().lastIndexOf("\n") + 1)) as AnswerLine | undefined;
  if (line === undefined || !("result" in line)) return null;
  return { result: line.result, isOwnProgram: answer.fields.get(programHeader) === JSON.stringify(ownProgram) };
}
