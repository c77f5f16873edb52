import type { TaskState } from "../contract/tasks.ts";

/** thrown_away: the result came too late; unreported: no report was answered. */
export type AttemptEndKind =
  | "done"
  | "failed"
  | "timeout"
  | "budget_exceeded"
  | "cancelled"
  | "released"
  | "lost"
  | "thrown_away"
  | "unreported";

interface TaskFields {
  readonly task: number;
  readonly taskType: string;
}

export type WorkerEvent =
  | { readonly type: "registered"; readonly chat: string; readonly taskTypes: readonly string[] }
  | ({
      readonly type: "began";
      readonly attempt: number;
      readonly folder: string;
      readonly isContinued: boolean;
    } & TaskFields)
  | ({ readonly type: "progress"; readonly percent: number | null; readonly note: string | null } & TaskFields)
  | ({
      readonly type: "ended";
      readonly end: AttemptEndKind;
      readonly state: TaskState | null;
      readonly reason: string | null;
      readonly wallMs: number;
    } & TaskFields)
  | ({ readonly type: "note"; readonly message: string } & TaskFields)
  | { readonly type: "backoff"; readonly failures: number; readonly forMs: number }
  /** No task of the type is taken for `forMs`. */
  | { readonly type: "waiting"; readonly taskType: string; readonly reason: string; readonly forMs: number }
  | { readonly type: "draining"; readonly reason: string; readonly running: number }
  | { readonly type: "problem"; readonly message: string };

export type EmitWorkerEvent = (event: WorkerEvent) => void;
