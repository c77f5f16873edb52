import { setIdleTimer } from "../../platform/timers.ts";
import type { IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { requestHost, type HostRequest } from "../../platform/local-http.ts";
import { checkSocketFolder, hostSocket, markedHost } from "../../platform/host-socket.ts";
import { isSameProcess, systemProcesses, type ProcessIdentity } from "../../platform/processes.ts";
import { ownProgram } from "../../platform/version.ts";
import { type Result, fail } from "../../shared/result.ts";
import { reachHost, type HostHome, NoHostError } from "./reach-host.ts";
import type { HostConnection, OperationReports, HostClient } from "../../machine/context/operation-context.ts";
import { fileLog } from "../../platform/log-file.ts";
import { pathsIn } from "../../platform/paths.ts";
import { HostWatch, killHost } from "./host-watch.ts";
import { askRunningHost } from "./running-host.ts";
import { messageOf } from "../../shared/error.ts";
import {
  callPath,
  type AnswerLine,
  type AskedOperation,
  commitMarks,
  programHeader,
} from "../../machine/context/operation-wire.ts";

/** A host answers within milliseconds unless it hangs. */
export const usualMs = 5_000;
/** A host at work may take longer: then the command reads for itself. */
const readMs = 1_000;

interface HostQuestion {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Ends the wait for the answer. */
  readonly signal: AbortSignal;
}

/**
 * Asks the host, and starts one where none runs, or where it is older than this program.
 *
 * @throws {NoHostError} where none has started in time, or others may enter its folder
 * @throws {Error} where the connection was lost or the signal aborted: the host may have done it
 */
export function callHost(host: HostHome, question: HostQuestion): Promise<IncomingMessage> {
  return reachHost(host, requestOf(question), requestHost);
}

export function requestOf({ method, path, body, signal }: HostQuestion): HostRequest {
  const headers = { [programHeader]: JSON.stringify(ownProgram) };
  return { method, path, headers, body: body === undefined ? undefined : JSON.stringify(body), signal };
}

/** Interval at which the host is identified, which may be started only during the work. */
const findEveryMs = 1_000;

/**
 * Pings the host before `work`, and during it. A host that answers nothing for five seconds
 * is ended, as by a front, and the work's connection with it.
 *
 * @param onEnded called when it is ended
 * @param stopped aborted when the answer is not waited for any more
 */
async function whileWatched<T>(
  home: string,
  work: () => Promise<T>,
  onEnded: () => void,
  stopped?: AbortSignal,
): Promise<T> {
  const boot = systemProcesses.boot();
  const over = new AbortController();
  stopped?.addEventListener("abort", () => over.abort());
  let answered = Promise.resolve();
  const ping = async (): Promise<void> => {
    const { signal } = over;
    // A host without its mark has announced long work.
    watch.noteLongWork(markedHost(home, boot) !== null);
    try {
      const socket = hostSocket(home, boot);
      checkSocketFolder(home, socket);
      const answer = await requestHost(socket, { method: "GET", path: "/status", signal });
      answer?.resume();
      watch.noteAnswer();
    } catch {
      // The work or the host has ended, or others may enter its folder, which the work finds.
    }
  };
  const watch: HostWatch = new HostWatch({
    isWaiting: () => !over.signal.aborted,
    ping: () => void (answered = ping()),
    endHost: (host) => {
      onEnded();
      killHost(host);
    },
    now: Date.now,
    schedule: setIdleTimer,
    log: fileLog(pathsIn(home).log, Date.now),
  });
  let watched: ProcessIdentity | null = null;
  const find = (): void => {
    const host = markedHost(home, boot);
    if (host === null || isSameProcess(host, watched)) return;
    watched = host;
    watch.begin(host);
    watch.ping();
  };
  find();
  const timer = setInterval(find, findEveryMs).unref();
  try {
    await answered;
    return await work();
  } finally {
    clearInterval(timer);
    over.abort();
  }
}

/**
 * Never repeated: the host completes what it has begun, also without its caller. So one that
 * hangs is ended before it is asked.
 */
export function askOperation(
  home: HostHome,
  asked: AskedOperation,
  reports: OperationReports,
): Promise<Result<unknown>> {
  return whileWatched(
    home.home,
    () => ask(home, asked, reports),
    () => reports.progress?.(endedText),
    reports.signal,
  );
}

const endedText = "The host of this machine did not answer for five seconds, and was ended. Another one is started.";

async function ask(
  home: HostHome,
  { name, ...body }: AskedOperation,
  reports: OperationReports,
): Promise<Result<unknown>> {
  const { signal = new AbortController().signal } = reports;
  const question = { method: "POST", path: `${callPath}${name}`, body, signal } as const;
  let line: AnswerLine | null;
  try {
    const answer = await callHost(home, question);
    if (answer.statusCode !== 200) {
      answer.resume();
      return unusable(`the host of this machine refuses ${name} (${answer.statusCode}). Nothing was changed.`);
    }
    line = await lastLine(answer, reports);
  } catch (error) {
    if (error instanceof NoHostError) return unusable(`${messageOf(error)}. Nothing was changed.`);
    return lost(name, messageOf(error));
  }
  if (line === null) return lost(name, "its answer is not whole");
  if ("error" in line) throw Object.assign(new Error(line.error.message), line.error);
  return "result" in line ? line.result : lost(name, "its answer has no result");
}

export function unusable(message: string): Result<never> {
  return fail("host_unusable", message);
}

function lost(name: string, why: string): Result<never> {
  const message = `the host of this machine ended before it answered (${why}). It may have done ${name}: look before you repeat it.`;
  return fail("outcome_unknown", message);
}

/** @returns null where the answer ends before its last line */
async function lastLine(
  answer: IncomingMessage,
  { progress, onSecretsRemoved }: OperationReports,
): Promise<AnswerLine | null> {
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

/** Time between two tries to reach a host, in ms. */
const retryEveryMs = 5_000;

export function hostClientOf(home: HostHome): HostClient {
  return {
    call: (asked, reports) => askOperation(home, asked, reports),
    read: async (asked) => {
      const answer = await askRunningHost(home.home, asked, readMs);
      return answer?.isOwnProgram ? answer.result : null;
    },
    stayConnected: (connection) => stayConnected(home, connection),
  };
}

/** A host may end at any moment; the next one is started at once. */
export async function stayConnected(
  home: HostHome,
  { onStored, onCoordinated, onProblem, until }: HostConnection,
): Promise<void> {
  const body = { isFollowing: onStored !== undefined, caller: onCoordinated?.caller };
  let hasFailed = false;
  while (!until.aborted) {
    try {
      const answer = await callHost(home, { method: "POST", path: "/connection", body, signal: until });
      if (answer.statusCode !== 200)
        throw new Error(`its answer to a program that stays connected is ${answer.statusCode}`);
      hasFailed = false;
      // Commits between two hosts are not reported.
      const onCommit = onCoordinated?.listener;
      for (const missed of [onStored, onCommit]) missed?.();
      await readMarks(answer, {
        [commitMarks.stored]: onStored,
        [commitMarks.coordinated]: onCommit,
      });
    } catch (error) {
      if (until.aborted) return;
      if (!hasFailed) onProblem(`the host of this machine cannot be reached: ${messageOf(error)}`);
      hasFailed = true;
      await pause(retryEveryMs, undefined, { signal: until }).catch(() => undefined);
    }
  }
}

/** Resolves when the host has ended. */
async function readMarks(
  answer: IncomingMessage,
  listeners: Readonly<Record<string, (() => void) | undefined>>,
): Promise<void> {
  try {
    // Marks that come together stand for one moment.
    for await (const part of answer as AsyncIterable<Buffer>)
      for (const mark of new Set(part.toString())) listeners[mark]?.();
  } catch {
    // A host that is killed sends no end.
  }
}
