import type { WindowAct, WindowWay } from "../contract/window-acts.ts";

/** A chat, and the client that has it open in a window. */
export interface ChatWindow {
  /** SHIM's id of the session. */
  readonly session: string;
  /** Name of the client. */
  readonly client: string;
  readonly transcript: string | null;
}

/** @returns whether the client has taken it; what comes of it shows by its events */
type TakeAct = (window: ChatWindow, act: WindowAct) => Promise<boolean>;

interface Plugin {
  /** SHIM's id of the session, which may become another one while it waits. */
  readonly session: () => string;
  readonly take: (given: GivenAct | null) => void;
}

/** An act that a plugin has been given; it reports by the number what came of it. */
interface GivenAct {
  readonly number: number;
  readonly act: WindowAct;
}

/** The event with which a turn ended last. */
interface StoppedBy {
  /** Epoch ms. */
  readonly at: number;
  /** The client's id of the prompt whose turn it was; absent: its client gives none. */
  readonly prompt: string | undefined;
}

/** Ways into the clients of open windows. They live with the host. */
export class OpenWindows {
  readonly #ways: Readonly<Record<WindowWay, TakeAct>>;
  /** Plugins that wait for an act; the newest last. */
  readonly #plugins = new Set<Plugin>();
  /** Acts of which no plugin has reported what came of them, by number. */
  readonly #given = new Map<number, (isTaken: boolean) => void>();
  #lastNumber = 0;

  /** Sessions whose turn a hook ends, and the event that did; null: none has yet. */
  readonly stops = new Map<string, StoppedBy | null>();

  /** Keys of words that a client is being given as a prompt: no event brings them beside that. */
  readonly underWay = new Set<string>();

  /** @param atServer reaches a client's own server */
  constructor(atServer: TakeAct) {
    this.#ways = {
      server: atServer,
      plugin: ({ session }, act) => this.#give(session, act),
      hook: ({ session }, act) => Promise.resolve("stop" in act && this.stops.set(session, null).has(session)),
    };
  }

  act(way: WindowWay, window: ChatWindow, act: WindowAct): Promise<boolean> {
    return this.#ways[way](window, act);
  }

  /** The next act for a session of a plugin. @returns null: it waits no more */
  next(session: () => string, gone: AbortSignal): Promise<GivenAct | null> {
    const { promise, resolve } = Promise.withResolvers<GivenAct | null>();
    const plugin = { session, take: resolve };
    this.#plugins.add(plugin);
    gone.addEventListener("abort", () => resolve(null), { once: true });
    return promise.finally(() => this.#plugins.delete(plugin));
  }

  /** The first report of what came of an act counts. */
  report(number: number, isTaken: boolean): void {
    this.#given.get(number)?.(isTaken);
    this.#given.delete(number);
  }

  /** How many wait for an act in a session. */
  waiting(session: string): number {
    return this.#in(session).length;
  }

  #in(session: string): Plugin[] {
    return [...this.#plugins].filter((one) => one.session() === session);
  }

  /** One begins a turn; any may be in it. */
  async #give(session: string, act: WindowAct): Promise<boolean> {
    const waiting = this.#in(session);
    const reports = ("stop" in act ? waiting : waiting.slice(-1)).map((plugin) => {
      this.#plugins.delete(plugin);
      const number = (this.#lastNumber += 1);
      plugin.take({ number, act });
      return new Promise<boolean>((resolve) => this.#given.set(number, resolve));
    });
    return (await Promise.all(reports)).includes(true);
  }
}

/** A process that is not the host reaches none. */
export function noWindows(): OpenWindows {
  return new OpenWindows(() => Promise.resolve(false));
}
