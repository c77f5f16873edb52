import type { Refusal } from "../../../src/contract/errors.ts";
import type { Instant } from "../../../src/coordinator-client/edge/trust.ts";
import type { Holding } from "../trust.ts";
import type { Answer, Client } from "./client.ts";

/** Leases and elections are asked for with different words, and mean the same to whoever holds them. */

export type Asked =
  | {
      readonly state: "granted";
      readonly token: number;
      readonly ttlMs: number;
      readonly remainingMs: number;
      readonly isBound: boolean;
    }
  | { readonly state: "waiting" }
  | { readonly state: "refused"; readonly code: Refusal["code"] };

type Done = (asked: Asked | null, sent: Instant) => void;

const scheme = "leader:";

function isElection(resource: string): boolean {
  return resource.startsWith(scheme);
}

/** @param late another answer to the same request */
export function ask(client: Client, holding: Holding, done: Done, late: Done): void {
  const { resource, requestId, ttlMs, waitMs, lockDelayMs, isBound } = holding;
  const { self } = client;
  if (isElection(resource)) {
    const name = resource.slice(scheme.length);
    const input = { self, name, requestId, ttlMs, waitMs };
    client.call("elections.campaign", input, (reply, sent) => done(readCampaign(reply), sent), {
      late: (reply, sent) => late(readCampaign(reply), sent),
    });
    return;
  }
  const input = { self, resource, requestId, ttlMs, isBound, waitMs, lockDelayMs };
  client.call("leases.acquire", input, (reply, sent) => done(readAcquire(reply), sent), {
    late: (reply, sent) => late(readAcquire(reply), sent),
  });
}

function readAcquire(reply: Answer<"leases.acquire"> | null): Asked | null {
  if (!reply) return null;
  if (!reply.ok) return { state: "refused", code: reply.error.code };
  if (reply.value.state === "waiting") return { state: "waiting" };
  const { token, ttlMs, remainingMs, isBound } = reply.value.lease;
  return { state: "granted", token, ttlMs, remainingMs, isBound };
}

function readCampaign(reply: Answer<"elections.campaign"> | null): Asked | null {
  if (!reply) return null;
  if (!reply.ok) return { state: "refused", code: reply.error.code };
  if (reply.value.state === "following") {
    return reply.value.position === null ? { state: "refused", code: "lease_held" } : { state: "waiting" };
  }
  const { term, ttlMs, remainingMs } = reply.value.leader;
  return { state: "granted", token: term, ttlMs, remainingMs, isBound: false };
}

export function renew(client: Client, { resource, token }: Holding, done: Done): void {
  const { self } = client;
  if (isElection(resource)) {
    const name = resource.slice(scheme.length);
    client.call("elections.renew", { self, name, term: token }, (reply, sent) => done(reply && readTerm(reply), sent), {
      tries: 3,
    });
    return;
  }
  client.call("leases.renew", { self, resource, token }, (reply, sent) => done(reply && readRenewal(reply), sent), {
    tries: 3,
  });
}

function readTerm(reply: Answer<"elections.renew">): Asked {
  if (!reply.ok) return { state: "refused", code: reply.error.code };
  const { term, ttlMs, remainingMs } = reply.value;
  return { state: "granted", token: term, ttlMs, remainingMs, isBound: false };
}

function readRenewal(reply: Answer<"leases.renew">): Asked {
  return reply.ok ? { state: "granted", ...reply.value } : { state: "refused", code: reply.error.code };
}

/** Gives back what was granted with a token; asked until it is answered. */
export function release(client: Client, resource: string, token: number): void {
  const { self } = client;
  if (isElection(resource)) {
    client.call("elections.resign", { self, name: resource.slice(scheme.length), term: token }, () => undefined);
  } else client.call("leases.release", { self, resource, token }, () => undefined);
}

export function cancelWait(client: Client, { resource, requestId, token }: Holding): void {
  const { self } = client;
  if (isElection(resource)) {
    client.call("elections.resign", { self, name: resource.slice(scheme.length), term: token }, () => undefined);
  } else client.call("leases.cancel-wait", { self, resource, requestId }, () => undefined);
}
