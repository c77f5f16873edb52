import type { IncomingMessage, ServerResponse } from "node:http";
import { openLocalCoordinator } from "../../coordinator-client/client.ts";
import type { OperationName } from "../../contract/operations.ts";
import { readBody } from "../../platform/local-http.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { parseJson } from "../../shared/json-fields.ts";
import { storeRefusal } from "../../store/store-error.ts";
import { coordinatorPath } from "../../machine/context/operation-wire.ts";

/** More than any operation takes. */
const maxBytes = 32_000_000;

/** Answers calls of the machine's coordinator by other processes, each of which has a name. */
export class CoordinatorRequests {
  readonly #opened: ReturnType<typeof openLocalCoordinator>;

  constructor(runtime: Runtime) {
    this.#opened = openLocalCoordinator(runtime);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://host");
    const body = await readBody(request, maxBytes);
    if (body === null) return void response.writeHead(413).end();
    try {
      // The coordinator checks both.
      const name = pathname.slice(coordinatorPath.length) as OperationName;
      const input = parseJson(body.toString()) as never;
      response.end(JSON.stringify(this.#opened.coordinator.call(name, input, searchParams.get("caller"))));
    } catch (error) {
      response.end(JSON.stringify(storeRefusal(error)));
    }
  }

  /** @param listener called after commits that `caller` has not asked for. @returns ends that */
  follow(caller: string, listener: () => void): () => void {
    return this.#opened.coordinator.onCommit((by) => void (by === caller || listener()));
  }

  close(): void {
    this.#opened.close();
  }
}
