/** The chat that a row is of. */
export interface RowOwner {
  readonly session: string;
  /** Row of the call whose sub-agent it is of. */
  readonly agent?: string;
  /** Command that forks the chat, without the number of the prompt; null: there is no terminal. */
  readonly forkCommand: string | null;
}
