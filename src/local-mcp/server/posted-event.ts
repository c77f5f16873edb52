import type { IncomingMessage } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { adapterOf } from "../../clients/adapters.ts";
import { readBody } from "../../platform/loopback-server.ts";
import { parentOfStated } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { answerProcess, isOfForeignCaller } from "../hooks/answer-process.ts";
import { finishEvent } from "../hooks/finish-event.ts";
import { callerEnv } from "../hooks/hook-variables.ts";

/** [HO41] Larger input is read by the program that `shim-hook` starts then. */
const maxBytes = 32_000_000;
/** [HO33] */
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

/** [HO70] Answers as the program of hooks does. Null: the caller has gone. */
export async function answerPosted(runtime: Runtime, request: IncomingMessage): Promise<PostedAnswer | null> {
  const { client: name = "", event = "" } = path.exec(request.url ?? "")?.groups ?? {};
  const client = adapterOf(name);
  if (!client) return refused(404, "The host knows no such client.");
  const { "shim-home": home, "shim-process": stated } = request.headers;
  const isOwnHome = typeof home === "string" && Buffer.from(home, "latin1").toString() === `=${runtime.paths.home}`;
  const parent = parentOfStated(runtime.processes, String(stated));
  if (!isOwnHome || parent === null) return refused(409, "This is the host of another home, or of another container.");
  const input = (await readBody(request, maxBytes))?.toString();
  if (input === undefined) return refused(413, `An event has at most ${maxBytes} bytes.`);
  if (await hasGone(request)) return null;
  const env = callerEnv(runtime.env, request.headers);
  const given = { event, input, client, env, parent };
  if (isOfForeignCaller(given, { path: runtime.paths.foreignCallers, now: runtime.now() })) return refused(200, "");
  const own = { ...runtime, env, durations: runtime.durations.fromNow() };
  const text = answerProcess(own, given);
  await finishEvent(own, event, maxSnapshotMs).catch((error: unknown) =>
    runtime.log("error", `${event}: the work after the answer failed`, { error: stackOf(error) }),
  );
  return { status: 200, text };
}

/** [HO74] The end of a connection is read in the turn after its last data. */
async function hasGone({ socket }: IncomingMessage): Promise<boolean> {
  await nextTurn();
  await nextTurn();
  return socket.destroyed || socket.readableEnded;
}
