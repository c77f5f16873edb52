import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { WebSocket } from "ws";
import type { WindowAct } from "../../contract/window-acts.ts";
import { asObject, listAt, objectAt, parseObject, textAt, type JsonObject } from "../../shared/json-fields.ts";

/** For all that is asked, in ms. */
const answerMs = 5_000;

/**
 * Has Codex's own server, which has the chats of its windows, begin a turn or interrupt one.
 *
 * @param transcript in the folder `sessions` of the Codex home whose server it is
 * @returns whether it has; false where none listens
 */
export async function actAtServer(thread: string, transcript: string, act: WindowAct): Promise<boolean> {
  const home = transcript.replace(/[\\/]sessions[\\/]\d{4}[\\/].*$/s, "");
  const path = join(home, "app-server-control", "app-server-control.sock");
  // A path in an address is encoded.
  const socket = new WebSocket("ws://localhost/", {
    createConnection: () => connect(path),
    handshakeTimeout: answerMs,
  });
  const closed = new AbortController();
  socket.on("error", () => undefined).on("close", () => closed.abort());
  const signal = AbortSignal.any([AbortSignal.timeout(answerMs), closed.signal]);
  try {
    await once(socket, "open", { signal });
    const ask = asks(socket, signal);
    await ask("initialize", { clientInfo: { name: "shim", title: "SHIM", version: "1" }, capabilities: experimental });
    socket.send(JSON.stringify({ method: "initialized" }));
    if ("prompt" in act)
      return (await ask("turn/start", { threadId: thread, input: [{ type: "text", text: act.prompt }] })) !== null;
    const turns = listAt(await ask("thread/turns/list", { threadId: thread, limit: 1 }), "data");
    const turnId = textAt(asObject(turns[0]), "id");
    return turnId !== null && (await ask("turn/interrupt", { threadId: thread, turnId })) !== null;
  } catch {
    return false;
  } finally {
    socket.terminate();
  }
}

/** The list of turns is one. */
const experimental = { experimentalApi: true };

/** @returns asks the server, one after the other; null: it refuses */
function asks(
  socket: WebSocket,
  signal: AbortSignal,
): (method: string, params: JsonObject) => Promise<JsonObject | null> {
  let id = 0;
  return async (method, params) => {
    id += 1;
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject | null>();
    const read = (data: Buffer): void => {
      const answer = parseObject(data.toString());
      if (answer?.["id"] === id) resolve(objectAt(answer, "result"));
    };
    socket.on("message", read);
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    socket.send(JSON.stringify({ id, method, params }));
    return promise.finally(() => socket.off("message", read));
  };
}
