import type { PageCall } from "../../contract/live-page.ts";
import { findOperation } from "../../contract/machine/find-operation.ts";
import type {
  CheckedMachineInput,
  MachineInput,
  MachineOperationName,
  MachineOutput,
} from "../../contract/machine/operations.ts";
import { shortReads } from "../../contract/machine/short-reads.ts";
import type { OperationContext, HostClient } from "../../machine/context/operation-context.ts";
import type { Workspace } from "../../machine/sharing/operations/workspace.ts";
import type { HandlerContext } from "../../machine/recovery/handler-context.ts";
import { ownStatement } from "../../platform/processes.ts";
import { formatIssues } from "../../shared/bad-input.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { ok, type Result, fail } from "../../shared/result.ts";
import { NeedsHostError, storeRefusal } from "../../store/store-error.ts";
import type { handlerOf } from "./operation-handlers.ts";
import type { MetricsServing, PageServing, ServedMetrics, ServedPage } from "../page/serve.ts";

interface Loaded {
  readonly handlerOf: typeof handlerOf;
  readonly own: HandlerContext;
}

/** The authority over what SHIM stores on a machine, in the calling process. */
export class OperationRunner {
  readonly #context: OperationContext;
  #loaded: Promise<Loaded> | null = null;

  constructor(context: OperationContext) {
    this.#context = context;
  }

  /** Nothing of it is needed where a host answers. */
  #load(): Promise<Loaded> {
    return (this.#loaded ??= import("./operation-handlers.ts").then(({ handlerContext, ...loaded }) => {
      return { ...loaded, own: handlerContext(this.#context, (name, input) => this.call(name, input)) };
    }));
  }

  /** The host writes. Refusals and errors of the store are results, bugs throw. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<Result<MachineOutput<Name>>> {
    const { hostClient, site, by = "command line", caller, progress, onSecretsRemoved, onInterrupt } = this.#context;
    if (hostClient && shortReads.has(name)) {
      const read = await hostClient.read({ name, input, env: site.env, by });
      if (read !== null) return read as Result<MachineOutput<Name>>;
    }
    const operation = await findOperation(name);
    if (operation === null) return fail("unknown_operation", `there is no operation ${name}.`);
    const checked = operation.input.safeParse(input);
    if (!checked.success) return fail("bad_input", `${name}: ${formatIssues(checked.error)}.`);
    const { doneBy, isLong } = operation;
    const askHost = async (one: HostClient): Promise<Result<MachineOutput<Name>>> => {
      const own = caller === undefined ? {} : { caller: ownStatement() };
      const asked = { name, input: checked.data, env: site.env, by, ...own };
      const ask = (signal?: AbortSignal): Promise<Result<unknown>> =>
        one.call(asked, omitUndefined({ progress, onSecretsRemoved, signal }));
      const answer = await (isLong && onInterrupt ? untilInterrupted(onInterrupt, ask) : ask());
      return answer as Result<MachineOutput<Name>>;
    };
    if (hostClient && doneBy === "host") return askHost(hostClient);
    const loaded = await this.#load();
    try {
      const handle = await loaded.handlerOf(name);
      return await handle(loaded.own, checked.data as CheckedMachineInput<Name>);
    } catch (error) {
      // The host migrates or repairs the store on its way.
      if (hostClient && error instanceof NeedsHostError) return askHost(hostClient);
      return storeRefusal(error);
    }
  }

  /** The one that the machine has joined, or its own. */
  async workspace(): Promise<Result<Workspace>> {
    // Most commands need none.
    const { openWorkspace } = await import("../../machine/sharing/operations/workspace.ts");
    return openWorkspace(this.#context);
  }

  /** Serves the live page on loopback until it is closed. */
  async servePage(serving: PageServing): Promise<Result<ServedPage>> {
    const { servePage } = await import("../page/serve.ts");
    const host = new OperationRunner({ ...this.#context, by: "live page" });
    const served = await servePage(host, (await host.#load()).own, serving);
    if (!served.ok) return served;
    const close = async (): Promise<void> => {
      await served.value.close();
      await host.close();
    };
    return ok({ ...served.value, close });
  }

  /** Answers calls of a page that is served elsewhere. @param onTeamChanged until it is closed */
  async pageCalls(onTeamChanged: () => void): Promise<(call: PageCall) => Promise<Result<unknown>>> {
    const { pageCalls } = await import("../page/serve.ts");
    const { workspace } = (await this.#load()).own;
    workspace.follow(onTeamChanged);
    return pageCalls(this, workspace);
  }

  /** Serves the metrics on loopback until it is closed. */
  async serveMetrics(serving: MetricsServing): Promise<Result<ServedMetrics>> {
    const { serveMetrics } = await import("../page/serve.ts");
    return serveMetrics(this.#context.paths.home, serving, async () => {
      const read = await this.call("metrics.read", {});
      return read.ok ? ok([...read.value.samples, ...serving.more()]) : read;
    });
  }

  async close(): Promise<void> {
    await (await this.#loaded)?.own.workspace.close();
  }
}

/** Ctrl-C ends the wait for a host, and not what the host has begun. */
function untilInterrupted<T>(
  onInterrupt: NonNullable<OperationContext["onInterrupt"]>,
  ask: (signal: AbortSignal) => Promise<Result<T>>,
): Promise<Result<T>> {
  const stop = new AbortController();
  const { promise: stopped, resolve } = Promise.withResolvers<Result<never>>();
  const forget = onInterrupt(() => {
    stop.abort();
    const message =
      "it was stopped. The host of this machine may still complete it: see `shim sessions`, or repeat the command.";
    resolve(fail("interrupted", message));
  });
  return Promise.race([ask(stop.signal), stopped]).finally(forget);
}
