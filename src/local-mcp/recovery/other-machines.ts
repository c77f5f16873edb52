import type { OpenedLink } from "../link/open-link.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Naming } from "../team/naming.ts";
import { offerElsewhere, type Place } from "./remote-offer.ts";
import { reachOf } from "./remote-reach.ts";
import { TakenSessions } from "./taken-sessions.ts";

/** A chat that has just died counts as alive for a while, and its mirror comes a while after the start: so long an offer is looked for, in ms. */
const offerWithinMs = 300_000;

/** What the other machines of the workspace mean to one chat: sessions of theirs that it goes on with, or is offered. */
export class OtherMachines {
  readonly #runtime: Runtime;
  readonly #taken = new TakenSessions();
  #firstAt: number | null = null;
  #isOfferDue = true;
  #looking: Promise<void> | null = null;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** [RE24] [RE26] One look at a time; to be called from the registration of the chat on, every few seconds. */
  look(opened: OpenedLink, session: string, naming: Pick<Naming, "project">): Promise<void> {
    this.#looking ??= this.#look(opened, session, naming).finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #look(opened: OpenedLink, session: string, naming: Pick<Naming, "project">): Promise<void> {
    const reach = reachOf(this.#runtime, opened, session);
    if (!reach?.link.self) return;
    await this.#taken.settle(reach);
    if (!this.#isOfferDue) return;
    const now = this.#runtime.now();
    this.#firstAt ??= now;
    const place = await this.#placeOf(session, naming);
    const isOver = place === null || now - this.#firstAt > offerWithinMs;
    if (isOver || (await offerElsewhere(reach, place)) !== null) this.#isOfferDue = false;
  }

  /** Null: a chat without a project is offered nothing. */
  async #placeOf(session: string, naming: Pick<Naming, "project">): Promise<Place | null> {
    const root = this.#runtime.store.read((sql) => sessions.get(sql, session)?.project, null);
    if (!root) return null;
    const project = await naming.project(root);
    return project.ok ? { root, project: project.value } : null;
  }
}
