import { autoCheckpoint } from "./auto-checkpoint.ts";
import { chats } from "./chats.ts";
import { checkRecovery } from "./check-recovery.ts";
import { clearState } from "./clear-state.ts";
import { files } from "./files.ts";
import { forceCheckpoint } from "./force-checkpoint.ts";
import { inbox } from "./inbox.ts";
import { monitorSignals } from "./monitor-signals.ts";
import { next } from "./next.ts";
import { report } from "./report.ts";
import { send } from "./send.ts";
import { sessionStatus } from "./session-status.ts";
import { stateSet } from "./state-set.ts";
import { submit } from "./submit.ts";
import type { ToolHandler, ToolName } from "./tool.ts";

export const toolHandlers: { readonly [Name in ToolName]: ToolHandler<Name> } = {
  shim_auto_checkpoint: autoCheckpoint,
  shim_check_recovery: checkRecovery,
  shim_monitor_signals: monitorSignals,
  shim_session_status: sessionStatus,
  shim_force_checkpoint: forceCheckpoint,
  shim_clear_state: clearState,
  shim_chats: chats,
  shim_submit: submit,
  shim_next: next,
  shim_report: report,
  shim_send: send,
  shim_inbox: inbox,
  shim_files: files,
  shim_state_set: stateSet,
};
