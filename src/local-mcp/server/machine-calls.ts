import type { IncomingMessage, ServerResponse } from "node:http";
import { readBody } from "../../platform/read-body.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { callPath } from "../host/operation-wire.ts";
import type { MachineWork } from "./machine-work.ts";

/** More than any operation takes. */
const maxBytes = 64_000_000;

/** [PR41] Does operations of the machine for processes beside the host. */
export class MachineCalls {
  readonly #runtime: Runtime;
  readonly #machine: MachineWork;
  readonly #running = new Set<Promise<void>>();

  constructor(runtime: Runtime, machine: MachineWork) {
    this.#runtime = runtime;
    this.#machine = machine;
  }

  /** Operations that are being done. */
  get count(): number {
    return this.#running.size;
  }

  accepts({ method, url = "" }: IncomingMessage): boolean {
    return method === "POST" && url.startsWith(callPath);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request, maxBytes);
    if (body === null) return void response.writeHead(413).end();
    // The caller may have gone.
    response.on("error", () => undefined);
    const name = (request.url ?? "").slice(callPath.length);
    const running = this.#do(name, body.toString(), response);
    this.#running.add(running);
    try {
      await running;
    } finally {
      this.#running.delete(running);
    }
  }

  /** Many hosts are never asked for an operation, so these are loaded by the first one. */
  async #do(name: string, body: string, response: ServerResponse): Promise<void> {
    const { doOperation } = await import("./do-operation.ts");
    await doOperation({ runtime: this.#runtime, machine: this.#machine }, name, body, response);
  }

  /** Resolves when all that was begun is completed. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.#running);
  }
}
