import { describe } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { WireError } from "#src/contract/wire-error.ts";
import { app } from "#src/worker/app.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { chatSuites, stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import type { OpenHost } from "#harness/coordinator/engine-host.ts";
import { notRun } from "#harness/coordinator/not-run.ts";
import { manyRequests } from "./many-requests.ts";
import { bearer, bindings, httpOf, origin } from "./support.ts";
import { refusalOf, WorkerHost } from "./worker-host.ts";

const { RATE_LIMITER: _, ...unlimited } = bindings;

/** The routes of the worker, called without the runtime's dispatch, which costs more than they do; test/workers/requests.test.ts has it. */
class HttpHost extends WorkerHost {
  static async open(this: void): Promise<HttpHost> {
    return new HttpHost(await WorkerHost.prepare());
  }

  protected async ask(actor: Actor, name: EngineOperation, input: object): Promise<Result<unknown, Refusal>> {
    const { token } = await this.tokenOf(actor);
    const { path, init } = httpOf(this.workspace.name, name, input);
    const answer = await app.request(`${origin}${path}`, { ...init, headers: bearer(token) }, unlimited);
    const value = await answer.json<{ readonly error?: WireError }>();
    return value.error ? err(refusalOf(value.error)) : ok(value);
  }
}

notRun(manyRequests);

const open: OpenHost = Object.assign(HttpHost.open, { mostRuns: 3 });

describe("@night", () => {
  chatSuites(open);
  stateSuites(open);
  taskSuites(open);
  syncSuites(open);
});
