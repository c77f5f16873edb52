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
  readonly take: (act: WindowAct | null) => void;
}

/** Ways into the clients of open windows. They live with the host. */
export class OpenWindows {
  readonly #ways: Readonly<Record<WindowWay, TakeAct>>;
  /** Plugins that wait for an act; the newest last. */
  readonly #plugins = new Set<Plugin>();

  /** Sessions whose turn ends with their next hook, which takes them out. */
  readonly stops = new Set<string>();

  /** Keys of words that a client is being given as a prompt: no event brings them beside that. */
  readonly underWay = new Set<string>();

  /** @param atServer reaches a client's own server */
  constructor(atServer: TakeAct) {
    this.#ways = {
      server: atServer,
      plugin: ({ session }, act) => Promise.resolve(this.#give(session, act)),
      hook: ({ session }, act) => Promise.resolve("stop" in act && this.stops.add(session).has(session)),
    };
  }

  act(way: WindowWay, window: ChatWindow, act: WindowAct): Promise<boolean> {
    return this.#ways[way](window, act);
  }

  /** The next act for a session of a plugin. @returns null: it waits no more */
  next(session: () => string, gone: AbortSignal): Promise<WindowAct | null> {
    const { promise, resolve } = Promise.withResolvers<WindowAct | null>();
    const plugin = { session, take: resolve };
    this.#plugins.add(plugin);
    gone.addEventListener("abort", () => resolve(null), { once: true });
    return promise.finally(() => this.#plugins.delete(plugin));
  }

  /** How many wait for an act in a session. */
  waiting(session: string): number {
    return this.#in(session).length;
  }

  #in(session: string): Plugin[] {
    return [...this.#plugins].filter((one) => one.session() === session);
  }

  /** One begins a turn; any may be in it. */
  #give(session: string, act: WindowAct): boolean {
    const waiting = this.#in(session);
    for (const plugin of "stop" in act ? waiting : waiting.slice(-1)) {
      this.#plugins.delete(plugin);
      plugin.take(act);
    }
    return waiting.length > 0;
  }
}

/** A process that is not the host reaches none. */
export function noWindows(): OpenWindows {
  return new OpenWindows(() => Promise.resolve(false));
}
