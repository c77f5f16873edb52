import {
  autoCheckpoint,
  clearState,
  forceCheckpoint,
  monitorSignals,
  sessionStatus,
  checkRecovery,
} from "./session-tools.ts";
import { recallTool } from "./recall-tool.ts";
import { chats, inbox, send } from "./message-tools.ts";
import { files, stateSet } from "./shared-work.ts";
import { next, report, submit } from "./task-tools.ts";
import type { ToolHandler, ToolName } from "./tool.ts";

export const toolHandlers: { readonly [Name in ToolName]: ToolHandler<Name> } = {
  shim_auto_checkpoint: autoCheckpoint,
  shim_check_recovery: checkRecovery,
  shim_recall: recallTool,
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
