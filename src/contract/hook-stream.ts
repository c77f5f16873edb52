/**
 * Lines between a plugin and the hook process that answers all its events: one JSON object each.
 * The plugin ends the process by closing its stdin.
 */
export interface StreamedEvent {
  /** Chosen by the plugin, and repeated in the reply. */
  readonly id: number;
  readonly event: string;
  readonly payload: object;
}

export type StreamReply =
  | { readonly id: number; readonly answer: object }
  /** The event was not recorded. */
  | { readonly id: number | null; readonly error: string };

/** [CA44] A longer event has a process of its own: reading it would hold up the others. */
export const maxEventLineChars = 1_000_000;
