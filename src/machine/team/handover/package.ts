import * as z from "zod";
import { Held } from "../../../contract/machine/handover.ts";
import { lostParts } from "../../../contract/machine/recovery.ts";
import { maxFileParts } from "../../../contract/sync.ts";
import { parseJson } from "../../../shared/json-fields.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import { formatCode, parseCode, type CodeKind } from "../../sharing/carried-code.ts";
import { digestOf, open, seal, type EnvelopeSubject } from "../../sharing/envelope.ts";
import { SessionContent } from "../../sharing/record-contents.ts";
import { FilesContent } from "../../sharing/files-content.ts";
import { deriveKey, type WorkspaceKey } from "../../sharing/key-ring.ts";

/**
 * A session that is handed over: a list of envelopes under a key made for it alone. The first
 * envelope has the facts; the others have pieces of the git bundle, then of the conversation.
 * Read by other versions of SHIM: add fields as optional.
 */

const text = z.string();
const at = z.number();
const said = { at: z.nullable(at), text };

const Item = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("prompt"), ...said }),
  z.object({ kind: z.literal("answer"), ...said }),
  z.object({ kind: z.literal("summary"), ...said }),
  z.object({ kind: z.literal("call"), at: z.nullable(at), id: text, name: text, input: z.unknown() }),
  z.object({ kind: z.literal("result"), ...said, of: text, isError: z.boolean() }),
]);

/** A conversation as JSON; what it had lost already is a list of pairs. */
export const CarriedConversation = z.object({
  session: text,
  model: z.nullable(text),
  items: z.array(Item),
  lost: z.array(z.tuple([z.enum(lostParts), z.int().min(1)])),
  damages: z.int().min(0),
});
export type CarriedConversation = z.infer<typeof CarriedConversation>;

const count = z.int().min(0);

const Facts = z.object({
  /** Label of the machine that gave it. */
  machine: text,
  /** Epoch ms of that machine's clock. */
  givenAt: at,
  /** Not to be taken later; epoch ms of that machine's clock. */
  until: at,
  id: text,
  session: SessionContent,
  /** Absent (null) where no files are handed over. */
  files: z.nullable(FilesContent.pick({ checkpoint: true, at: true, commit: true, needs: true, leftOut: true })),
  /** Commit that a branch for the files begins at; null: there was none. */
  head: z.nullable(z.string().check(z.regex(/^[0-9a-f]{40,64}$/))),
  bundleBytes: count,
  conversationBytes: count,
  /** Absent: its chat held nothing in a workspace. */
  held: z.optional(Held),
  /** SHA-256 (hex) of all bytes after the facts. */
  digest: text,
});
type Facts = z.infer<typeof Facts>;

export interface HandedOver extends Omit<Facts, "bundleBytes" | "conversationBytes" | "digest"> {
  /** Git bundle of the files; null with `files`. */
  readonly bundle: Buffer | null;
  readonly conversation: CarriedConversation | null;
}

export const handoverSecretBytes = 16;
const codeKind: CodeKind = {
  name: "code",
  prefix: "shimgive-",
  secretBytes: handoverSecretBytes,
  checkBytes: 3,
  use: "shim give",
  command: "shim give --file",
};

/** Key of one hand-over. Only its two ends have the secret. */
export interface HandoverKey extends WorkspaceKey {
  /** Code that a person carries to the other machine. */
  readonly code: string;
  /** Shown to a coordinator that holds the envelopes; reveals nothing of the key. */
  readonly claim: string;
}

/** @param secret 16 random bytes that were never used before */
export function handoverKey(secret: Uint8Array): HandoverKey {
  const code = formatCode(codeKind, secret);
  const claim = deriveKey(secret, "shim claim", 32).toString("base64url");
  return { id: deriveKey(secret, "shim key id", 8).toString("hex"), bytes: secret, code, claim };
}

export function parseHandoverCode(typed: string): Result<HandoverKey, string> {
  const secret = parseCode(codeKind, typed);
  return secret.ok ? ok(handoverKey(secret.value)) : secret;
}

/** Bytes of one envelope before it is sealed. */
const pieceBytes = 262_144;

/** @returns the envelopes in order; or the bytes that are too many for one hand-over */
export function sealHandover(
  given: HandedOver,
  key: HandoverKey,
  random: (bytes: number) => Uint8Array,
): Result<string[], { readonly bytes: number }> {
  const { bundle, conversation, ...rest } = given;
  const carried = Buffer.from(conversation === null ? "" : JSON.stringify(conversation), "utf8");
  const content = Buffer.concat([bundle ?? Buffer.alloc(0), carried]);
  const pieces = Math.ceil(content.length / pieceBytes);
  if (pieces + 1 > maxFileParts) return err({ bytes: content.length });
  const sizes = { bundleBytes: bundle?.length ?? 0, conversationBytes: carried.length };
  const facts: Facts = { ...rest, ...sizes, digest: digestOf(content) };
  const all = [
    Buffer.from(JSON.stringify(facts), "utf8"),
    ...Array.from({ length: pieces }, (_, n) => content.subarray(n * pieceBytes, (n + 1) * pieceBytes)),
  ];
  const envelopes: string[] = [];
  for (const [number, bytes] of all.entries()) {
    const sealed = seal(key, subjectOf(number, all.length), bytes, random);
    if (!sealed.ok) return err({ bytes: sealed.error.bytes });
    envelopes.push(sealed.value);
  }
  return ok(envelopes);
}

/** @returns why not: another key, or an envelope that was changed, moved or left out */
export function openHandover(envelopes: readonly string[], key: HandoverKey): Result<HandedOver, string> {
  const pieces = openPieces(envelopes, key);
  if (!pieces.ok) return pieces;
  const [first = new Uint8Array(), ...others] = pieces.value;
  const parsed = Facts.safeParse(parseJson(Buffer.from(first).toString("utf8")));
  if (!parsed.success) return err("another version of SHIM has made it, which this one does not read");
  const { bundleBytes, conversationBytes, digest, ...facts } = parsed.data;
  const content = Buffer.concat(others);
  if (content.length !== bundleBytes + conversationBytes || digestOf(content) !== digest)
    return err("a part of it is missing");
  const bundle = facts.files === null ? null : content.subarray(0, bundleBytes);
  if (conversationBytes === 0) return ok({ ...facts, bundle, conversation: null });
  const conversation = CarriedConversation.safeParse(parseJson(content.subarray(bundleBytes).toString("utf8")));
  if (!conversation.success) return err("its conversation is not one that this version of SHIM reads");
  return ok({ ...facts, bundle, conversation: conversation.data });
}

function openPieces(envelopes: readonly string[], key: HandoverKey): Result<Uint8Array[], string> {
  if (envelopes.length === 0 || envelopes.length > maxFileParts) return err("it has no content");
  const keys = new Map([[key.id, key]]);
  const pieces: Uint8Array[] = [];
  for (const [number, envelope] of envelopes.entries()) {
    const opened = open(keys, subjectOf(number, envelopes.length), envelope);
    if (opened.ok) pieces.push(opened.value);
    else if (opened.error.code === "unknown_key") return err("the code is of another hand-over");
    else return err(`part ${number + 1} of ${envelopes.length} is damaged, or not as it was sealed`);
  }
  return ok(pieces);
}

/** Binds each envelope to its number and their count: none can be moved or left out. */
function subjectOf(number: number, total: number): EnvelopeSubject {
  return { workspace: "", kind: "given", device: "", session: "", item: `${number} of ${total}` };
}

const fileKind = "shim hand-over";
const Head = z.object({ kind: z.literal(fileKind), version: z.literal(1), parts: z.int().min(1).max(maxFileParts) });

/** Text of a sealed file: a line that says what it is, then a line for each envelope. */
export function toFileText(envelopes: readonly string[]): string {
  const head: z.infer<typeof Head> = { kind: fileKind, version: 1, parts: envelopes.length };
  return [JSON.stringify(head), ...envelopes, ""].join("\n");
}

/** @returns the envelopes, or why the file is none of a hand-over */
export function fromFileText(file: string): Result<string[], string> {
  const [first = "", ...lines] = file.split("\n");
  const head = Head.safeParse(parseJson(first));
  if (!head.success) return err("it is no hand-over of SHIM");
  const envelopes = lines.filter((line) => line !== "");
  return envelopes.length === head.data.parts ? ok(envelopes) : err("it is cut off: copy the whole file again");
}
