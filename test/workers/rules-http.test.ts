import type { Refusal } from "#src/contract/errors.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { chatSuites, stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import type { OpenHost } from "#harness/coordinator/engine-host.ts";
import { notRun } from "#harness/coordinator/not-run.ts";
import { manyRequests } from "./many-requests.ts";
import { refusalOf, WorkerHost } from "./worker-host.ts";

/** The routes of the worker. */
class HttpHost extends WorkerHost {
  static async open(this: void): Promise<HttpHost> {
    return new HttpHost(await WorkerHost.prepare());
  }

  protected async ask(actor: Actor, name: EngineOperation, input: object): Promise<Result<unknown, Refusal>> {
    const { token } = await this.tokenOf(actor);
    const { value, error } = await this.workspace.call(name, input, token);
    return error ? err(refusalOf(error)) : ok(value);
  }
}

notRun(manyRequests);

const open: OpenHost = Object.assign(HttpHost.open, { mostRuns: 3 });

chatSuites(open);
stateSuites(open);
taskSuites(open);
syncSuites(open);
