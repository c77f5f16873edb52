import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../../contract/errors.ts";
import type { Leader } from "../../contract/elections.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as news from "../sessions/news.ts";

export interface LeadershipDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: CoordinatorClient;
  readonly sessionId: string;
  readonly workspace: string;
  readonly newId: () => string;
}

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
  readonly #deps: LeadershipDeps;
  readonly #candidacies = new Map<string, Candidacy>();

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
  }

  async campaign(name: string): Promise<Result<CampaignAnswer, CallError>> {
    const requestId = this.#candidacies.get(name)?.requestId ?? this.#deps.newId();
    const { link } = this.#deps;
    const answer = await link.call("elections.campaign", { name, requestId, ttlMs, waitMs }, timeoutMs);
    if (answer.ok) {
      const term = answer.value.state === "leading" ? answer.value.leader.term : null;
      this.#candidacies.set(name, { requestId, term });
    }
    return answer;
  }

  async resign(name: string): Promise<Result<boolean, CallError>> {
    const term = this.#candidacies.get(name)?.term ?? 0;
    const answer = await this.#deps.link.call("elections.resign", { name, term }, timeoutMs);
    if (!answer.ok) return answer;
    this.#candidacies.delete(name);
    return ok(answer.value.hasResigned);
  }

  async leaderOf(name: string): Promise<Result<Leader | null, CallError>> {
    const answer = await this.#deps.link.call("elections.observe", { name }, timeoutMs);
    return answer.ok ? ok(answer.value.leader) : answer;
  }

  /** Renews the terms won by an earlier process of this chat. */
  async adopt(): Promise<void> {
    const { link } = this.#deps;
    const { self } = link;
    if (!self) return;
    const leases = await link.call("leases.list", { prefix: leasePrefix, holder: self.chat, limit: 200 }, timeoutMs);
    if (!leases.ok) return;
    for (const { resource, token, incarnation } of leases.value.leases) {
      const name = resource.slice(leasePrefix.length);
      if (incarnation !== self.incarnation || this.#candidacies.has(name)) continue;
      this.#candidacies.set(name, { requestId: this.#deps.newId(), term: token });
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
    const answer = await this.#deps.link.call("elections.renew", { name, term }, timeoutMs);
    if (answer.ok || isTransient(answer.error) || this.#candidacies.get(name)?.term !== term) return;
    this.#candidacies.delete(name);
    const { runtime, sessionId } = this.#deps;
    const text = `This chat no longer leads ${name} (term ${term}): stop the work that depends on it.`;
    news.notify(runtime, sessionId, `leadership:${name}:${term}`, { kind: "notice", text });
  }
}

const statePrefix = "$leader/";

/** [TE9] Skips the leader at the time of joining. */
export class LeaderWatch {
  readonly #deps: LeadershipDeps;
  #pendingChanges: Change[] = [];
  #stop: () => void = () => undefined;

  constructor(deps: LeadershipDeps) {
    this.#deps = deps;
  }

  follow(): void {
    this.#stop();
    this.#stop = this.#deps.link.onChanges(statePrefix, (changes) => {
      this.#pendingChanges.push(...(changes ?? []));
      this.check();
    });
  }

  close(): void {
    this.#stop();
  }

  check(): void {
    if (this.#pendingChanges.length === 0) return;
    try {
      this.#addNews(this.#pendingChanges);
      this.#pendingChanges = [];
    } catch (error) {
      this.#deps.runtime.log("error", "a leader change is not stored yet", { error: String(error) });
    }
  }

  #addNews(changes: readonly Change[]): void {
    const { runtime, link, sessionId, workspace } = this.#deps;
    runtime.store.write((sql) => {
      for (const { key, value, revision } of changes) {
        const leader = parseLeader(value);
        const isSelf = leader !== null && leader === link.self?.chat;
        const newLeader = { kind: "leader_changed", name: key.slice(statePrefix.length), leader, isSelf } as const;
        news.add(sql, runtime.now(), sessionId, `leader:${workspace}:${revision}`, newLeader);
      }
    });
  }
}

function parseLeader(value: Change["value"]): string | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  return typeof value["leader"] === "string" ? value["leader"] : null;
}
