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
import type { HandlerContext, Handlers, HostContext } from "./handlers.ts";
import type { Host, HostResult, MetricsServing, PageServing, ServedMetrics, ServedPage } from "./host.ts";
import type { MachineHost } from "./machine-host.ts";
import { KeptWorkspace } from "./kept-workspace.ts";
import { OtherMachines } from "./other-machines.ts";
import { TeamReader } from "./team-reader.ts";
import { checkHandlers } from "./check-handlers.ts";
import { commitGuardHandlers } from "./commit-guard-handlers.ts";
import { configHandlers } from "./config-handlers.ts";
import { metricHandlers } from "./metrics-handlers.ts";
import { fileHandlers } from "./files-handlers.ts";
import { hostHandlers } from "./host-handlers.ts";
import { noticeHandlers } from "./notices-handlers.ts";
import { overviewHandlers } from "./overview-handlers.ts";
import { pageHandlers } from "./page-handlers.ts";
import { pauseHandlers } from "./pauses-handlers.ts";
import { recoveryHandlers } from "./recovery-handlers.ts";
import { reservationHandlers } from "./reservation-handlers.ts";
import { experimentHandlers } from "./experiment-handlers.ts";
import { learningHandlers } from "./learning-handlers.ts";
import { replayHandlers } from "./replay-handlers.ts";
import { sessionHandlers } from "./session-handlers.ts";
import { statusLineHandlers } from "./status-line.ts";
import { storedSessionHandlers } from "./stored-session-handlers.ts";
import { teamHandlers } from "./team-handlers.ts";
import { tokenHandlers } from "./token-handlers.ts";
import { updateHandlers } from "./update-handlers.ts";
import { usageHandlers } from "./usage-handlers.ts";
import { workspaceHandlers } from "./workspace-handlers.ts";
import type { ClientWorkspace } from "./workspace.ts";

const handlers: Handlers<MachineOperationName> = {
  ...checkHandlers,
  ...commitGuardHandlers,
  ...configHandlers,
  ...metricHandlers,
  ...fileHandlers,
  ...hostHandlers,
  ...noticeHandlers,
  ...overviewHandlers,
  ...pageHandlers,
  ...pauseHandlers,
  ...recoveryHandlers,
  ...reservationHandlers,
  ...experimentHandlers,
  ...learningHandlers,
  ...replayHandlers,
  ...sessionHandlers,
  ...statusLineHandlers,
  ...storedSessionHandlers,
  ...teamHandlers,
  ...tokenHandlers,
  ...updateHandlers,
  ...usageHandlers,
  ...workspaceHandlers,
};

/** A host in the calling process. */
export class LocalHost implements Host {
  readonly #context: HandlerContext;

  constructor(context: HostContext) {
    const workspace = new KeptWorkspace(() => this.workspace());
    const call: Host["call"] = (name, input) => this.call(name, input);
    const others = new OtherMachines(workspace, call);
    const team = new TeamReader({ open: () => workspace.open(), others });
    this.#context = { ...context, workspace, others, team, call };
  }

  /** [PR41] The host writes. Refusals and errors of the store are results, bugs throw. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<HostResult<MachineOutput<Name>>> {
    const checked = machineOperations[name].input.safeParse(input);
    if (!checked.success) return err({ code: "bad_input", message: `${name}: ${formatIssues(checked.error)}.` });
    const { effect, doneBy }: MachineOperation = machineOperations[name];
    const { machineHost, site, by = "command line", progress, onSecretsRemoved } = this.#context;
    const askHost = async (one: MachineHost): Promise<HostResult<MachineOutput<Name>>> => {
      const asked = { name, input: checked.data, env: site.env, by };
      return (await one.call(asked, omitUndefined({ progress, onSecretsRemoved }))) as HostResult<MachineOutput<Name>>;
    };
    if (machineHost && effect !== "read" && doneBy !== "caller") return askHost(machineHost);
    try {
      return await handlers[name](this.#context, checked.data as CheckedMachineInput<Name>);
    } catch (error) {
      // [ST99] The host migrates or repairs the store on its way.
      if (machineHost && error instanceof NeedsHostError) return askHost(machineHost);
      if (error instanceof StoreError) return err({ code: error.code, message: error.message });
      throw error;
    }
  }

  async workspace(): Promise<HostResult<ClientWorkspace>> {
    // Most commands need none.
    const { openWorkspace } = await import("./workspace.ts");
    return openWorkspace(this.#context);
  }

  async servePage(serving: PageServing): Promise<HostResult<ServedPage>> {
    const { servePage } = await import("./serve-page.ts");
    const host = new LocalHost({ ...this.#context, by: "live page" });
    const served = await servePage(host, host.#context, serving);
    if (!served.ok) return served;
    const close = async (): Promise<void> => {
      await served.value.close();
      await host.close();
    };
    return ok({ ...served.value, close });
  }

  async serveMetrics(serving: MetricsServing): Promise<HostResult<ServedMetrics>> {
    const { serveMetrics } = await import("./metrics-server.ts");
    return serveMetrics(this.#context.paths.home, serving, async () => {
      const read = await this.call("metrics.read", {});
      return read.ok ? ok([...read.value.samples, ...serving.more()]) : read;
    });
  }

  close(): Promise<void> {
    return this.#context.workspace.close();
  }
}
