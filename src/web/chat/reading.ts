import type { CallInput, Refused } from "../backend.ts";
import { call } from "../page-state.ts";
import { type ChatWindow, nextPart, nextFrom, opened, withEarlier, withLater } from "./chat-window.ts";
import { firstChars } from "./first-reads.ts";

/** Characters of each part but the first. */
const furtherChars = 30_000;

type Show = (window: ChatWindow | null, error: Refused | null) => void;

/** Loads the parts of a conversation one after the other, and what is new as it comes. */
export class Reading {
  readonly #session: string;
  readonly #show: Show;
  #window: ChatWindow | null = null;
  /** The row that was asked for first. */
  #asked: string | null = null;
  #isBusy = false;
  #isDue = false;

  constructor(session: string, show: Show) {
    this.#session = session;
    this.#show = show;
  }

  /** @param row null: the end */
  open(row: string | null): Promise<void> {
    this.#asked = row;
    const from = row === null ? {} : { from: row };
    return this.#read({ ...from, chars: firstChars }, (page, at) => opened(page, at));
  }

  async earlier(): Promise<void> {
    const [first] = this.#window?.rows ?? [];
    if (this.#window?.hasEarlier !== true || !first) return;
    await this.#read({ before: first.row.id, chars: furtherChars }, (page, at, window) =>
      withEarlier(window ?? opened(page, at), page, at),
    );
  }

  /** @param isNew something may have changed; else rows that are known to be there */
  async later(isNew: boolean): Promise<void> {
    const window = this.#window;
    // A change in the middle of a long chat is of rows that are not shown.
    if (window && isNew === window.hasLater) return;
    if (this.#isBusy) {
      this.#isDue ||= isNew;
      return;
    }
    // The first read may have failed.
    if (!window) return isNew ? this.open(this.#asked) : undefined;
    const from = isNew ? nextFrom(window) : (window.rows.at(-1)?.row.id ?? null);
    if (from === null) return this.open(null);
    await this.#read({ from, chars: furtherChars }, (page, at, known) => withLater(known ?? window, page, at));
  }

  async #read(
    question: Omit<CallInput<"conversation.read">, "session">,
    change: (page: Parameters<typeof opened>[0], at: number, window: ChatWindow | null) => ChatWindow,
  ): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    const answer = await call("conversation.read", { session: this.#session, ...question });
    this.#isBusy = false;
    if (answer.ok) {
      this.#window = change(answer.value, performance.now(), this.#window);
      const from = question.from === undefined ? null : nextPart(this.#window, answer.value);
      if (from !== null) return this.#read({ ...question, from }, change);
    }
    this.#show(this.#window, answer.ok ? null : answer.error);
    if (!this.#isDue) return;
    this.#isDue = false;
    await this.later(true);
  }
}
