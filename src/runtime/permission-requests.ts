import type { Decision } from "../contract/machine/requests.ts";

/** A permission that a client asks its user for. */
export interface PermissionRequest {
  readonly id: string;
  /** SHIM's id of the session. */
  readonly session: string;
  /** The sub-agent that asks; null: the main chat. */
  readonly agent: string | null;
  readonly tool: string;
  /** By which its end is found; never shown. */
  readonly toolInput: unknown;
  /** Effect of the call, for a person; redacted. */
  readonly text: string;
  /** Why only the terminal can answer it; null: the hook is held. */
  readonly reason: string | null;
  readonly askedAt: number;
  readonly endsAt: number;
}

export interface GivenDecision {
  readonly behavior: Decision;
  readonly message?: string;
}

interface Held {
  readonly request: PermissionRequest;
  readonly settle: (decision: GivenDecision | null) => void;
}

/** Requests that have ended are known so long that a late answer gets a clear refusal. */
const maxEnded = 200;
/** The oldest is given up: no client asks so often at once. */
const maxOpen = 100;

/** Permission requests that are open. They live with the host, as the hooks that it holds do. */
export class PermissionRequests {
  readonly #open = new Map<string, Held>();
  readonly #ended = new Set<string>();

  /** @returns resolves once, when it ends; null: without a decision of SHIM */
  open(request: PermissionRequest): Promise<GivenDecision | null> {
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= maxOpen) this.end(oldest);
    const { promise, resolve } = Promise.withResolvers<GivenDecision | null>();
    this.#open.set(request.id, { request, settle: resolve });
    return promise;
  }

  /** Oldest first. */
  list(now: number): PermissionRequest[] {
    for (const { request } of this.#open.values()) if (request.endsAt <= now) this.end(request.id);
    return [...this.#open.values()].map(({ request }) => request);
  }

  hasEnded(id: string): boolean {
    return this.#ended.has(id);
  }

  /** @returns false: it is not open, or is the terminal's alone */
  answer(id: string, decision: GivenDecision): boolean {
    const held = this.#open.get(id);
    if (held === undefined || held.request.reason !== null) return false;
    this.#remove(id);
    held.settle(decision);
    return true;
  }

  end(id: string): void {
    const held = this.#open.get(id);
    if (held === undefined) return;
    this.#remove(id);
    held.settle(null);
  }

  #remove(id: string): void {
    this.#open.delete(id);
    this.#ended.add(id);
    const [oldest] = this.#ended;
    if (oldest !== undefined && this.#ended.size > maxEnded) this.#ended.delete(oldest);
  }
}
