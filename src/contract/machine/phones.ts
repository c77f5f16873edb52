import * as z from "zod";
import { PhoneScope, PushKind } from "../phone-frames.ts";
import { pairedMs } from "../phones.ts";
import { declare } from "../operation.ts";
import { Duration, IdPrefix, flag } from "./operation.ts";

const at = z.int();

const Phone = z.object({
  id: z.string(),
  name: z.string(),
  scope: PhoneScope,
  /** Epoch ms, as the others. */
  pairedAt: at,
  /** Last call; null: it has made none. */
  seenAt: at.nullable(),
  endsAt: at,
  /** Whether the coordinator still has the pairing; null: it was not asked, or did not say. */
  isPaired: z.boolean().nullable(),
  /** Kinds of notifications that it gets. */
  notifies: z.array(PushKind),
  /** The last one; `problem`: why it was not taken. */
  notified: z.object({ at, problem: z.string().nullable() }).nullable(),
});
export type Phone = z.infer<typeof Phone>;

const edgeErrors = ["bad_input", "no_edge", "edge_unreachable"] as const;

export const phoneOperations = {
  "phones.offer": declare("host", "write", {
    summary: "Make a link that pairs one phone with this machine.",
    input: z.strictObject({
      answer: flag("the phone may answer permission requests and write to chats"),
      for: Duration.default(pairedMs.default).describe("time for which the phone is paired"),
      url: z
        .string()
        .max(200)
        .optional()
        .describe("address of yours that leads to this machine, instead of a coordinator"),
      port: z.int().min(1_024).max(65_535).optional().describe("port on loopback that the address leads to"),
    }),
    output: z.object({
      id: z.string(),
      /** Its secret is in the fragment. */
      link: z.string(),
      /** Pairs no more after it, epoch ms. */
      until: at,
      /** Where the address has to lead, and whether it does; null: a coordinator relays. */
      own: z.object({ port: z.int(), isReached: z.boolean() }).nullable(),
    }),
    errors: [...edgeErrors, "not_released", "port_unusable", "no_page"],
  }),
  "phones.opened": declare("host", "read", {
    summary: "Tell which phone has opened a link, and the number that must be on its screen.",
    input: z.strictObject({ id: z.string() }),
    output: z.object({
      phone: z
        .object({
          name: z.string(),
          number: z.string(),
          /** Whether it is paired with this machine already; the new pairing replaces that. */
          isPaired: z.boolean(),
        })
        .nullable(),
    }),
    errors: [...edgeErrors, "not_found"],
  }),
  "phones.decide": declare("host", "write", {
    summary: "Pair the phone that has opened a link, or withdraw the link.",
    input: z.strictObject({
      id: z.string(),
      /** The one that the user has compared; null: it is another phone. */
      number: z.string().max(20).nullable(),
    }),
    output: z.object({ phone: Phone.nullable() }),
    errors: [...edgeErrors, "not_found"],
    example: { id: "0".repeat(44), number: "123 456" },
  }),
  "phones.list": declare("caller", "read", {
    summary: "List the phones that are paired with this machine.",
    output: z.object({ phones: z.array(Phone) }),
  }),
  "phones.remove": declare("host", "write", {
    summary: "End the pairing with a phone at once.",
    input: z.strictObject({ phone: IdPrefix.describe("its name or the beginning of its id") }),
    output: z.object({
      name: z.string(),
      /** False: the coordinator did not confirm it; the key is deleted here all the same. */
      isEndedThere: z.boolean(),
    }),
    errors: ["not_found", "ambiguous"],
    example: { phone: "Pixel 9" },
  }),
};
