import * as z from "zod";
import { PageCall } from "./live-page.ts";
import { durationMs } from "./values.ts";

/**
 * A phone is paired with one machine, and the two talk through a coordinator that cannot read
 * them: it relays sealed frames, and stores none. Who pairs shows a claim that is derived from
 * the secret of the link, so it needs no token; afterwards the phone shows an access secret that
 * opens this relay and nothing else.
 */

const base64url = (chars: number) =>
  z.string().regex(new RegExp(`^[\\w-]{${chars}}$`), `${chars} characters of base64url`);
const sealedText = (maxChars: number) =>
  z
    .string()
    .min(1)
    .max(maxChars)
    .regex(/^[\w-]+$/, "base64url");
/** SHA-256, hex. */
const Hash = z.string().regex(/^[0-9a-f]{64}$/, "64 hexadecimal digits");

/** Random name of it, signed by the Worker, so that no invented one reaches an object. */
export const PhoneId = base64url(44);
/** 32 bytes, derived from the secret of the link. */
const PhoneClaim = base64url(43);
/** Made by the phone that pairs, so that it can continue after a break, and another cannot. */
const Claimant = base64url(22);
/** 32 random bytes that the machine gives to the phone, sealed. */
const PhoneAccess = base64url(43);

/** Bounds of the time in which a link pairs, in ms. */
export const pairingMs = { min: 10_000, max: 3_600_000, default: 300_000 } as const;
/** Bounds of the time for which a phone is paired, in ms. */
export const pairedMs = { min: 60_000, max: 31_536_000_000, default: 2_592_000_000 } as const;

/** Characters of base64url of a sealed introduction, and of a grant. */
const maxPairingChars = 4_000;

export const NewPhone = z.strictObject({
  claimHash: Hash,
  forMs: durationMs.min(pairingMs.min).max(pairingMs.max),
});
export const PhoneCreated = z.object({ id: PhoneId });

export const PhoneIntroduction = z.strictObject({
  claim: PhoneClaim,
  claimant: Claimant,
  /** Public key and name of the phone, sealed under the secret of the link. */
  introduction: sealedText(maxPairingChars),
});
export type PhoneIntroduction = z.infer<typeof PhoneIntroduction>;
export const PhoneClaimant = PhoneIntroduction.pick({ claim: true, claimant: true });
export type PhoneClaimant = z.infer<typeof PhoneClaimant>;

export const PhoneGrant = z.strictObject({
  /** Key and access secret, sealed to the key of the phone. */
  grant: sealedText(maxPairingChars),
  accessHash: Hash,
  forMs: durationMs.min(pairedMs.min).max(pairedMs.max),
});
export type PhoneGrant = z.infer<typeof PhoneGrant>;

/** State of a pairing as its machine sees it. */
export const PhoneStatus = z.object({
  introduction: z.string().nullable(),
  isPaired: z.boolean(),
  endsInMs: durationMs,
});
export type PhoneStatus = z.infer<typeof PhoneStatus>;
/** The grant for the phone; null: the machine has not decided. */
export const PhoneGranted = z.object({ grant: z.string().nullable() });

/** WebSocket subprotocol of a phone; the second one that it offers is its access secret. */
export const phoneProtocol = "shim.phone";

/** Longest frame in characters. */
export const maxPhoneFrameChars = 1_000_000;

/**
 * A frame between the two, which the coordinator passes on. The session begins with random values
 * of both ends, so that no frame of an earlier one can be repeated.
 */
export const PhoneFrame = z.union([
  z.strictObject({ open: Claimant }),
  z.strictObject({ open: Claimant, answer: Claimant }),
  z.strictObject({ session: Claimant, n: z.int().min(1), sealed: sealedText(maxPhoneFrameChars) }),
]);
export type PhoneFrame = z.infer<typeof PhoneFrame>;

/** A frame of the coordinator's own. */
export const RelayFrame = z.union([
  /** To the machine: how many pages of the phone are open. */
  z.strictObject({ pages: z.int().min(0) }),
  /** To the phone: whether its machine is connected. */
  z.strictObject({ isThere: z.boolean() }),
]);
export type RelayFrame = z.infer<typeof RelayFrame>;

/** `view`: sees what its machine shows. `answer`: answers and writes to chats, too. */
const phoneScopes = ["view", "answer"] as const;
export const PhoneScope = z.enum(phoneScopes);
export type PhoneScope = z.infer<typeof PhoneScope>;

/** The phone about itself, sealed under the secret of the link. */
export const Introduction = z.strictObject({
  /** Uncompressed point of P-256, base64url. */
  publicKey: base64url(87),
  name: z.string().min(1).max(60),
});
export type Introduction = z.infer<typeof Introduction>;

/** Content of a grant, sealed to the key of the phone. */
export const Granted = z.object({
  /** 32 bytes, base64url. */
  key: base64url(43),
  access: PhoneAccess,
  machine: z.string(),
  scope: PhoneScope,
  /** Epoch ms by the clock of the machine. */
  endsAt: z.int(),
  /** Public key of the machine's Web Push messages (VAPID), base64url. */
  pushKey: z.string().nullable(),
});
export type Granted = z.infer<typeof Granted>;

/** Kinds of Web Push notifications. */
const pushKinds = ["waits", "died", "done", "limit"] as const;
export const PushKind = z.enum(pushKinds);
export type PushKind = z.infer<typeof PushKind>;

/** Output of `PushSubscription.toJSON()`. */
export const PushSubscription = z.object({
  endpoint: z.url().max(2_000),
  keys: z.object({ p256dh: z.string().max(200), auth: z.string().max(100) }),
});
export type PushSubscription = z.infer<typeof PushSubscription>;

/** A request of a phone, inside of its sealed frames. */
export const PhoneRequest = z.union([
  /** A call of the page: [PageCall](live-page.ts). */
  PageCall.extend({ id: z.int() }),
  z.strictObject({ id: z.int(), push: PushSubscription.nullable(), kinds: z.array(PushKind).max(pushKinds.length) }),
]);
export type PhoneRequest = z.infer<typeof PhoneRequest>;

/** An answer of a machine inside of its sealed frames, or that something may have changed. */
export const MachineFrame = z.union([
  z.object({ id: z.int(), value: z.unknown() }),
  z.object({ id: z.int(), error: z.object({ code: z.string(), message: z.string() }) }),
  z.object({ changed: z.enum(["sessions", "team", "tasks", "messages", "all"]) }),
]);
export type MachineFrame = z.infer<typeof MachineFrame>;
