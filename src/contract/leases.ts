import * as z from "zod";
import { chatErrors, declare } from "./operation.ts";
import { counter, durationMs, Id, Self, limit, whole } from "./values.ts";

const ElectionName = Id;

/** An election is a lease on its name behind this; its token is the term. */
export const leaderScheme = "leader:";

export const Leader = z.object({
  name: ElectionName,
  leader: Id,
  incarnation: z.int(),
  /** Fencing token of the leader; grows with each change of the leader. */
  term: counter,
  ttlMs: durationMs,
  remainingMs: durationMs,
});
export type Leader = z.infer<typeof Leader>;

export const electionOperations = {
  "elections.campaign": declare("work", "POST /elections/campaign", {
    input: z.strictObject({
      self: Self,
      name: ElectionName,
      requestId: Id,
      ttlMs: z.int().min(1_000).max(600_000).default(30_000),
      waitMs: z.int().min(0).max(3_600_000).default(0),
    }),
    output: z.discriminatedUnion("state", [
      z.object({ state: z.literal("leading"), leader: Leader }),
      z.object({ state: z.literal("following"), leader: Leader.nullable(), position: z.int().nullable() }),
    ]),
    errors: [...chatErrors, "quota_exceeded"],
    summary: "Becomes the leader if there is none, or waits in the queue.",
  }),
  "elections.resign": declare("work", "POST /elections/resign", {
    input: z.strictObject({ self: Self, name: ElectionName, term: counter }),
    output: z.object({ hasResigned: z.boolean() }),
    errors: chatErrors,
    summary: "The leader resigns; the next waiter becomes the leader at once.",
    effect: "keep",
    example: { term: 1 },
  }),
  "elections.observe": declare("observe", "GET /elections", {
    input: z.strictObject({ name: ElectionName }),
    output: z.object({ leader: Leader.nullable() }),
    summary: "Returns the current leader. Watches of `$leader/` receive its changes.",
  }),
} as const;

/** Any name. In `file:<project>/<path>` a last `*` means a folder's files, `**` all below it. */
const Resource = whole(z.string().regex(/^[^\p{Cc}]{1,512}$/u, "1 to 512 characters without control characters"))
  .refine((name) => !name.startsWith(leaderScheme), "leader: is reserved for elections")
  .refine(
    (name) => !name.startsWith("file:") || !/[*]/.test(name.slice(5).replace(/\/\*\*?$/, "")),
    "* is allowed only as the last part of a path",
  )
  .refine(
    (name) => !name.startsWith("file:") || !/(^|\/)(\.{0,2})(\/|$)/.test(name.slice(5)),
    "a path has no empty part, no . and no ..",
  );

const LeaseTtl = z.int().min(1_000).max(3_600_000);
const defaultLeaseTtlMs = 60_000;

export const Lease = z.object({
  resource: z.string(),
  holder: Id,
  incarnation: z.int(),
  /** Fencing token: grows with each grant; a guarded write carries it. */
  token: counter,
  ttlMs: durationMs,
  /** Remaining time by the coordinator's clock; a holder counts it from its own request. */
  remainingMs: durationMs,
  /** Renewed by its holder's pings for as long as the holder lives. */
  isBound: z.boolean(),
  heldForMs: durationMs,
});
export type Lease = z.infer<typeof Lease>;

export const leaseOperations = {
  "leases.acquire": declare("work", "POST /leases/acquire", {
    input: z.strictObject({
      self: Self,
      resource: Resource,
      /** Repeats of a request return the same grant. */
      requestId: Id,
      ttlMs: LeaseTtl.default(defaultLeaseTtlMs),
      isBound: z.boolean().default(false),
      /** Maximum time in the queue while the lease is held; 0: no waiting. */
      waitMs: z.int().min(0).max(3_600_000).default(0),
      /** Time after an expiry in which no other chat gets the lease. */
      lockDelayMs: z.int().min(0).max(60_000).default(0),
    }),
    output: z.discriminatedUnion("state", [
      z.object({ state: z.literal("granted"), lease: Lease }),
      z.object({ state: z.literal("waiting"), position: z.int().min(1), waitMs: durationMs }),
    ]),
    errors: [...chatErrors, "lease_held", "quota_exceeded"],
    summary: "Acquires a lease, or waits in the queue for it.",
  }),
  "leases.renew": declare("work", "POST /leases/renew", {
    input: z.strictObject({ self: Self, resource: z.string().max(512), token: counter, ttlMs: LeaseTtl.optional() }),
    output: Lease,
    errors: [...chatErrors, "not_holder"],
    summary: "Renews a lease that is still held.",
    effect: "keep",
  }),
  "leases.release": declare("work", "POST /leases/release", {
    input: z.strictObject({ self: Self, resource: z.string().max(512), token: counter }),
    output: z.object({ isReleased: z.boolean() }),
    errors: chatErrors,
    summary: "Releases a lease.",
    effect: "keep",
  }),
  "leases.cancel-wait": declare("work", "POST /leases/cancel-wait", {
    input: z.strictObject({ self: Self, resource: z.string().max(512), requestId: Id }),
    output: z.object({ isCancelled: z.boolean() }),
    errors: chatErrors,
    summary: "Cancels a wait for a lease.",
    effect: "keep",
  }),
  /** Answers whether a token is the present one of a lease that covers the resource. */
  "leases.check": declare("observe", "GET /leases/check", {
    input: z.strictObject({ resource: z.string().max(512), token: counter }),
    output: z.object({ isValid: z.boolean(), remainingMs: durationMs, holder: Id.nullable() }),
    summary: "Checks whether a fencing token is the current one for a resource.",
  }),
  "leases.list": declare("observe", "GET /leases", {
    input: z.strictObject({
      holder: Id.optional(),
      prefix: z.string().max(512).default(""),
      limit: limit(200, 50),
      cursor: z.string().max(600).optional(),
    }),
    output: z.object({ leases: z.array(Lease), cursor: z.string().nullable() }),
    summary: "Lists held leases by name, page by page.",
    surfaces: ["page", "remote"],
  }),
  "leases.force-release": declare("admin", "POST /leases/force-release", {
    input: z.strictObject({
      resource: z.string().max(512),
      reason: z.string().min(1).max(500).describe("recorded in the audit log"),
      requestId: Id.optional(),
    }),
    output: z.object({ isReleased: z.boolean() }),
    errors: ["key_reused"],
    summary: "Revokes a lease from its holder; the audit log records the reason.",
    effect: "free",
    isDestructive: true,
    surfaces: ["page", "remote"],
    example: { resource: "file:p/a.ts", reason: "stuck" },
  }),
} as const;
