import { isSameProcess, type ProcessIdentity } from "../platform/processes.ts";

/** A process that a client has started, as long as it is connected to this host. */
export interface ConnectedFront {
  /** Null until it is found. */
  readonly client: ProcessIdentity | null;
}

/** Presence of clients: a client is served while a front of it is connected. */
export class Fronts {
  readonly #connected = new Set<ConnectedFront>();
  /** Clients whose front was killed, until that is reported. */
  #bereft: readonly ProcessIdentity[] = [];

  connect(front: ConnectedFront): void {
    this.#connected.add(front);
  }

  /** @param isKilled it has said nothing of its end */
  disconnect(front: ConnectedFront, isKilled: boolean): void {
    if (this.#connected.delete(front) && isKilled && front.client) this.#bereft = [...this.#bereft, front.client];
  }

  serves(client: ProcessIdentity): boolean {
    return [...this.#connected].some((front) => isSameProcess(front.client, client));
  }

  /** Whether the client's front was killed, and no other has come; answered once. */
  takeLoss(client: ProcessIdentity): boolean {
    const others = this.#bereft.filter((one) => !isSameProcess(one, client));
    const isBereft = others.length < this.#bereft.length;
    this.#bereft = others;
    return isBereft && !this.serves(client);
  }
}
