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

/** Ways into the clients of open windows. They live with the host. */
export class OpenWindows {
  readonly #ways: Readonly<Record<WindowWay, TakeAct>>;
  /** Plugins that wait for an act, by session; the newest last. */
  readonly #plugins = new Map<string, readonly ((act: WindowAct | null) => void)[]>();

  /** Sessions whose turn ends with their next hook, which takes them out. */
  readonly stops = new Set<string>();

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
  next(session: string, gone: AbortSignal): Promise<WindowAct | null> {
    const { promise, resolve } = Promise.withResolvers<WindowAct | null>();
    this.#plugins.set(session, [...(this.#plugins.get(session) ?? []), resolve]);
    gone.addEventListener("abort", () => resolve(null), { once: true });
    return promise.finally(() => this.#forget(session, resolve));
  }

  /** Plugins that wait for an act in a session. */
  waiting(session: string): number {
    return this.#plugins.get(session)?.length ?? 0;
  }

  #give(session: string, act: WindowAct): boolean {
    const plugin = this.#plugins.get(session)?.at(-1);
    if (plugin === undefined) return false;
    this.#forget(session, plugin);
    plugin(act);
    return true;
  }

  #forget(session: string, plugin: (act: WindowAct | null) => void): void {
    const left = (this.#plugins.get(session) ?? []).filter((one) => one !== plugin);
    if (left.length > 0) this.#plugins.set(session, left);
    else this.#plugins.delete(session);
  }
}

/** A process that is not the host reaches none. */
export function noWindows(): OpenWindows {
  return new OpenWindows(() => Promise.resolve(false));
}
