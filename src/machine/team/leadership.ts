import { isTransient, type CallError } from "../../contract/errors.ts";
import { leaderScheme, type Leader } from "../../contract/leases.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { newId } from "../../coordinator-client/edge/platform.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { ChatParts } from "./chat-parts.ts";
import { dropHeld, leadershipTtlMs as ttlMs, listHeld, type Holding } from "./holdings.ts";
import * as news from "../sessions/news.ts";

type CampaignAnswer = OutputOf<"elections.campaign">;

const timeoutMs = 8_000;
const waitMs = 3_600_000;

/** Terms of a chat, and its places in line: their token is 0. */
export class Leadership {
  readonly #parts: ChatParts;

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  async campaign(name: string): Promise<Result<CampaignAnswer, CallError>> {
    const held = this.#find(name);
    const requestId = held?.body.requestId ?? newId(this.#parts.platform);
    const { link, holdings } = this.#parts;
    const answer = await link.call("elections.campaign", { name, requestId, ttlMs, waitMs }, timeoutMs);
    if (answer.ok) {
      const token = answer.value.state === "leading" ? answer.value.leader.term : 0;
      const holding = { kind: "leadership", resource: name, token, body: { requestId } } as const;
      if (held?.token !== token) holdings.put(this.#parts, holding);
    }
    return answer;
  }

  async resign(name: string): Promise<Result<boolean, CallError>> {
    const held = this.#find(name);
    const answer = await this.#parts.link.call("elections.resign", { name, term: held?.token ?? 0 }, timeoutMs);
    if (!answer.ok) return answer;
    if (held) this.#parts.runtime.store.write((sql) => dropHeld(sql, held));
    return ok(answer.value.hasResigned);
  }

  async leaderOf(name: string): Promise<Result<Leader | null, CallError>> {
    const answer = await this.#parts.link.call("elections.observe", { name }, timeoutMs);
    return answer.ok ? ok(answer.value.leader) : answer;
  }

  #find(name: string): Holding<"leadership"> | undefined {
    return listHeld(this.#parts, "leadership").find(({ resource }) => resource === name);
  }

  async renew(held: Holding<"leadership">): Promise<void> {
    const { resource: name, token: term } = held;
    if (term === 0) return void (await this.campaign(name));
    const renewal = { resource: leaderScheme + name, token: term };
    const answer = await this.#parts.link.call("leases.renew", renewal, timeoutMs);
    if (answer.ok || isTransient(answer.error)) return;
    const { runtime, sessionId } = this.#parts;
    const text = `This chat no longer leads ${name} (term ${term}): stop the work that depends on it.`;
    runtime.store.write((sql) => {
      if (!dropHeld(sql, held)) return;
      news.add(sql, runtime.now(), sessionId, `leadership:${name}:${term}`, { kind: "notice", text });
    });
  }
}
