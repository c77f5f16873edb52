import type { Self } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { EdgeClient } from "../../local-mcp/edge/client.ts";
import type { EdgeError } from "../../local-mcp/edge/failure.ts";
import type { HoldOptions } from "../../local-mcp/edge/held.ts";
import type { Right } from "../../local-mcp/edge/kept-right.ts";
import { redact } from "../../local-mcp/redaction/redact.ts";
import { exitCodes, type Refusal } from "../answer.ts";
import type { Coordination } from "../coordination.ts";

/** A right as one chat holds it. */
export interface Holding {
  readonly self: Self;
  readonly token: number;
}

/** What a command runs under, a lease or a term of an election, and how each host is asked for it. */
export interface WantedRight {
  /** As guards name it. */
  readonly resource: string;
  readonly ttlMs: number;
  /** How long to stand in line. */
  readonly waitMs: number;
  holdOnEdge(edge: EdgeClient, options: HoldOptions): Promise<Result<Right, EdgeError>>;
  /** @returns the token; null: in line */
  askHere(link: Coordination, self: Self, requestId: string, waitMs: number): Promise<Result<number | null, Refusal>>;
  renewHere(link: Coordination, holding: Holding): Promise<Result<unknown, Refusal>>;
  releaseHere(link: Coordination, holding: Holding): Promise<Result<unknown, Refusal>>;
}

interface Wish {
  readonly ttlMs: number;
  readonly waitMs: number;
}

export function aLease(name: string, { ttlMs, waitMs }: Wish): WantedRight {
  // [RD12] The edge's own client is asked directly.
  const resource = redact(name).text;
  const wanted = { resource, ttlMs };
  return {
    ...wanted,
    waitMs,
    holdOnEdge: (edge, options) => edge.hold({ ...wanted, waitMs }, options),
    askHere: async (link, self, requestId, leftMs) => {
      const asked = await link.call("leases.acquire", { ...wanted, self, requestId, waitMs: leftMs });
      if (!asked.ok) return asked.error.code === "lease_held" ? notGot(`${asked.error.message}.`) : asked;
      return ok(asked.value.state === "granted" ? asked.value.lease.token : null);
    },
    renewHere: (link, holding) => link.call("leases.renew", { ...holding, ...wanted }),
    releaseHere: (link, holding) => link.call("leases.release", { ...holding, resource }),
  };
}

export function aTerm(election: string, { ttlMs, waitMs }: Wish): WantedRight {
  const name = redact(election).text;
  return {
    resource: `leader:${name}`,
    ttlMs,
    waitMs,
    holdOnEdge: (edge, options) => edge.lead({ name, ttlMs, waitMs }, options),
    askHere: async (link, self, requestId, leftMs) => {
      const asked = await link.call("elections.campaign", { self, name, requestId, ttlMs, waitMs: leftMs });
      if (!asked.ok) return asked;
      const { state, leader } = asked.value;
      if (state === "leading") return ok(asked.value.leader.term);
      return leftMs > 0 ? ok(null) : notGot(`${leader?.leader ?? "nobody yet"} leads ${name}.`);
    },
    renewHere: (link, { self, token: term }) => link.call("elections.renew", { self, name, term }),
    releaseHere: (link, { self, token: term }) => link.call("elections.resign", { self, name, term }),
  };
}

export function notGot(message: string): { readonly ok: false; readonly error: Refusal } {
  return err({ exit: exitCodes.leaseNotGot, code: "lease_held", message });
}
