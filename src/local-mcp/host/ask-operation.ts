import type { IncomingMessage } from "node:http";
import { messageOf } from "../../shared/error.ts";
import { err } from "../../shared/result.ts";
import { callHost } from "./ask-host.ts";
import { NoHostError, type HostHome } from "../front/reach-host.ts";
import type { HostContext } from "./handlers.ts";
import type { HostResult } from "./host.ts";
import { callPath, type AnswerLine, type AskedOperation } from "./operation-wire.ts";
import { whileWatched } from "./watch-host.ts";

/** Gets what is reported before the result. */
export type Hearing = Partial<Pick<HostContext, "progress" | "onSecretsRemoved">>;

/**
 * [PR41] Never repeated: the host completes what it has begun, also without its caller. So one that
 * hangs is ended before it is asked.
 */
export function askOperation(home: HostHome, asked: AskedOperation, hearing: Hearing): Promise<HostResult<unknown>> {
  return whileWatched(
    home.home,
    () => ask(home, asked, hearing),
    () => hearing.progress?.(endedText),
  );
}

const endedText = "The host of this machine did not answer for five seconds, and was ended. Another one is started.";

async function ask(home: HostHome, { name, ...body }: AskedOperation, hearing: Hearing): Promise<HostResult<unknown>> {
  const question = { method: "POST", path: `${callPath}${name}`, body, signal: new AbortController().signal } as const;
  let line: AnswerLine | null;
  try {
    const answer = await callHost(home, question);
    if (answer.statusCode !== 200) {
      answer.resume();
      return unusable(`the host of this machine refuses ${name} (${answer.statusCode}). Nothing was changed.`);
    }
    line = await lastLine(answer, hearing);
  } catch (error) {
    if (error instanceof NoHostError) return unusable(`${messageOf(error)}. Nothing was changed.`);
    return lost(name, messageOf(error));
  }
  if (line === null) return lost(name, "its answer is not whole");
  if ("error" in line) throw Object.assign(new Error(line.error.message), line.error);
  return "result" in line ? line.result : lost(name, "its answer has no result");
}

function unusable(message: string): HostResult<never> {
  return err({ code: "host_unusable", message });
}

function lost(name: string, why: string): HostResult<never> {
  const message = `the host of this machine ended before it answered (${why}). It may have done ${name}: look before you repeat it.`;
  return err({ code: "outcome_unknown", message });
}

/** @returns null where the answer ends before its last line */
async function lastLine(answer: IncomingMessage, { progress, onSecretsRemoved }: Hearing): Promise<AnswerLine | null> {
  answer.setEncoding("utf8");
  let rest = "";
  for await (const part of answer) {
    const lines = `${rest}${String(part)}`.split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) {
      const line = JSON.parse(text) as AnswerLine;
      if ("progress" in line) progress?.(line.progress);
      else if ("secretsRemoved" in line) onSecretsRemoved?.(line.secretsRemoved);
      else return line;
    }
  }
  return null;
}
