import {
  machineOperations,
  type CheckedMachineInput,
  type MachineInput,
  type MachineOperationName,
  type MachineOutput,
} from "../../contract/machine/operations.ts";
import { StoreError } from "../../store/store-error.ts";
import { err } from "../../shared/result.ts";
import { formatIssues } from "../../shared/problems.ts";
import type { Handlers, HostContext } from "./handlers.ts";
import type { Host, HostResult, Workspace, WorkspaceAccess } from "./host.ts";
import { checkHandlers } from "./check-handlers.ts";
import { configHandlers } from "./config-handlers.ts";
import { fileHandlers } from "./files-handlers.ts";
import { noticeHandlers } from "./notices-handlers.ts";
import { overviewHandlers } from "./overview-handlers.ts";
import { pauseHandlers } from "./pauses-handlers.ts";
import { recoveryHandlers } from "./recovery-handlers.ts";
import { reservationHandlers } from "./reservation-handlers.ts";
import { sessionHandlers } from "./session-handlers.ts";
import { statusLineHandlers } from "./status-line.ts";
import { storedSessionHandlers } from "./stored-session-handlers.ts";
import { teamHandlers } from "./team-handlers.ts";
import { tokenHandlers } from "./token-handlers.ts";
import { updateHandlers } from "./update-handlers.ts";
import { usageHandlers } from "./usage-handlers.ts";
import { workspaceHandlers } from "./workspace-handlers.ts";

const handlers: Handlers<MachineOperationName> = {
  ...checkHandlers,
  ...configHandlers,
  ...fileHandlers,
  ...noticeHandlers,
  ...overviewHandlers,
  ...pauseHandlers,
  ...recoveryHandlers,
  ...reservationHandlers,
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
  readonly #context: HostContext;

  constructor(context: HostContext) {
    this.#context = context;
  }

  /** Refusals and errors of the store are results; bugs throw. */
  async call<Name extends MachineOperationName>(
    name: Name,
    input: MachineInput<Name>,
  ): Promise<HostResult<MachineOutput<Name>>> {
    const checked = machineOperations[name].input.safeParse(input);
    if (!checked.success) return err({ code: "bad_input", message: `${name}: ${formatIssues(checked.error)}.` });
    try {
      return await handlers[name](this.#context, checked.data as CheckedMachineInput<Name>);
    } catch (error) {
      if (error instanceof StoreError) return err({ code: error.code, message: error.message });
      throw error;
    }
  }

  async workspace(edge?: WorkspaceAccess): Promise<HostResult<Workspace>> {
    // Most commands need none.
    const { openWorkspace } = await import("./workspace.ts");
    return openWorkspace(this.#context, edge);
  }
}
