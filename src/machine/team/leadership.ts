import { isTransient, type CallError } from "../../contract/errors.ts";
import type { Leader } from "../../contract/elections.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { ChatParts } from "./chat-parts.ts";
import * as news from "../sessions/news.ts";

type CampaignAnswer = OutputOf<"elections.campaign">;

interface Candidacy {
  readonly requestId: string;
  /** Null while the chat waits. */
  term: number | null;
}

const timeoutMs = 8_000;
/** Four renewals may fail in it. */
const ttlMs = 60_000;
const waitMs = 3_600_000;
const leasePrefix = "leader:";

export class Leadership {
  readonly #parts: ChatParts;
  readonly #candidacies = new Map<string, Candidacy>();

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  async campaign(name: string): Promise<Result<CampaignAnswer, CallError>> {
    const requestId = this.#candidacies.get(name)?.requestId ?? this.#parts.newId();
    const { link } = this.#parts;
    const answer = await link.call("elections.campaign", { name, requestId, ttlMs, waitMs }, timeoutMs);
    if (answer.ok) {
      const term = answer.value.state === "leading" ? answer.value.leader.term : null;
      this.#candidacies.set(name, { requestId, term });
    }
    return answer;
  }

  async resign(name: string): Promise<Result<boolean, CallError>> {
    const term = this.#candidacies.get(name)?.term ?? 0;
    const answer = await this.#parts.link.call("elections.resign", { name, term }, timeoutMs);
    if (!answer.ok) return answer;
    this.#candidacies.delete(name);
    return ok(answer.value.hasResigned);
  }

  async leaderOf(name: string): Promise<Result<Leader | null, CallError>> {
    const answer = await this.#parts.link.call("elections.observe", { name }, timeoutMs);
    return answer.ok ? ok(answer.value.leader) : answer;
  }

  /** Renews the terms won by an earlier process of this chat. */
  async adopt(): Promise<void> {
    const { link } = this.#parts;
    const { self } = link;
    if (!self) return;
    const leases = await link.call("leases.list", { prefix: leasePrefix, holder: self.chat, limit: 200 }, timeoutMs);
    if (!leases.ok) return;
    for (const { resource, token, incarnation } of leases.value.leases) {
      const name = resource.slice(leasePrefix.length);
      if (incarnation !== self.incarnation || this.#candidacies.has(name)) continue;
      this.#candidacies.set(name, { requestId: this.#parts.newId(), term: token });
    }
  }

  async check(): Promise<void> {
    for (const [name, { term }] of this.#candidacies) {
      if (term === null) await this.campaign(name);
      else await this.#renew(name, term);
    }
  }

  close(): void {
    this.#candidacies.clear();
  }

  async #renew(name: string, term: number): Promise<void> {
    const answer = await this.#parts.link.call("elections.renew", { name, term }, timeoutMs);
    if (answer.ok || isTransient(answer.error) || this.#candidacies.get(name)?.term !== term) return;
    this.#candidacies.delete(name);
    const { runtime, sessionId } = this.#parts;
    const text = `This chat no longer leads ${name} (term ${term}): stop the work that depends on it.`;
    news.notify(runtime, sessionId, `leadership:${name}:${term}`, { kind: "notice", text });
  }
}
