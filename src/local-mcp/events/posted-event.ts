import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { adapterOf } from "../../clients/adapters.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { callerEnv, clientHeader, homeHeader, processHeader, valueOf } from "../../clients/adapter/hook-program.ts";
import { attempt } from "../../platform/log-file.ts";
import { readBody } from "../../platform/read-body.ts";
import { statedProcess } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { takeAwaited } from "../../snapshots/stored-snapshots.ts";
import { finishEvent, isAwaited, type DeferredWork, type Settling } from "./after-answer.ts";
import { answerHook } from "./answer-hook.ts";
import { eventIdOf, findClientPid } from "./read-event.ts";
import { isOfForeignCaller } from "./payload.ts";
import { decodeText } from "../../platform/text-encoding.ts";
import { spoolGiven } from "./spool-event.ts";

/** The program that `shim-hook` starts then leaves out a part of larger input. */
const maxBytes = 32_000_000;
const maxSnapshotMs = 4_000;

const path = /^\/hook\/(?<client>[\w-]+)\/(?<event>\w+)$/;

/** An answer to `shim-hook`; at any status but 200 it starts the program of hooks. */
export interface PostedAnswer {
  readonly status: 200 | 404 | 409 | 413;
  readonly text: string;
}

function refused(status: PostedAnswer["status"], text: string): PostedAnswer {
  return { status, text };
}

export function isPostedEvent({ method, url = "" }: IncomingMessage): boolean {
  return method === "POST" && path.test(url);
}

/** @returns null: the caller has gone */
export async function answerPosted(
  runtime: Runtime,
  settling: Settling,
  request: IncomingMessage,
): Promise<PostedAnswer | null> {
  const { client: name = "", event = "" } = path.exec(request.url ?? "")?.groups ?? {};
  const client = adapterOf(name);
  if (!client) return refused(404, "The host knows no such client.");
  const { headers } = request;
  const caller = callerOf(runtime, headers, client, event);
  if (caller === null) return refused(409, "This is the host of another home, or of another container.");
  const body = await readBody(request, maxBytes);
  if (body === null) return refused(413, `An event has at most ${maxBytes} bytes.`);
  const input = decodeText(body);
  const isLeft = await hasGone(request);
  const { env, clientPid, eventId: id } = caller;
  if (isOfForeignCaller({ client: client.name, env, input })) return refused(200, "");
  const own = { ...runtime, env };
  if (isLeft) {
    spoolGiven(own, { event, input, client, env, clientPid, id });
    return null;
  }
  const awaited: Promise<unknown>[] = [];
  const defer = (work: DeferredWork): void => {
    if (isAwaited(work)) awaited.push(finishEvent(own, work));
    // Readings without a transcript need nothing of the caller's environment.
    else if (work.trigger === null && !work.isTranscriptBehind) settling.add(work);
    else setImmediate(() => void finishEvent(own, work));
  };
  const text = answerHook(own, event, () => input, clientPid, client, id, defer);
  if (awaited.length > 0)
    await attempt(runtime.log, `${event}: the files were not saved`, async () => {
      await Promise.all(awaited);
      await takeAwaited(own, maxSnapshotMs);
    });
  return { status: 200, text };
}

interface Caller {
  readonly env: NodeJS.ProcessEnv;
  readonly clientPid: number;
  readonly eventId: string | undefined;
}

/** @returns null for a caller with another home, and one that is not in this process table */
function callerOf(runtime: Runtime, headers: IncomingHttpHeaders, client: ClientAdapter, event: string): Caller | null {
  const { env: ownEnv, paths, processes } = runtime;
  if (valueOf(headers, homeHeader) !== paths.home) return null;
  const env = callerEnv(ownEnv, headers);
  const { [clientHeader]: statedClient, [processHeader]: stated } = headers;
  if (typeof statedClient === "string") {
    const pid = statedProcess(processes, statedClient)?.pid;
    return pid === undefined ? null : { env, clientPid: pid, eventId: undefined };
  }
  const parent = statedProcess(processes, String(stated))?.parent;
  if (parent === undefined) return null;
  return {
    env,
    clientPid: findClientPid(processes, client.name, env, parent),
    eventId: eventIdOf(event, String(stated)),
  };
}

/**
 * Such an event is spooled: its sender may have been killed, and no client reads the answer.
 * The end of a connection is read in the turn after its last data.
 */
async function hasGone({ socket }: IncomingMessage): Promise<boolean> {
  await nextTurn();
  await nextTurn();
  return socket.destroyed || socket.readableEnded;
}
