import * as z from "zod/mini";
import type { LiveLine } from "./live-page.ts";

/** Frames between a phone and its machine, and what is sealed in them; the page has their types. */

const text = z.string();

function base64url(chars: number) {
  return z.string().check(z.regex(new RegExp(`^[\\w-]{${chars}}$`), `${chars} characters of base64url`));
}

/** WebSocket subprotocol of a phone; the second one that it offers is its access secret. */
export const phoneProtocol = "shim.phone";

/** Longest frame in characters. */
export const maxPhoneFrameChars = 1_000_000;
/** Bound of each end of a relay. */
export const phoneFrameLimits = { framesPerSecond: 400, charsPerFrame: 2_500 };
/** A phone may have so many open. */
export const maxPhonePages = 8;

/** 16 random bytes. */
const SessionName = base64url(22);

/**
 * A frame between the two, which the coordinator passes on. The session begins with random values
 * of both ends, so that no frame of an earlier one can be repeated.
 */
export const PhoneFrame = z.union([
  z.strictObject({ open: SessionName }),
  /** `at`: epoch ms by the clock of the machine, which the times of all frames follow. */
  z.strictObject({ open: SessionName, answer: SessionName, at: z.int().check(z.minimum(0)) }),
  z.strictObject({
    session: SessionName,
    n: z.int().check(z.minimum(1)),
    sealed: text.check(z.maxLength(maxPhoneFrameChars), z.regex(/^[\w-]+$/)),
  }),
]);
export type PhoneFrame = z.infer<typeof PhoneFrame>;

/** A frame of the coordinator's own. */
export const RelayFrame = z.union([
  /** To the machine: how many pages of the phone are open. */
  z.strictObject({ pages: z.int().check(z.minimum(0)) }),
  /** To the phone: whether its machine is connected. */
  z.strictObject({ isThere: z.boolean() }),
]);
export type RelayFrame = z.infer<typeof RelayFrame>;

/** `view`: sees what its machine shows. `answer`: answers and writes to chats, too. */
export const PhoneScope = z.enum(["view", "answer"]);
export type PhoneScope = z.infer<typeof PhoneScope>;

/** The phone about itself, sealed under the secret of the link. */
export const Introduction = z.strictObject({
  /** Uncompressed point of P-256, base64url. */
  publicKey: base64url(87),
  /** Random value of the browser: with it a machine knows that it pairs the same one again. */
  browser: base64url(22),
  name: text.check(z.minLength(1), z.maxLength(60)),
});
export type Introduction = z.infer<typeof Introduction>;

/** The grant for the phone; null: the machine has not decided. */
export interface PhoneGranted {
  readonly grant: string | null;
}

/** Content of a grant, sealed to the key of the phone. */
export interface Granted {
  /** 32 bytes, base64url. */
  readonly key: string;
  /** Opens the relay: 32 bytes, base64url. */
  readonly access: string;
  readonly machine: string;
  readonly scope: PhoneScope;
  /** Epoch ms by the clock of the machine. */
  readonly endsAt: number;
  /** Ids of earlier pairings of the machine with the same browser, which this one ends. */
  readonly replaced: readonly string[];
}

/** Kinds of Web Push notifications. */
const pushKinds = ["waits", "died", "done", "limit"] as const;
export const PushKind = z.enum(pushKinds);
export type PushKind = z.infer<typeof PushKind>;

/** Output of `PushSubscription.toJSON()`. */
export const PushSubscription = z.object({
  endpoint: z.url().check(z.maxLength(2_000)),
  keys: z.object({ p256dh: text.check(z.maxLength(200)), auth: text.check(z.maxLength(100)) }),
});
export type PushSubscription = z.infer<typeof PushSubscription>;

/** Keys of Web Push messages (VAPID, RFC 8292): a point and a number of P-256, base64url. */
const PushKeys = z.strictObject({ publicKey: base64url(87), privateKey: base64url(43) });
export type PushKeys = z.infer<typeof PushKeys>;

/**
 * How a machine notifies the phone. The keys are the phone's own: a browser takes messages of one
 * pair of keys alone, and may be paired with several machines.
 */
export const PhonePush = z.strictObject({
  subscription: PushSubscription,
  keys: PushKeys,
  kinds: z.array(PushKind).check(z.minLength(1), z.maxLength(pushKinds.length)),
});
export type PhonePush = z.infer<typeof PhonePush>;

/** A call of the page, the way of its notifications, or a question whether the machine is there. */
export const PhoneRequest = z.union([
  z.strictObject({
    id: z.int(),
    name: text.check(z.maxLength(60)),
    input: z.record(text, z.unknown()),
    requestId: z.optional(text.check(z.minLength(1), z.maxLength(100))),
  }),
  z.strictObject({
    id: z.int(),
    push: z.nullable(PhonePush),
    /** Send one now. */
    isTest: z.boolean(),
  }),
  z.strictObject({ id: z.int(), ping: z.literal(true) }),
]);
export type PhoneRequest = z.infer<typeof PhoneRequest>;

/** Answer to the second one. */
export interface PushState {
  /** The last notification that the machine has sent to this phone; null: it has sent none. */
  readonly last: {
    readonly ageMs: number;
    /** Why the push service did not take it; null: it did. */
    readonly problem: string | null;
  } | null;
}

/** An answer of a machine inside of its sealed frames, or that something may have changed. */
export type MachineFrame =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
  | { readonly changed: LiveLine["changed"] };
