import type { Leader } from "../../contract/elections.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { ok, type Result } from "../../shared/result.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";
import type { Runtime } from "../runtime.ts";
import * as news from "./news.ts";

export interface LeadershipAround {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly newId: () => string;
}

type Campaigned = OutputOf<"elections.campaign">;

interface Candidacy {
  readonly requestId: string;
  /** Null: the chat waits. */
  term: number | null;
}

const withinMs = 8_000;
/** Four renewals may fail in it. */
const ttlMs = 60_000;
const waitMs = 3_600_000;
const prefix = "leader:";

/** [TE32] The elections in which one chat stands: it waits in line, and renews its terms while it lives. */
export class Leadership {
  readonly #around: LeadershipAround;
  readonly #candidacies = new Map<string, Candidacy>();

  constructor(around: LeadershipAround) {
    this.#around = around;
  }

  async campaign(name: string): Promise<Result<Campaigned, Trouble>> {
    const requestId = this.#candidacies.get(name)?.requestId ?? this.#around.newId();
    const { link } = this.#around;
    const answer = await link.call("elections.campaign", { name, requestId, ttlMs, waitMs }, withinMs);
    if (answer.ok) this.#heed(name, requestId, answer.value);
    return answer;
  }

  /** @returns whether the chat led */
  async resign(name: string): Promise<Result<boolean, Trouble>> {
    const term = this.#candidacies.get(name)?.term ?? 0;
    const answer = await this.#around.link.call("elections.resign", { name, term }, withinMs);
    if (!answer.ok) return answer;
    this.#candidacies.delete(name);
    return ok(answer.value.hasResigned);
  }

  async leaderOf(name: string): Promise<Result<Leader | null, Trouble>> {
    const answer = await this.#around.link.call("elections.observe", { name }, withinMs);
    return answer.ok ? ok(answer.value.leader) : answer;
  }

  /** Terms that an earlier process of this chat has won are renewed by this one. */
  async adopt(): Promise<void> {
    const { link } = this.#around;
    const { self } = link;
    if (!self) return;
    const held = await link.call("leases.list", { prefix, holder: self.chat, limit: 200 }, withinMs);
    if (!held.ok) return;
    for (const { resource, token, incarnation } of held.value.leases) {
      const name = resource.slice(prefix.length);
      if (incarnation !== self.incarnation || this.#candidacies.has(name)) continue;
      this.#candidacies.set(name, { requestId: this.#around.newId(), term: token });
    }
  }

  /** Renews the chat's terms, and asks again in elections where it waits. */
  async check(): Promise<void> {
    for (const [name, { term }] of this.#candidacies) {
      if (term === null) await this.campaign(name);
      else await this.#renew(name, term);
    }
  }

  close(): void {
    this.#candidacies.clear();
  }

  #heed(name: string, requestId: string, answer: Campaigned): void {
    const term = answer.state === "leading" ? answer.leader.term : null;
    this.#candidacies.set(name, { requestId, term });
  }

  async #renew(name: string, term: number): Promise<void> {
    const answer = await this.#around.link.call("elections.renew", { name, term }, withinMs);
    if (answer.ok || isPassing(answer.error) || this.#candidacies.get(name)?.term !== term) return;
    this.#candidacies.delete(name);
    const { runtime, sessionId } = this.#around;
    const text = `This chat no longer leads ${name} (term ${term}): stop the work that depends on it.`;
    runtime.store.write((sql) => {
      news.add(sql, runtime.now(), sessionId, `leadership:${name}:${term}`, { kind: "notice", text });
    });
  }
}
