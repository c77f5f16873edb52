import * as z from "zod";
import { secretProblem } from "../contract/secrets.ts";
import { Label, Workspace } from "../contract/values.ts";
import { Scope, type Scope as ScopeName } from "../contract/operation.ts";
import { fromBase64url, sha256, toBase64url } from "../pairing/sealing.ts";
import { uuidv7 } from "../shared/ids.ts";
import type { Env } from "./env.ts";

/** Signed with HMAC-SHA-256, so forged tokens and made-up workspaces never reach an object. */
const Payload = z.strictObject({
  w: Workspace,
  i: z.string().min(1).max(64),
  m: Label,
  s: Scope,
  /** Epoch ms by the worker's clock; null: does not expire. */
  e: z.number().nullable(),
  n: z.string().min(16).max(64),
});

export interface Claims {
  readonly workspace: string;
  readonly id: string;
  readonly machine: string;
  readonly scope: ScopeName;
  readonly expiresAt: number | null;
}

export const tokenPrefix = "shim_";
/** The longest machine name, 200 characters of four bytes, makes about 1,400. */
const maxTokenChars = 2_000;

export async function make(
  secret: string,
  { workspace: w, id: i, machine: m, scope: s, expiresAt: e }: Claims,
  random: Uint8Array,
): Promise<string> {
  const payload: z.infer<typeof Payload> = { w, i, m, s, e, n: toBase64url(random) };
  return `${tokenPrefix}${await signed(secret, "", payload)}`;
}

/** JSON with its signature. @param purpose begins what is signed: for no other it counts */
export async function signed(secret: string, purpose: string, payload: object): Promise<string> {
  const text = toBase64url(new TextEncoder().encode(JSON.stringify(payload)));
  return `${text}.${await sign(secret, purpose + text)}`;
}

/** @param secrets of which one has signed it @returns null for anything else */
export async function readSigned<T>(
  secrets: readonly string[],
  purpose: string,
  schema: z.ZodType<T>,
  given: string,
): Promise<T | null> {
  const [text = "", signature = "", ...rest] = given.split(".");
  if (rest.length > 0 || !(await isSigned(secrets, purpose + text, signature))) return null;
  return schema.safeParse(JSON.parse(new TextDecoder().decode(fromBase64url(text)))).data ?? null;
}

/** The same token, with the signature of another secret. */
export async function signAgain(secret: string, token: string): Promise<string> {
  const text = token.slice(tokenPrefix.length, token.lastIndexOf("."));
  return `${tokenPrefix}${text}.${await sign(secret, text)}`;
}

export async function sign(secret: string, text: string): Promise<string> {
  const signature = await crypto.subtle.sign("HMAC", await keyOf(secret), new TextEncoder().encode(text));
  return toBase64url(new Uint8Array(signature));
}

/** @param secrets of which one has signed it: see `signingSecrets` */
export async function isSigned(secrets: readonly string[], text: string, signature: string): Promise<boolean> {
  const bytes = signatureBytes(signature);
  if (bytes === null) return false;
  const signed = new TextEncoder().encode(text);
  for (const secret of secrets) if (await crypto.subtle.verify("HMAC", await keyOf(secret), bytes, signed)) return true;
  return false;
}

function signatureBytes(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[\w-]+$/.test(text)) return null;
  try {
    return fromBase64url(text);
  } catch {
    return null;
  }
}

/** Secrets whose signatures count: the present one, which signs, and the one before it. */
export function signingSecrets({
  SHIM_SIGNING_SECRET: present,
  SHIM_PREVIOUS_SIGNING_SECRET: previous,
}: Pick<Env, "SHIM_SIGNING_SECRET" | "SHIM_PREVIOUS_SIGNING_SECRET">): readonly string[] {
  const isUsable = secretProblem("SHIM_SIGNING_SECRET", previous) === null;
  return previous !== undefined && isUsable ? [present, previous] : [present];
}

/** Same for a repeated request, unpredictable without the secret. */
export async function deriveRandom(secret: string, workspace: string, requestId: string): Promise<Uint8Array> {
  // No token payload contains a blank, so this is never a token's signature.
  const text = new TextEncoder().encode(`token of ${workspace} ${requestId}`);
  return new Uint8Array(await crypto.subtle.sign("HMAC", await keyOf(secret), text));
}

/** Derives the first token from its request. No other request id contains a blank. */
export async function deriveFirstToken(
  secret: string,
  workspace: string,
  requestId: string,
): Promise<{ readonly id: string; readonly random: Uint8Array }> {
  const name = await deriveRandom(secret, workspace, `first name ${requestId}`);
  return {
    id: `tok_${uuidv7(0, name.slice(0, 16))}`,
    random: await deriveRandom(secret, workspace, `first ${requestId}`),
  };
}

/** Answers null unless the worker signed it. Only the workspace knows revoked tokens. */
export async function read(secrets: readonly string[], token: string): Promise<Claims | null> {
  if (token.length > maxTokenChars || !token.startsWith(tokenPrefix)) return null;
  const payload = await readSigned(secrets, "", Payload, token.slice(tokenPrefix.length));
  if (payload === null) return null;
  const { w: workspace, i: id, m: machine, s: scope, e: expiresAt } = payload;
  return { workspace, id, machine, scope, expiresAt };
}

function keyOf(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
}

/** Constant-time comparison. */
export async function isSameSecret(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([sha256(one), sha256(other)]);
  return crypto.subtle.timingSafeEqual(a, b);
}
