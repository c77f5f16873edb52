/**
 * Chats take turns: the messages of one that sends thousands wait for each other, and those of
 * another chat for at most one of each.
 */
export class Turns {
  readonly #afterInput: (work: () => void) => void;
  /** In the order of their turns. */
  readonly #waiting = new Map<object, (() => void)[]>();
  #isTaken = false;

  /** @param afterInput runs its argument once the input of all chats was read */
  constructor(afterInput: (work: () => void) => void) {
    this.#afterInput = afterInput;
  }

  /** Runs `work` behind that of the same chat, at once where none waits. It must not throw. */
  take(chat: object, work: () => void): void {
    if (this.#isTaken) {
      const before = this.#waiting.get(chat);
      if (before) before.push(work);
      else this.#waiting.set(chat, [work]);
      return;
    }
    this.#isTaken = true;
    this.#afterInput(() => this.#next());
    work();
  }

  /** Drops what waits for a turn of the chat. */
  forget(chat: object): void {
    this.#waiting.delete(chat);
  }

  #next(): void {
    const [first] = this.#waiting;
    this.#isTaken = first !== undefined;
    if (!first) return;
    const [chat, works] = first;
    const work = works.shift();
    this.#waiting.delete(chat);
    if (works.length > 0) this.#waiting.set(chat, works);
    this.#afterInput(() => this.#next());
    work?.();
  }
}
