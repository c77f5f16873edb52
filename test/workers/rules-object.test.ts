import { describe } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { ok, type Result } from "#src/shared/result.ts";
import { chatSuites, rowSuites, stateSuites, syncSuites, taskSuites } from "../rules/suites.ts";
import type { OpenRowHost } from "#harness/coordinator/engine-host.ts";
import { WorkerHost } from "./worker-host.ts";

/** The object itself, asked as the worker asks it. */
class ObjectHost extends WorkerHost {
  static async open(this: void): Promise<ObjectHost> {
    return new ObjectHost(await WorkerHost.prepare());
  }

  protected async ask(actor: Actor, name: EngineOperation, input: object): Promise<Result<unknown, Refusal>> {
    const { credentials } = await this.tokenOf(actor);
    const result = await this.workspace.stub.call(credentials, name, input);
    return result.ok ? ok(JSON.parse(result.value)) : result;
  }
}

const open: OpenRowHost = Object.assign(ObjectHost.open, { mostRuns: 5 });

rowSuites(open);
describe("@night", () => {
  chatSuites(open);
  stateSuites(open);
  taskSuites(open);
  syncSuites(open);
});
