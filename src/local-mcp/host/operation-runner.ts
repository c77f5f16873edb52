import type {
  CallOperation,
  OperationResult,
  HandlerContext,
  Handlers,
  OperationContext,
  HostClient,
} from "../../machine/operations/operation-context.ts";
import type { Workspace } from "../../machine/operations/workspace.ts";
import type { MetricsServing, PageServing, ServedMetrics, ServedPage } from "../page/serve.ts";
import {
  machineOperations,
  type CheckedMachineInput,
  type MachineInput,
  type MachineOperationName,
  type MachineOutput,
} from "../../contract/machine/operations.ts";
import type { MachineOperation } from "../../contract/machine/operation.ts";
import { NeedsHostError, StoreError } from "../../store/store-error.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { err, ok } from "../../shared/result.ts";
import { formatIssues } from "../../shared/problems.ts";
import { drainInto as readSpool } from "../events/answer-hook.ts";
import { KeptWorkspace } from "../../machine/operations/kept-workspace.ts";
import { OtherMachines } from "../../machine/operations/other-machines.ts";
import { TeamReader, teamHandlers } from "../../machine/operations/team-handlers.ts";
import { checkHandlers } from "../doctor/machine-checks.ts";
import { installationHandlers } from "./installation-handlers.ts";
import { undoHandlers } from "../../machine/operations/undo-handlers.ts";
import { usageHandlers } from "../../machine/operations/usage-handlers.ts";
import { fileHandlers } from "../../machine/operations/files-handlers.ts";
import { handoverHandlers } from "../../machine/operations/handover-handlers.ts";
import { forkHandlers } from "../../machine/operations/fork-handlers.ts";
import {
  noticeHandlers,
  overviewHandlers,
  pageHandlers,
  pauseHandlers,
} from "../../machine/operations/overview-handlers.ts";
import { recoveryHandlers } from "../../machine/operations/recovery-handlers.ts";
import { importSessionHandlers } from "../../machine/operations/import-session.ts";
import { nativeHandlers } from "../../machine/operations/native-handlers.ts";
import { rescueHandlers } from "../../machine/operations/rescue-handlers.ts";
import { reservationHandlers } from "../../machine/operations/reservation-handlers.ts";
import { learningHandlers } from "../../machine/operations/learning-handlers.ts";
import { effectHandlers } from "../../machine/operations/effects-handlers.ts";
import { sessionHandlers, storedSessionHandlers } from "../../machine/operations/session-handlers.ts";
import { storesHandlers } from "../../machine/operations/stores-handlers.ts";
import { statusLineHandlers } from "../../machine/operations/status-line.ts";
import { workspaceHandlers } from "../../machine/operations/workspace-handlers.ts";

const handlers: Handlers = {
  ...checkHandlers,
  ...effectHandlers,
  ...fileHandlers,
  ...forkHandlers,
  ...handoverHandlers,
  ...noticeHandlers,
  ...overviewHandlers,
  ...pageHandlers,
  ...pauseHandlers,
  ...recoveryHandlers,
  ...nativeHandlers,
  ...rescueHandlers,
  ...importSessionHandlers,
  ...reservationHandlers,
  ...learningHandlers,
  ...sessionHandlers,
  ...statusLineHandlers,
  ...storedSessionHandlers,
  ...storesHandlers,
  ...teamHandlers,
  ...installationHandlers,
  ...undoHandlers,
  ...usageHandlers,
  ...workspaceHandlers,
};

/** The authority over what SHIM stores on a machine, in the calling process. */
export class OperationRunner {
  readonly #context: HandlerContext;

  constructor(context: OperationContext) {
    const workspace = new KeptWorkspace(() => this.workspace());
    const call: CallOperation = (name, input) => this.call(name, input);
    const others = new OtherMachines(workspace, call);
    const team = new TeamReader(workspace, others);
    this.#context = { ...context, workspace, others, team, call, readSpool };
  }

  /** The host writes. Refusals and errors of the store are results, bugs throw. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<OperationResult<MachineOutput<Name>>> {
    const checked = machineOperations[name].input.safeParse(input);
    if (!checked.success) return err({ code: "bad_input", message: `${name}: ${formatIssues(checked.error)}.` });
    const { effect, doneBy }: MachineOperation = machineOperations[name];
    const { hostClient, site, by = "command line", progress, onSecretsRemoved } = this.#context;
    const askHost = async (one: HostClient): Promise<OperationResult<MachineOutput<Name>>> => {
      const asked = { name, input: checked.data, env: site.env, by };
      return (await one.call(asked, omitUndefined({ progress, onSecretsRemoved }))) as OperationResult<
        MachineOutput<Name>
      >;
    };
    if (hostClient && effect !== "read" && doneBy !== "caller") return askHost(hostClient);
    try {
      return await handlers[name](this.#context, checked.data as CheckedMachineInput<Name>);
    } catch (error) {
      // The host migrates or repairs the store on its way.
      if (hostClient && error instanceof NeedsHostError) return askHost(hostClient);
      if (error instanceof StoreError) return err({ code: error.code, message: error.message });
      throw error;
    }
  }

  /** The one that the machine has joined, or its own. */
  async workspace(): Promise<OperationResult<Workspace>> {
    // Most commands need none.
    const { openWorkspace } = await import("../../machine/operations/workspace.ts");
    return openWorkspace(this.#context);
  }

  /** Serves the live page on loopback until it is closed. */
  async servePage(serving: PageServing): Promise<OperationResult<ServedPage>> {
    const { servePage } = await import("../page/serve.ts");
    const host = new OperationRunner({ ...this.#context, by: "live page" });
    const served = await servePage(host, host.#context, serving);
    if (!served.ok) return served;
    const close = async (): Promise<void> => {
      await served.value.close();
      await host.close();
    };
    return ok({ ...served.value, close });
  }

  /** Serves the metrics on loopback until it is closed. */
  async serveMetrics(serving: MetricsServing): Promise<OperationResult<ServedMetrics>> {
    const { serveMetrics } = await import("../page/serve.ts");
    return serveMetrics(this.#context.paths.home, serving, async () => {
      const read = await this.call("metrics.read", {});
      return read.ok ? ok([...read.value.samples, ...serving.more()]) : read;
    });
  }

  close(): Promise<void> {
    return this.#context.workspace.close();
  }
}
