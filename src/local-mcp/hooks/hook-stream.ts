import type { ClientAdapter } from "../../clients/client-adapter.ts";
import { maxEventLineChars, type StreamReply } from "../../contract/hook-stream.ts";
import { Durations } from "../../runtime/durations.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { systemRuntime, type SystemOptions } from "../../runtime/system-runtime.ts";
import { stackOf } from "../../shared/error.ts";
import { numberAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { LineReader } from "../../shared/line-reader.ts";
import { StoreError } from "../../store/store-error.ts";
import { label } from "../sessions/entries.ts";
import { answerHook } from "./answer-hook.ts";
import { finishEvent } from "./finish-event.ts";

/** Below the time that a plugin waits for an event. */
const maxSnapshotMs = 4_000;

/**
 * [CA44] [CA45] Answers the events on the lines of stdin until it ends, one at a time.
 * @throws {StoreError} `store_newer`: the next process has the new program
 */
export async function answerStdin(client: ClientAdapter, clientPid: number, options: SystemOptions): Promise<void> {
  // V8 keeps many times what lives here: it sizes its heap by the memory of the machine. Not by an
  // import, which each hook would load.
  process.getBuiltinModule("node:v8").setFlagsFromString("--optimize-for-size");
  const { store } = systemRuntime(options);
  // The client is gone; what it sent before that is recorded all the same.
  process.stdout.on("error", () => undefined);
  for await (const line of stdinLines()) {
    const reply = await answerLine(line, client, (event, payload) =>
      answerStreamed(eventRuntime(options, store), event, payload, clientPid, client),
    );
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
}

/** One character more than allowed shows that a line is too long. */
async function* stdinLines(): AsyncGenerator<string> {
  const read: string[] = [];
  const lines = new LineReader((line) => read.push(line), maxEventLineChars + 1);
  for await (const part of process.stdin.setEncoding("utf8")) {
    lines.push(String(part));
    yield* read.splice(0);
  }
  lines.end();
  yield* read;
}

/** The settings and the durations are those of a process that ran for this event. */
function eventRuntime(options: SystemOptions, store: Runtime["store"]): Runtime {
  const startedAt = performance.now();
  return { ...systemRuntime(options), store, durations: new Durations(() => performance.now() - startedAt) };
}

async function answerLine(
  line: string,
  client: ClientAdapter,
  answer: (event: string, payload: JsonObject) => Promise<JsonObject>,
): Promise<StreamReply> {
  if (line.length > maxEventLineChars)
    return { id: null, error: `the line has more than ${maxEventLineChars} characters` };
  const request = parseObject(line);
  const [id, event, payload] = [numberAt(request, "id"), textAt(request, "event"), objectAt(request, "payload")];
  if (request === null) return { id: null, error: "the line is not a JSON object" };
  if (id === null) return { id, error: "id is not a number from 0 on" };
  if (event === null || !client.events.includes(event))
    return { id, error: `event is none of ${client.title}: "${label(event ?? "")}"` };
  if (payload === null) return { id, error: "payload is not an object" };
  return { id, answer: await answer(event, payload) };
}

async function answerStreamed(
  runtime: Runtime,
  event: string,
  payload: JsonObject,
  clientPid: number,
  client: ClientAdapter,
): Promise<JsonObject> {
  refuseNewerStore(runtime);
  const answer = answerHook(runtime, event, () => JSON.stringify(payload), clientPid, client);
  await finishEvent(runtime, event, maxSnapshotMs).catch((error: unknown) =>
    runtime.log("error", `${event}: the files were not saved`, { error: stackOf(error) }),
  );
  return parseObject(answer) ?? {};
}

/** A newer SHIM was installed, and has changed the store so that only it can write there. */
function refuseNewerStore({ store }: Runtime): void {
  try {
    store.read(() => null, null);
  } catch (error) {
    // The event itself meets any other error, and is spooled.
    if (error instanceof StoreError && error.code === "store_newer") throw error;
  }
}
