import type { CallError } from "../../../../contract/errors.ts";
import type { Self } from "../../../../contract/values.ts";
import { err, ok, type Result } from "../../../../shared/result.ts";
import type { EdgeClient } from "../../../../coordinator-client/edge/client.ts";
import type { HoldOptions } from "../../../../coordinator-client/edge/lease-acquirer.ts";
import type { HeldLease } from "../../../../coordinator-client/edge/held-lease.ts";
import { redact } from "../../../../redaction/redact.ts";
import { exitCodes, type CommandError } from "../../../answer.ts";
import type { CoordinatorLink } from "../../../coordinator-link.ts";

export interface LeaseGrant {
  readonly self: Self;
  readonly token: number;
}

export interface LeaseRequest {
  readonly resource: string;
  readonly ttlMs: number;
  readonly waitMs: number;
  holdOnEdge(edge: EdgeClient, options: HoldOptions): Promise<Result<HeldLease, CallError>>;
  /** @returns the token; null: waiting */
  acquireLocally(
    link: CoordinatorLink,
    self: Self,
    requestId: string,
    waitMs: number,
  ): Promise<Result<number | null, CommandError>>;
  renewLocally(link: CoordinatorLink, grant: LeaseGrant): Promise<Result<unknown, CommandError>>;
  releaseLocally(link: CoordinatorLink, grant: LeaseGrant): Promise<Result<unknown, CommandError>>;
}

interface LeaseTiming {
  readonly ttlMs: number;
  readonly waitMs: number;
}

export function leaseRequest(name: string, { ttlMs, waitMs }: LeaseTiming): LeaseRequest {
  // [RD12] Redacted here, since requests to the edge's own client bypass the link.
  const resource = redact(name).text;
  const request = { resource, ttlMs };
  return {
    ...request,
    waitMs,
    holdOnEdge: (edge, options) => edge.hold({ ...request, waitMs }, options),
    acquireLocally: async (link, self, requestId, leftMs) => {
      const answer = await link.call("leases.acquire", { ...request, self, requestId, waitMs: leftMs });
      if (!answer.ok) return answer.error.code === "lease_held" ? notAcquired(`${answer.error.message}.`) : answer;
      return ok(answer.value.state === "granted" ? answer.value.lease.token : null);
    },
    renewLocally: (link, grant) => link.call("leases.renew", { ...grant, ...request }),
    releaseLocally: (link, grant) => link.call("leases.release", { ...grant, resource }),
  };
}

export function termRequest(election: string, { ttlMs, waitMs }: LeaseTiming): LeaseRequest {
  const name = redact(election).text;
  return {
    resource: `leader:${name}`,
    ttlMs,
    waitMs,
    holdOnEdge: (edge, options) => edge.lead({ name, ttlMs, waitMs }, options),
    acquireLocally: async (link, self, requestId, leftMs) => {
      const answer = await link.call("elections.campaign", { self, name, requestId, ttlMs, waitMs: leftMs });
      if (!answer.ok) return answer;
      const { state, leader } = answer.value;
      if (state === "leading") return ok(answer.value.leader.term);
      return leftMs > 0 ? ok(null) : notAcquired(`${leader?.leader ?? "nobody yet"} leads ${name}.`);
    },
    renewLocally: (link, { self, token: term }) => link.call("elections.renew", { self, name, term }),
    releaseLocally: (link, { self, token: term }) => link.call("elections.resign", { self, name, term }),
  };
}

export function notAcquired(message: string): { readonly ok: false; readonly error: CommandError } {
  return err({ exit: exitCodes.leaseNotGot, code: "lease_held", message });
}
