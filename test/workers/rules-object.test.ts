import { describe } from "vitest";
import type { Refusal } from "#src/contract/errors.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import { ok, type Result } from "#src/shared/result.ts";
import { ruleHost } from "#harness/coordinator/engine-host.ts";
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

Object.assign(ruleHost, { open: ObjectHost.open, mostRuns: 5 });

describe("@night", async () => {
  for (const load of Object.values(import.meta.glob("../rules/*.test.ts"))) await load();
});
