import type { TaskState } from "../contract/tasks.ts";

/** How an attempt ended, for the worker. thrown_away: its result came too late. untold: nobody has answered. */
export type AttemptEndKind =
  | "done"
  | "failed"
  | "timeout"
  | "budget_exceeded"
  | "cancelled"
  | "released"
  | "lost"
  | "thrown_away"
  | "untold";

interface TaskFields {
  readonly task: number;
  readonly taskType: string;
}

/** What a worker tells of itself. Texts of tasks are redacted. */
export type WorkerEvent =
  | { readonly type: "registered"; readonly chat: string; readonly taskTypes: readonly string[] }
  | ({
      readonly type: "began";
      readonly attempt: number;
      readonly folder: string;
      /** With what an attempt before has left. */
      readonly isContinued: boolean;
    } & TaskFields)
  | ({ readonly type: "progress"; readonly percent: number | null; readonly note: string | null } & TaskFields)
  | ({
      readonly type: "ended";
      readonly end: AttemptEndKind;
      /** Of the task, now; null: it is another's, or unknown. */
      readonly state: TaskState | null;
      readonly reason: string | null;
      readonly wallMs: number;
    } & TaskFields)
  | ({ readonly type: "note"; readonly message: string } & TaskFields)
  | { readonly type: "backoff"; readonly failures: number; readonly forMs: number }
  | { readonly type: "draining"; readonly reason: string; readonly running: number }
  | { readonly type: "problem"; readonly message: string };

export type EmitWorkerEvent = (event: WorkerEvent) => void;
