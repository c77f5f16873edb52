/** What the user answers in a dialog, by question. */
export type Answers = Readonly<Record<string, string>>;

/** One process of a client with a chat, however it is driven. */
export interface ClientChat {
  /** As the client names it; null where only the screen knows it, and before the first event. */
  readonly session: string | null;
  clientPid(): Promise<number>;
  /** Sends a prompt. @returns when the turn has ended */
  turn(prompt: string, answers?: Answers): Promise<void>;
  /** Sends a prompt without waiting for the end of its turn. */
  send(prompt: string, answers?: Answers): Promise<void>;
  /** Ends the chat as its user does. */
  finish(): Promise<void>;
  waitForExit(): Promise<void>;
}

/** A new chat of one of the other clients, or one that continues. */
export interface ChatStart {
  readonly home: string;
  readonly cwd: string;
  readonly shimHome: string;
  readonly modelUrl: string;
  /** A session to continue. */
  readonly resumed: string | null;
}
