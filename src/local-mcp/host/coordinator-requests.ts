import type { IncomingMessage, ServerResponse } from "node:http";
import { callsInProcess } from "../../coordinator-client/client.ts";
import type { OperationName } from "../../contract/operations.ts";
import { readBody } from "../../platform/local-http.ts";
import type { LocalCalls, Runtime } from "../../runtime/runtime.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err } from "../../shared/result.ts";
import { StoreError } from "../../store/store-error.ts";
import { coordinatorPath } from "../../machine/context/operation-wire.ts";

/** More than any operation takes. */
const maxBytes = 32_000_000;
/** The coordinator is in this process. */
const timeoutMs = 0;

/** Answers calls of the machine's coordinator by other processes. */
export class CoordinatorRequests {
  readonly #runtime: Runtime;
  /** Those that follow the commits. */
  readonly #followers = new Map<string, LocalCalls>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://host");
    const body = await readBody(request, maxBytes);
    if (body === null) return void response.writeHead(413).end();
    const following = this.#followers.get(searchParams.get("caller") ?? "");
    const calls = following ?? callsInProcess(this.#runtime);
    try {
      // The coordinator checks both.
      const name = pathname.slice(coordinatorPath.length) as OperationName;
      response.end(JSON.stringify(await calls.call(name, parseJson(body.toString()) as never, timeoutMs)));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      response.end(JSON.stringify(err({ code: error.code, message: error.message })));
    } finally {
      if (!following) calls.close();
    }
  }

  /** @param listener called after commits that `caller` has not asked for. @returns ends that */
  follow(caller: string, listener: () => void): () => void {
    const calls = callsInProcess(this.#runtime);
    this.#followers.set(caller, calls);
    const unfollow = calls.onCommit(listener);
    return () => {
      unfollow();
      this.#followers.delete(caller);
      calls.close();
    };
  }

  close(): void {
    for (const calls of this.#followers.values()) calls.close();
  }
}
