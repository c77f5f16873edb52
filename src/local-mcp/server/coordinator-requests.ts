import type { IncomingMessage, ServerResponse } from "node:http";
import { callsInProcess } from "../../coordinator-client/open-link.ts";
import type { OperationName } from "../../contract/operations.ts";
import { readBody } from "../../platform/read-body.ts";
import type { LocalCalls } from "../../runtime/local-calls.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { err } from "../../shared/result.ts";
import { StoreError } from "../../store/store-error.ts";
import { commits, coordinatorPath } from "../host/coordinator-path.ts";

/** More than any operation takes. */
const maxBytes = 32_000_000;
/** The coordinator is in this process. */
const timeoutMs = 0;

/** [EM1] Answers calls of the machine's coordinator by other processes. */
export class CoordinatorRequests {
  readonly #runtime: Runtime;
  /** Those that follow the commits. */
  readonly #followers = new Map<string, LocalCalls>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Processes that need this host. */
  get count(): number {
    return this.#followers.size;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://host");
    const name = pathname.slice(coordinatorPath.length);
    const caller = searchParams.get("caller") ?? "";
    if (name === commits) return this.#follow(caller, response);
    const body = await readBody(request, maxBytes);
    if (body === null) return void response.writeHead(413).end();
    response.end(JSON.stringify(await this.#call(caller, name, parseJson(body.toString()))));
  }

  async #call(caller: string, name: string, input: unknown): Promise<unknown> {
    const calls = this.#followers.get(caller) ?? callsInProcess(this.#runtime);
    try {
      // The coordinator checks both.
      return await calls.call(name as OperationName, input as never, timeoutMs);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return err({ code: error.code, message: error.message });
    } finally {
      if (!this.#followers.has(caller)) calls.close();
    }
  }

  #follow(caller: string, response: ServerResponse): void {
    // The caller may have gone while the code of this class was loaded.
    if (response.destroyed) return;
    const calls = callsInProcess(this.#runtime);
    this.#followers.set(caller, calls);
    response.writeHead(200).flushHeaders();
    const unfollow = calls.onCommit(() => response.write("\n"));
    response.once("close", () => {
      unfollow();
      this.#followers.delete(caller);
      calls.close();
    });
  }

  close(): void {
    for (const calls of this.#followers.values()) calls.close();
  }
}
